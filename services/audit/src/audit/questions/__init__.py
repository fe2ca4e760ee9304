"""Auditors' questions and the entries they may look at."""
