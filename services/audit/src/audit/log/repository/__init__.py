"""The log in its tables and its folder of tiles."""
