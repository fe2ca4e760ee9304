"""Cases, referrals, outcomes and published snapshots in the database."""
