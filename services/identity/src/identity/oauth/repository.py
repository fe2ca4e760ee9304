"""Pushed requests, codes and tokens in their tables."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from common.sealed import RowAltered, RowSeal
from hubformats.clock import Clock
from identity.agencies.model import Ended
from identity.oauth.model import (
    ACCESS_TOKEN_LIFE,
    ENDED_LISTED,
    SHIFT,
    SKEW,
    Code,
    Issued,
    Pushed,
    TokenFamily,
    seconds,
)
from identity.tables import CODE, FAMILY, ISSUED, PUSHED, SEEN

_log = logging.getLogger("hub.identity")
_STATES: Final = frozenset({"used", "revoked", "row_seal"})
"""Columns outside a seal: what a row may become, and the seal."""


class SqlSeenOnce:
    """Fulfils `SeenOnce`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, purpose: str, value: str, expires_at: datetime) -> bool:
        """Tell whether this is the first claim.

        It is one INSERT … ON CONFLICT DO NOTHING, so two transactions never both see True.
        """
        maker = (
            postgresql.insert if self._connection.dialect.name == "postgresql" else sqlite.insert
        )
        wanted = (
            maker(SEEN)
            .values(purpose=purpose, value=value, expires_at=expires_at)
            .on_conflict_do_nothing()
        )
        return self._connection.execute(wanted.returning(SEEN.c.value)).first() is not None


class SqlPushedRequests:
    """Fulfils `PushedRequests`."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock

    def save(self, pushed: Pushed) -> None:
        """Keep a pushed request."""
        self._connection.execute(
            insert(PUSHED).values(_row(PUSHED, pushed, parameters=dict(pushed.parameters)))
        )

    def find(self, handle: str) -> Pushed | None:
        """Find a pushed request neither completed nor expired."""
        found = _first(
            self._connection,
            select(PUSHED).where(
                PUSHED.c.handle == handle,
                ~PUSHED.c.completed,
                PUSHED.c.expires_at > self._clock.now(),
            ),
        )
        return (
            Pushed(**{name: value for name, value in found.items() if name != "completed"})
            if found
            else None
        )

    def complete(self, handle: str) -> bool:
        """Mark a request completed; return True to exactly one caller."""
        wanted = (
            update(PUSHED)
            .where(
                PUSHED.c.handle == handle,
                ~PUSHED.c.completed,
                PUSHED.c.expires_at > self._clock.now(),
            )
            .values(completed=True)
        )
        return self._connection.execute(wanted.returning(PUSHED.c.handle)).first() is not None


class SignInSeals:
    """Seals of codes and token families: who signed in, for whom, how, and with which key.

    What they may become, used or revoked, stays open.
    """

    def __init__(self, secret: bytes) -> None:
        self._seals = {table: RowSeal(secret, table.name, _alarm) for table in (CODE, FAMILY)}

    def sealed(self, table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
        """Add the seal to a row that is to be written."""
        return {**row, "row_seal": self._seals[table].of(_said(table, row))}

    def fits(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Tell whether a row is as this service wrote it; one that is not raises an alarm."""
        said = _said(table, row)
        try:
            self._seals[table].check(said.get("grant_id") or said["id"], said, row["row_seal"])
        except RowAltered:
            return False
        return True


def _said(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in row if name in table.c and name not in _STATES}


def _alarm(altered: RowAltered) -> None:
    _log.error("a row was altered", extra={"alarm": "row-altered", "code": altered.table})


class SqlCodes:
    """Fulfils `Codes`. A row that this service did not write so is no code."""

    def __init__(self, connection: Connection, clock: Clock, seals: SignInSeals) -> None:
        self._connection = connection
        self._clock = clock
        self._seals = seals

    def save(self, code: Code) -> None:
        """Keep a fresh code."""
        row = self._seals.sealed(CODE, _row(CODE, code))
        self._connection.execute(insert(CODE).values(row))

    def consume(self, digest: str) -> Code | None:
        """Give the code to exactly one caller; an expired one is used up too and answers None."""
        wanted = (
            update(CODE)
            .where(CODE.c.digest == digest, ~CODE.c.used)
            .values(used=True)
            .returning(*CODE.c)
        )
        found = self._connection.execute(wanted).mappings().first()
        return (
            _as_code(dict(found))
            if found is not None
            and found["expires_at"] > self._clock.now()
            and self._seals.fits(CODE, dict(found))
            else None
        )

    def used(self, digest: str) -> Code | None:
        """Find a code that was used before."""
        found = _first(self._connection, select(CODE).where(CODE.c.digest == digest, CODE.c.used))
        return _as_code(found) if found else None


class SqlTokenFamilies:
    """Fulfils `TokenFamilies`. A row that this service did not write so is no family."""

    def __init__(self, connection: Connection, seals: SignInSeals) -> None:
        self._connection = connection
        self._seals = seals

    def save(self, family: TokenFamily) -> None:
        """Keep a token family."""
        row = self._seals.sealed(FAMILY, _row(FAMILY, family))
        self._connection.execute(insert(FAMILY).values(row))

    def by_refresh(self, refresh_digest: str) -> TokenFamily | None:
        """Find the family of a refresh token."""
        found = _first(
            self._connection, select(FAMILY).where(FAMILY.c.refresh_digest == refresh_digest)
        )
        if found is None or not self._seals.fits(FAMILY, found):
            return None
        return TokenFamily(**{name: value for name, value in found.items() if name != "row_seal"})

    def revoke(self, family_id: str) -> None:
        """End a family and every access token of it."""
        self._connection.execute(
            update(FAMILY).where(FAMILY.c.id == family_id).values(revoked=True)
        )
        self._connection.execute(
            update(ISSUED).where(ISSUED.c.family_id == family_id).values(revoked=True)
        )


class SqlAccessTokens:
    """Fulfils `AccessTokens`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def save(self, token: Issued) -> None:
        """Keep an access token's identity."""
        self._connection.execute(insert(ISSUED).values(_row(ISSUED, token)))

    def find(self, jti: str) -> Issued | None:
        """Find an access token, revoked or not."""
        found = _first(self._connection, select(ISSUED).where(ISSUED.c.jti == jti))
        return Issued(**found) if found else None

    def revoke(self, jti: str) -> None:
        """End one access token."""
        self._connection.execute(update(ISSUED).where(ISSUED.c.jti == jti).values(revoked=True))


def end_access(connection: Connection, agency: str) -> int:
    """End every living family and access token of an agency."""
    ended = [
        connection.execute(
            update(table).where(table.c.agency == agency, ~table.c.revoked).values(revoked=True)
        ).rowcount
        for table in (FAMILY, ISSUED)
    ]
    return sum(ended)


def end_client(connection: Connection, client_id: str) -> int:
    """End every living access token of a client."""
    living = ISSUED.c.client_id == client_id, ~ISSUED.c.revoked
    return connection.execute(update(ISSUED).where(*living).values(revoked=True)).rowcount


def ended_tokens(connection: Connection, now: datetime) -> Ended:
    """List ended access tokens, the newest first, as far as one heartbeat holds them.

    Services take a token a little past its end, so it is named a little longer.
    """
    wanted = (
        select(ISSUED.c.jti, ISSUED.c.expires_at)
        .where(ISSUED.c.revoked, ISSUED.c.expires_at > now - SKEW)
        .order_by(ISSUED.c.expires_at.desc())
        .limit(ENDED_LISTED + 1)
    )
    found = connection.execute(wanted).all()
    over = found[ENDED_LISTED:]
    until = seconds(over[0].expires_at - ACCESS_TOKEN_LIFE) if over else 0
    return Ended(tuple(row.jti for row in found[:ENDED_LISTED]), until)


def purge(connection: Connection, now: datetime) -> int:
    """Delete what can no longer be presented. Returns the number of rows.

    Used codes stay for a shift, so that a replay ends its family. Access tokens stay as long as a
    service could take one past its end.
    """
    stale = (
        delete(SEEN).where(SEEN.c.expires_at <= now),
        delete(PUSHED).where(PUSHED.c.expires_at <= now),
        delete(CODE).where(CODE.c.expires_at <= now - SHIFT),
        delete(FAMILY).where(FAMILY.c.expires_at <= now),
        delete(ISSUED).where(ISSUED.c.expires_at <= now - SKEW),
    )
    return sum(connection.execute(each).rowcount for each in stale)


def _first(connection: Connection, wanted: Any) -> dict[str, Any] | None:
    found = connection.execute(wanted).mappings().first()
    return dict(found) if found is not None else None


def _as_code(found: Mapping[str, Any]) -> Code:
    return Code(**{name: value for name, value in found.items() if name not in _STATES})


def _row(table: Table, thing: object, **more: object) -> dict[str, Any]:
    return {
        column.name: getattr(thing, column.name)
        for column in table.c
        if column.name not in more and hasattr(thing, column.name)
    } | more
