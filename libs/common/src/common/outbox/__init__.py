"""Transactional outbox: sealed in the writing transaction, sent as stored, kept until the other end confirms."""

from common.outbox.outbox import Outbox, RecipientUnknown, SentRef
from common.outbox.tables import declare_tables

__all__ = ["Outbox", "RecipientUnknown", "SentRef", "declare_tables"]
