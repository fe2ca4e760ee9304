"""The areas a hub can be made for."""
