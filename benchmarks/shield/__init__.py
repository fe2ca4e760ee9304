"""What the address shield finds, what it takes for a place by mistake, and what it costs."""
