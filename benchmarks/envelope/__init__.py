"""Sealing and opening one event, beside its primitives alone and beside a general JOSE library."""
