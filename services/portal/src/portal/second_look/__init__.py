"""The privacy officer's queue: what was done alone or widened, and what came of looking at it."""
