"""The live terminal view: what it gathers, how it remembers, and how it is drawn."""
