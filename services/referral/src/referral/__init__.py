"""Takes in referrals, keeps cases and their people, and answers release checks."""
