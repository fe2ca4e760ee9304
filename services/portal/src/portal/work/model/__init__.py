"""A delivery as the portal shows it, and the work list: no framework, no storage."""
