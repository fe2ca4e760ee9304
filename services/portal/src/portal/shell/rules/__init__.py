"""Words and dates as people read them."""
