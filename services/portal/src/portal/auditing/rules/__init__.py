"""What a search must hold, and what the codes of a record mean."""
