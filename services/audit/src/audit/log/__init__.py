"""The public log: entries, tree, tiles, signed heads and the search rows beside them."""
