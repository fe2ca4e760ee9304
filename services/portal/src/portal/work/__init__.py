"""The work list and the deliveries on it: reading, and accepting."""
