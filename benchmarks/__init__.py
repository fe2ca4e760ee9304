"""Ratios against named peers and raw limits, one command each; see README.md."""
