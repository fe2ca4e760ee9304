"""Disclosures in the database: changed one by one, and listed for the release worker."""
