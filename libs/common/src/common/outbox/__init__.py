"""Transactional outbox: sealed in the writing transaction, sent as stored, kept until the other end
confirms."""

from common.outbox.outbox import Outbox, RecipientUnknown, SentRef
from common.outbox.tables import outbox_tables

__all__ = ["Outbox", "RecipientUnknown", "SentRef", "outbox_tables"]
