"""Batches of audit records in, entries out."""
