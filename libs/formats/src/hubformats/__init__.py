"""What an outsider must be able to open and check: no web framework, no database, no broker."""
