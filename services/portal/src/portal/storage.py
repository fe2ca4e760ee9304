"""Sessions on the portal's own database: cookies as hashes, everything else sealed."""

import hashlib
import json
import secrets
from dataclasses import asdict
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, String, Table, delete, insert, select, update

from common.database import Database, Unit, UtcDateTime, new_metadata
from common.web.frame import frame_tables
from portal.domain import ABSOLUTE, IDLE, SIGN_IN_LASTS, Grantings, PendingSignIn, Person, Session

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


class SqlSessions:
    """Fulfils `portal.ports.Sessions`."""

    def __init__(self, database: Database, secret: bytes) -> None:
        """`secret` seals tokens and keys at rest: the keyring's "portal-session"."""
        self._database = database
        self._cipher = AESGCM(secret)

    async def begin(self, cookie: str, pending: PendingSignIn) -> None:
        """Kept for SIGN_IN_LASTS."""
        body = {"state": pending.state, "verifier": pending.verifier, "dpop": pending.dpop_jwk}
        await self._put(cookie, "sign-in", body, pending.began)

    async def take(self, cookie: str, now: datetime) -> PendingSignIn | None:
        """Deleted in the transaction that reads it, so that a replayed callback finds nothing."""
        name = hashed(cookie)

        def work(unit: Unit) -> Any:
            found = unit.connection.execute(select(_VISIT).where(_VISIT.c.id == name, _VISIT.c.kind == "sign-in")).mappings().first()
            unit.connection.execute(delete(_VISIT).where(_VISIT.c.id == name, _VISIT.c.kind == "sign-in"))
            return found

        row = await self._database.write(work)
        if row is None or now - row["created"] > SIGN_IN_LASTS:
            return None
        body = self._open(name, row["sealed"])
        return PendingSignIn(state=body["state"], verifier=body["verifier"], dpop_jwk=body["dpop"], began=row["created"])

    async def put(self, cookie: str, session: Session) -> None:
        """The new session; what is over by now is swept with it."""
        body = {
            "person": asdict(session.person), "grantings": asdict(session.grantings), "dpop": session.dpop_jwk, "csrf": session.csrf,
        }  # fmt: skip
        await self._put(cookie, "session", body, session.created)

    async def find(self, cookie: str, now: datetime) -> Session | None:
        """Marked as seen at most once every few seconds, so that a page of requests is not a page of writes."""
        name = hashed(cookie)
        query = select(_VISIT).where(_VISIT.c.id == name, _VISIT.c.kind == "session")
        row = await self._database.read(lambda connection: connection.execute(query).mappings().first())
        if row is None:
            return None
        session = self._session(name, row)
        if session.over(now):
            await self.end(cookie)
            return None
        if (now - session.seen).total_seconds() > 5:
            await self._database.write(
                lambda unit: unit.connection.execute(update(_VISIT).where(_VISIT.c.id == name).values(seen=now)).rowcount
            )
        return session

    async def end(self, cookie: str) -> None:
        """Gone, tokens and keys with it."""
        name = hashed(cookie)
        await self._database.write(lambda unit: unit.connection.execute(delete(_VISIT).where(_VISIT.c.id == name)).rowcount)

    async def _put(self, cookie: str, kind: str, body: dict[str, Any], now: datetime) -> None:
        name = hashed(cookie)
        sealed = self._seal(name, body)

        def work(unit: Unit) -> None:
            over = (_VISIT.c.seen < now - IDLE) | (_VISIT.c.created < now - ABSOLUTE)
            unit.connection.execute(delete(_VISIT).where(over))
            unit.connection.execute(insert(_VISIT).values(id=name, kind=kind, sealed=sealed, created=now, seen=now))

        await self._database.write(work)

    def _session(self, name: bytes, row: Any) -> Session:
        body = self._open(name, row["sealed"])
        person = Person(**{**body["person"], "roles": tuple(body["person"]["roles"])})
        return Session(
            id=name, person=person, grantings=Grantings(**body["grantings"]), dpop_jwk=body["dpop"], csrf=body["csrf"],
            created=row["created"], seen=row["seen"],
        )  # fmt: skip

    def _seal(self, name: bytes, body: dict[str, Any]) -> bytes:
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, json.dumps(body).encode(), name)

    def _open(self, name: bytes, sealed: bytes) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self._cipher.decrypt(sealed[:12], sealed[12:], name))
        return body


def hashed(cookie: str) -> bytes:
    """The stored form of a cookie."""
    return hashlib.sha256(cookie.encode()).digest()
