"""Taking in referrals with everything on, beside a bare FastAPI application that stores the same
body with one INSERT."""
