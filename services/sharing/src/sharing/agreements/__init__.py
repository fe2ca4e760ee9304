"""Sharing agreements: their terms, their signed bundles, and the questions put to them."""
