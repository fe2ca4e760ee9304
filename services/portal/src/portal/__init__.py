"""Web screens for advocates and auditors; reaches data only through the other services APIs."""
