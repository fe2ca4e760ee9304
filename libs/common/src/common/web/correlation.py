"""The correlation id of the request being handled, for logs, problems and calls to other
services."""

import re
from contextvars import ContextVar, Token
from uuid import UUID

from hubformats.ids import uuid7

HEADER = "x-correlation-id"

# Only UUIDs are taken from outside: any freer format is a place to put a name or a telephone
# number.
_FORMAT = re.compile(r"[0-9a-fA-F]{8}(?:-?[0-9a-fA-F]{4}){3}-?[0-9a-fA-F]{12}")

_current: ContextVar[str | None] = ContextVar("hub_correlation_id", default=None)


def accept(offered: str | None) -> str:
    """The caller's id if it is a UUID, else a fresh one; lower-case with hyphens."""
    if offered is not None and _FORMAT.fullmatch(offered):
        return str(UUID(offered))
    return str(uuid7())


def set_current(value: str) -> Token[str | None]:
    """Set the id for this task and what it starts; `restore` with the answer when the request
    ends.
    """
    return _current.set(value)


def restore(token: Token[str | None]) -> None:
    """Back to the id before: standalone, a call to another service runs inside the request that
    made it, in the same task.
    """
    _current.reset(token)


def current() -> str | None:
    """The id of the request being handled, if any."""
    return _current.get()
