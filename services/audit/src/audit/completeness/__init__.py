"""Whether every producer's sequence is whole."""
