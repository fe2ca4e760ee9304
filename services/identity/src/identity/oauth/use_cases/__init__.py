"""The authorization server on Authlib's core, and the audit records it writes."""
