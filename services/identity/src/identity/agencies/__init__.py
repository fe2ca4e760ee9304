"""The agencies of the partnership and who of them may act."""
