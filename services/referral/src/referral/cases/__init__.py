"""Cases: what stands about each, who may see what of it, and what became of it."""
