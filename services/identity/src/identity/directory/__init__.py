"""Public keys, and which agency may read its own topic."""
