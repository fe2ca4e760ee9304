"""Adapters that fulfil sharing's ports: agreement bundles on disk, and the database."""
