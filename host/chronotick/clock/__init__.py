"""Stage 2: the time base, its discontinuities, and the floor: what fixes alone say about the local oscillator."""
