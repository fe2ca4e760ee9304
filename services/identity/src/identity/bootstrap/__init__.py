"""Creates what a hub needs before its first start."""
