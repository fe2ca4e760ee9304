"""Emergency release: what has no proof yet, and letting one of it go."""
