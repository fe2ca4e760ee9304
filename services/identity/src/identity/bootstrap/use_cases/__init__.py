"""How a hub is prepared, and the profiles it hands out."""
