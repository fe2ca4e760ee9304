"""The life of a disclosure, and the evidence that it was logged before it left."""
