"""Web screens for advisers and auditors. It reaches data only through the other services' APIs."""
