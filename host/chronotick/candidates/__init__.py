"""What the fixes alone say about the shape of the rate: candidates that stand beside the floor, never in it."""
