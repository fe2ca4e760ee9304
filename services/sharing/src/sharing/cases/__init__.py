"""What sharing keeps of a case: its newest snapshot, and who may have it opened."""
