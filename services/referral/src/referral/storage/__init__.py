"""Referral's tables and the repository over them."""

from referral.storage.repository import ReferralStore, Sealing, SqlTx
from referral.storage.tables import METADATA, SUBJECT_KEY, TABLES

__all__ = ["METADATA", "SUBJECT_KEY", "TABLES", "ReferralStore", "Sealing", "SqlTx"]
