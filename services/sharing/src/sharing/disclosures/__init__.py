"""Disclosures: from the log's receipt to a sealed package, and the emergency path."""
