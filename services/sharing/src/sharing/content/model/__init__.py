"""What a recipient sees of a case: a projection of its facts through a decision."""
