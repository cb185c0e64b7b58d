"""The demonstration: the real host on the lab's servers, watched by somebody who knows the truth."""
