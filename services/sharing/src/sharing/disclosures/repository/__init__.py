"""Disclosures with their sealed evidence, in the database."""
