"""Tells an authentic sender what became of what it signed, once the log holds an entry of it."""
