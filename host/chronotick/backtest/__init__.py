"""Recorded clocks through the live host's own pipeline: what it would have said, scored against what was true."""
