"""The published language and the plumbing every service shares; a closed list of modules."""
