"""Tells an authentic sender that its envelope was set aside, once the log holds an entry of it."""
