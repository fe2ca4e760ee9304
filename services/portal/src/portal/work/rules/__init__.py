"""How a delivery is put into words and order."""
