"""Taking referrals in: forms, completing, code lists, refused intakes."""
