"""Vetoes on one's own referrals: setting, asking to lift, and answering as the second person."""
