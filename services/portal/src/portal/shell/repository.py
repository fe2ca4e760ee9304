"""Visits on the portal's own database: under hashed cookies, everything else sealed."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy import delete, insert, select, update

from common.database import Database, Unit
from portal.shell.model import (
    ABSOLUTE,
    IDLE,
    SIGN_IN_LASTS,
    Draft,
    Grantings,
    PendingSignIn,
    Person,
    Session,
)
from portal.tables import VISIT, RowBox


class SqlSessions:
    """Fulfils `portal.shell.ports.Sessions`."""

    def __init__(self, database: Database, secret: bytes) -> None:
        """`secret` seals tokens and keys at rest. It is the keyring's "portal-session"."""
        self._database = database
        self._box = RowBox(secret)

    async def begin(self, cookie: str, pending: PendingSignIn) -> None:
        """Keep a sign-in under way for SIGN_IN_LASTS."""
        body = {
            "state": pending.state,
            "verifier": pending.verifier,
            "dpop": pending.dpop_jwk,
            "draft": _draft_body(pending.draft),
        }
        await self._put(cookie, "sign-in", body, pending.began)

    async def take(self, cookie: str, now: datetime) -> PendingSignIn | None:
        """Take a sign-in under way, once.

        It is deleted in the transaction that reads it, so a replayed callback finds nothing.
        """
        name = hashed(cookie)

        def work(unit: Unit) -> Any:
            found = (
                unit.connection.execute(
                    select(VISIT).where(VISIT.c.id == name, VISIT.c.kind == "sign-in")
                )
                .mappings()
                .first()
            )
            unit.connection.execute(
                delete(VISIT).where(VISIT.c.id == name, VISIT.c.kind == "sign-in")
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
        """Keep a new session, and delete what is over by now."""
        await self._put(cookie, "session", _session_body(session), session.created)

    async def amend(self, cookie: str, session: Session) -> None:
        """Keep what changed in an open session. An ended one does not come back."""
        name = hashed(cookie)
        sealed = self._box.seal(name, _session_body(session))
        own = (VISIT.c.id == name, VISIT.c.kind == "session")
        await self._database.write(
            lambda unit: (
                unit.connection.execute(update(VISIT).where(*own).values(sealed=sealed)).rowcount
            )
        )

    async def find(self, cookie: str, now: datetime, *, used: bool = True) -> Session | None:
        """Find the session of this cookie, and mark it as seen if a person `used` it.

        It is marked at most once every five seconds, to spare writes.
        """
        name = hashed(cookie)
        query = select(VISIT).where(VISIT.c.id == name, VISIT.c.kind == "session")
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
                        update(VISIT).where(VISIT.c.id == name).values(seen=now)
                    ).rowcount
                )
            )
        return session

    async def end(self, cookie: str) -> None:
        """Delete the session with its tokens and keys."""
        name = hashed(cookie)
        await self._database.write(
            lambda unit: unit.connection.execute(delete(VISIT).where(VISIT.c.id == name)).rowcount
        )

    async def _put(self, cookie: str, kind: str, body: dict[str, Any], now: datetime) -> None:
        name = hashed(cookie)
        sealed = self._box.seal(name, body)

        def work(unit: Unit) -> None:
            over = (VISIT.c.seen < now - IDLE) | (VISIT.c.created < now - ABSOLUTE)
            unit.connection.execute(delete(VISIT).where(over))
            unit.connection.execute(
                insert(VISIT).values(id=name, kind=kind, sealed=sealed, created=now, seen=now)
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


def _draft_body(draft: Draft | None) -> dict[str, Any] | None:
    return None if draft is None else asdict(draft)


def _draft(body: Mapping[str, Any]) -> Draft | None:
    """Return the draft, or None. An older version sealed none, or one for releases alone."""
    kept = body.get("draft")
    return None if kept is None or "place" not in kept else Draft(**kept)


def hashed(cookie: str) -> bytes:
    """Return the stored form of a cookie."""
    return hashlib.sha256(cookie.encode()).digest()
