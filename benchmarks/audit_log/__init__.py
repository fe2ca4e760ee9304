"""Appending to the audit log, durable and published, beside Tessera's POSIX storage."""
