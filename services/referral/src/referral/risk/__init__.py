"""Risk instruments, dated rules of an area, and the level of risk."""
