"""Decisions: who may know what of a case, first decided, decided again, or previewed."""
