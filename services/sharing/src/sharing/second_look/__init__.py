"""The second look: each act that asked for a fresh sign-in is looked at again by another person."""
