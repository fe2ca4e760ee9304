"""What an agency sent: its own referrals, listed and found by its external reference."""
