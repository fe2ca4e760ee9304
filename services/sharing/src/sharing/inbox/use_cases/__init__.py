"""What agencies do with what they were given."""
