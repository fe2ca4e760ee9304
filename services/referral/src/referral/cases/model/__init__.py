"""The case, proofs of authority over it, and outcomes: no framework, no storage."""
