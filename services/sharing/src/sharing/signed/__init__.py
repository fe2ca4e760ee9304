"""Knows which key signed what agencies sent, and finds what a compromised one signed."""
