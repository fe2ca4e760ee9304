"""The correlation id of the request being handled: for logs, problems and calls to services."""

import re
from contextvars import ContextVar, Token
from uuid import UUID

from hubformats.ids import uuid7

# Only UUIDs are taken from outside: a freer format is a place to put a name or telephone number.
_FORMAT = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")

_current: ContextVar[str | None] = ContextVar("hub_correlation_id", default=None)


def accept(offered: str | None) -> str:
    """Return the caller's id if it is a UUID, else a fresh one; lower-case with hyphens."""
    if offered is not None and _FORMAT.fullmatch(offered):
        return str(UUID(offered))
    return str(uuid7())


def set_current(value: str) -> Token[str | None]:
    """Set the id for this task and what it starts. Give the answer to `restore` at the end."""
    return _current.set(value)


def restore(token: Token[str | None]) -> None:
    """Set the id of before: standalone, a call to a service runs in the task of its caller."""
    _current.reset(token)


def current() -> str | None:
    """Return the id of the request being handled, if any."""
    return _current.get()
