"""Which agencies there are, which may act, and what keys they have."""
