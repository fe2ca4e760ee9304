"""Words and rules of the log, and its growing tree."""
