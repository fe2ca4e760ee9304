"""Take snapshots in, decide on them, and decide again."""
