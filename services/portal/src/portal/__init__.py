"""Web screens for advocates and auditors. It reaches data only through the other services' APIs."""
