"""A log entry as the portal itself found it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class CheckedEntry:
    """A log entry as the portal itself found it.

    `verified` is our own verdict, `code` says why not.
    """

    record: Mapping[str, Any]
    index: int
    verified: bool
    code: str = ""
    size: int | None = None
    logged_at: datetime | None = None
    """From the leaf that was proven, like everything below. None and empty unless verified."""
    producer: str = ""
    epoch: int | None = None
    seq: int | None = None
    reason: str = ""
    """Why something was withheld, where we may know it and the record commits to it."""
