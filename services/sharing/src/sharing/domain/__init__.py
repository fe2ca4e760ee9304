"""Words and rules of sharing: agreements, decisions, and the life of a disclosure. Pure."""
