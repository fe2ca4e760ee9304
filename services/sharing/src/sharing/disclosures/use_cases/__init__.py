"""What happens to a disclosure between its decision and its recipient."""
