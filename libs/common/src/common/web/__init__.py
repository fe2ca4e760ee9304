"""HTTP plumbing every service shares: the app factory and its edge, guards, idempotency, paging,
ETags, client and runner."""
