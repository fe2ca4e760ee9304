"""Routes of intake: sending a referral, code lists, refused intakes."""
