"""What the host keeps on disk: the log of what it decided from, and what it has learned."""
