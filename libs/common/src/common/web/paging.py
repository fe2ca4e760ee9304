"""Pages by opaque cursor: signed, and bound to the list and the caller."""

import hmac
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Generic, TypeVar

from fastapi import Query
from pydantic import BaseModel

from common.access import Granted
from common.models import ApiModel
from common.problems import Problem
from hubformats.canonical import CanonicalError, b64u, canonical, parse, unb64u

T = TypeVar("T", bound=BaseModel)

MAX_LIMIT: Final = 100
_TAG: Final = 16
_MAX_CURSOR: Final = 1024

Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="How many items at most")]
CursorText = Annotated[
    str | None, Query(max_length=_MAX_CURSOR, description="`nextCursor` of the page before")
]


class Page(ApiModel, Generic[T]):
    """One page of a list. There is no total, which would count what is hidden."""

    items: list[T]
    next_cursor: str | None = None


class Cursors:
    """Makes and reads cursors. Put only opaque ids and times into one: it is not encrypted."""

    def __init__(self, secret: bytes) -> None:
        """`secret` is the keyring's "cursor" (32 bytes)."""
        self._secret = secret

    def make(
        self,
        list_name: str,
        place: Sequence[str | int],
        granted: Granted,
        *,
        filters: Mapping[str, Any] | None = None,
    ) -> str:
        """Make a cursor that continues `list_name` after `place`, for this caller and filters."""
        body = canonical(list(place))
        return b64u(self._tag(list_name, body, granted, filters) + body)

    def read(
        self,
        list_name: str,
        cursor: str | None,
        granted: Granted,
        *,
        filters: Mapping[str, Any] | None = None,
    ) -> list[str | int] | None:
        """Return the place to go on from, None for the first page.

        Raises Problem `invalid-cursor`.
        """
        if cursor is None:
            return None
        try:
            octets = unb64u(cursor)
            place: list[str | int] = parse(octets[_TAG:])
        except CanonicalError:
            raise Problem("invalid-cursor") from None
        tag = self._tag(list_name, octets[_TAG:], granted, filters)
        if not hmac.compare_digest(octets[:_TAG], tag):
            raise Problem("invalid-cursor")
        return place

    def _tag(
        self, list_name: str, body: bytes, granted: Granted, filters: Mapping[str, Any] | None
    ) -> bytes:
        who = granted.principal
        caller = (who.issuer, who.client_id, who.subject, who.agency)
        bound = canonical([list_name, *caller, dict(filters or {})])
        return hmac.digest(self._secret, bound + b"\0" + body, "sha256")[:_TAG]
