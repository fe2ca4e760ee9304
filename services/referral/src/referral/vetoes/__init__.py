"""Vetoes on disclosure: set at once by those entitled, lifted by two people."""
