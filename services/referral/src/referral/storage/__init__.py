"""Referral's tables and the repository over them."""

from referral.storage.repository import ReferralStore, SqlTx, Sealing
from referral.storage.tables import METADATA

__all__ = ["METADATA", "ReferralStore", "Sealing", "SqlTx"]
