"""The portal's own database: visits under hashed cookies, and what opened deliveries taught an
agency; everything sealed."""

import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    Column,
    Connection,
    LargeBinary,
    Select,
    String,
    Table,
    delete,
    insert,
    select,
    update,
)

from common.database import Database, Unit, UtcDateTime, new_metadata
from common.web.frame import frame_tables
from portal.domain.delivery import Known
from portal.domain.visit import (
    ABSOLUTE,
    IDLE,
    SIGN_IN_LASTS,
    Draft,
    Grantings,
    PendingSignIn,
    Person,
    Session,
)

METADATA = new_metadata()
TABLES = frame_tables(METADATA)

_VISIT = Table(
    "visit",
    METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("seen", UtcDateTime, nullable=False, index=True),
)
_OPENED = Table(
    "opened_delivery",
    METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)
_BATCH = 500
"""Fewer than any database's limit on the parameters of one statement."""


class SqlSessions:
    """Fulfils `portal.ports.Sessions`."""

    def __init__(self, database: Database, secret: bytes) -> None:
        """`secret` seals tokens and keys at rest: the keyring's "portal-session"."""
        self._database = database
        self._box = _Box(secret)

    async def begin(self, cookie: str, pending: PendingSignIn) -> None:
        """Kept for SIGN_IN_LASTS."""
        body = {
            "state": pending.state,
            "verifier": pending.verifier,
            "dpop": pending.dpop_jwk,
            "draft": _draft_body(pending.draft),
        }
        await self._put(cookie, "sign-in", body, pending.began)

    async def take(self, cookie: str, now: datetime) -> PendingSignIn | None:
        """Deleted in the transaction that reads it, so that a replayed callback finds nothing."""
        name = hashed(cookie)

        def work(unit: Unit) -> Any:
            found = (
                unit.connection.execute(
                    select(_VISIT).where(_VISIT.c.id == name, _VISIT.c.kind == "sign-in")
                )
                .mappings()
                .first()
            )
            unit.connection.execute(
                delete(_VISIT).where(_VISIT.c.id == name, _VISIT.c.kind == "sign-in")
            )
            return found

        row = await self._database.write(work)
        if row is None or now - row["created"] > SIGN_IN_LASTS:
            return None
        body = self._box.open(name, row["sealed"])
        return PendingSignIn(
            state=body["state"],
            verifier=body["verifier"],
            dpop_jwk=body["dpop"],
            began=row["created"],
            draft=_draft(body),
        )

    async def put(self, cookie: str, session: Session) -> None:
        """The new session; what is over by now is swept with it."""
        await self._put(cookie, "session", _session_body(session), session.created)

    async def amend(self, cookie: str, session: Session) -> None:
        """Nothing is inserted, so an ended session does not come back."""
        name = hashed(cookie)
        sealed = self._box.seal(name, _session_body(session))
        own = (_VISIT.c.id == name, _VISIT.c.kind == "session")
        await self._database.write(
            lambda unit: (
                unit.connection.execute(update(_VISIT).where(*own).values(sealed=sealed)).rowcount
            )
        )

    async def find(self, cookie: str, now: datetime, *, used: bool = True) -> Session | None:
        """Marked as seen at most once every few seconds, so that a page of requests is not a page
        of writes.
        """
        name = hashed(cookie)
        query = select(_VISIT).where(_VISIT.c.id == name, _VISIT.c.kind == "session")
        row = await self._database.read(
            lambda connection: connection.execute(query).mappings().first()
        )
        if row is None:
            return None
        try:
            session = self._session(name, row)
        except InvalidTag:  # not sealed by us for this row: nobody is signed in by it
            return None
        if session.over(now):
            await self.end(cookie)
            return None
        if used and (now - session.seen).total_seconds() > 5:
            await self._database.write(
                lambda unit: (
                    unit.connection.execute(
                        update(_VISIT).where(_VISIT.c.id == name).values(seen=now)
                    ).rowcount
                )
            )
        return session

    async def end(self, cookie: str) -> None:
        """Gone, tokens and keys with it."""
        name = hashed(cookie)
        await self._database.write(
            lambda unit: unit.connection.execute(delete(_VISIT).where(_VISIT.c.id == name)).rowcount
        )

    async def _put(self, cookie: str, kind: str, body: dict[str, Any], now: datetime) -> None:
        name = hashed(cookie)
        sealed = self._box.seal(name, body)

        def work(unit: Unit) -> None:
            over = (_VISIT.c.seen < now - IDLE) | (_VISIT.c.created < now - ABSOLUTE)
            unit.connection.execute(delete(_VISIT).where(over))
            unit.connection.execute(
                insert(_VISIT).values(id=name, kind=kind, sealed=sealed, created=now, seen=now)
            )

        await self._database.write(work)

    def _session(self, name: bytes, row: Any) -> Session:
        body = self._box.open(name, row["sealed"])
        person = Person(**{**body["person"], "roles": tuple(body["person"]["roles"])})
        return Session(
            id=name,
            person=person,
            grantings=Grantings(**body["grantings"]),
            dpop_jwk=body["dpop"],
            csrf=body["csrf"],
            created=row["created"],
            seen=row["seen"],
            draft=_draft(body),
            asked=body.get("asked", {}),
            released=body.get("released", {}),
        )


def _session_body(session: Session) -> dict[str, Any]:
    return {
        "person": asdict(session.person),
        "grantings": asdict(session.grantings),
        "dpop": session.dpop_jwk,
        "csrf": session.csrf,
        "draft": _draft_body(session.draft),
        "asked": session.asked,
        "released": session.released,
    }


def _draft_body(draft: Draft | None) -> dict[str, str] | None:
    return None if draft is None else asdict(draft)


def _draft(body: Mapping[str, Any]) -> Draft | None:
    """None too in what an older version sealed."""
    kept = body.get("draft")
    return None if kept is None else Draft(**kept)


class SqlShelf:
    """Fulfils `portal.ports.Shelf`."""

    def __init__(self, database: Database, secret: bytes) -> None:
        """`secret` is the keyring's "portal-shelf"."""
        self._database = database
        self._box = _Box(secret)
        self._secret = secret

    async def remember(self, agency: str, delivery_id: str, known: Known, now: datetime) -> None:
        """Replaced whole in one transaction."""
        name = self._name(agency, delivery_id)
        sealed = self._box.seal(name, asdict(known))

        def work(unit: Unit) -> None:
            unit.connection.execute(delete(_OPENED).where(_OPENED.c.id == name))
            unit.connection.execute(insert(_OPENED).values(id=name, sealed=sealed, at=now))

        await self._database.write(work)

    async def known(self, agency: str, delivery_ids: Sequence[str]) -> Mapping[str, Known]:
        """Only what was sealed under exactly this agency and delivery opens."""
        names = {self._name(agency, one): one for one in delivery_ids}
        found: dict[str, Known] = {}
        for start in range(0, len(names), _BATCH):
            wanted = list(names)[start : start + _BATCH]
            query = select(_OPENED.c.id, _OPENED.c.sealed).where(_OPENED.c.id.in_(wanted))
            rows = await self._database.read(partial(_rows, query))
            for name, sealed in rows:
                try:
                    found[names[name]] = Known(**self._box.open(name, sealed))
                except InvalidTag:
                    # One damaged row must not hide a list; opening the delivery writes it anew.
                    continue
        return found

    def _name(self, agency: str, delivery_id: str) -> bytes:
        return hmac.digest(self._secret, f"opened\0{agency}\0{delivery_id}".encode(), "sha256")


class _Box:
    """AES-256-GCM bound to the row it lies in."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)

    def seal(self, name: bytes, body: Mapping[str, Any]) -> bytes:
        """Sealed for the row of that name only."""
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, json.dumps(body).encode(), name)

    def open(self, name: bytes, sealed: bytes) -> dict[str, Any]:
        """What was sealed. Raises InvalidTag when it was changed or moved."""
        body: dict[str, Any] = json.loads(self._cipher.decrypt(sealed[:12], sealed[12:], name))
        return body


def hashed(cookie: str) -> bytes:
    """The stored form of a cookie."""
    return hashlib.sha256(cookie.encode()).digest()


def _rows(
    query: Select[tuple[bytes, bytes]], connection: Connection
) -> Sequence[tuple[bytes, bytes]]:
    return [(row.id, row.sealed) for row in connection.execute(query)]
