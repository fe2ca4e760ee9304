"""Vetoes are set at once; a lifting is asked for, and confirmed or refused. None commits."""
