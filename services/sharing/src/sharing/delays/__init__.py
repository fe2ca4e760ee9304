"""What may be told and has not left, as counts for those who could act on it."""
