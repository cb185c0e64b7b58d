"""`chronotick train`: fine-tune a model on a host's own history, and say honestly whether that made it better."""
