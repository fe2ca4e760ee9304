"""Consumer framework: each event once, in order where it matters, and what cannot be applied set
aside, never dropped."""

from common.inbox.batch import Tally
from common.inbox.errors import DirectoryUnavailable, Refused, Transient
from common.inbox.inbox import REPLAY_LIMIT, Inbox
from common.inbox.quarantine import Waiting
from common.inbox.received import Received
from common.inbox.tables import inbox_tables

__all__ = [
    "REPLAY_LIMIT",
    "DirectoryUnavailable",
    "Inbox",
    "Received",
    "Refused",
    "Tally",
    "Transient",
    "Waiting",
    "inbox_tables",
]
