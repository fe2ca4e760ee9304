"""Decides under sharing agreements who may know what, and delivers exactly that."""
