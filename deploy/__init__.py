"""Deployment: one description of the topology, started here as plain processes or written out for
Compose."""
