"""Spent DPoP proofs in the service's database: no restart or replica lets one through twice."""

from datetime import datetime
from hashlib import sha256
from typing import Final

from sqlalchemy import Column, Index, LargeBinary, MetaData, Table, delete

from common.database import Database, Unit, UtcDateTime
from common.web.claims import claim
from hubformats.clock import Clock

_SWEEP_SECONDS: Final = 60.0


def table(metadata: MetaData) -> Table:
    """Declare `dpop_proof(id, expires_at)`; `id` is a hash of key and `jti`."""
    made = Table(
        "dpop_proof",
        metadata,
        Column("id", LargeBinary, primary_key=True),
        Column("expires_at", UtcDateTime, nullable=False),
    )
    Index(None, made.c.expires_at)
    return made


class SqlReplayGuard:
    """A ReplayGuard on a service's database.

    Waits for the group commit: if we crash before it, no answer was given either.
    """

    def __init__(self, database: Database, proofs: Table, clock: Clock) -> None:
        """`proofs` is made by `table` on the service's metadata."""
        self._database = database
        self._proofs = proofs
        self._clock = clock
        self._swept_at = float("-inf")

    async def first_use(self, jkt: str, jti: str, until: datetime) -> bool:
        """Return True to exactly one caller. Raises DatabaseUnavailable."""
        name = sha256(f"{jkt}\0{jti}".encode()).digest()
        now = self._clock.monotonic()
        if sweep := now - self._swept_at > _SWEEP_SECONDS:
            self._swept_at = now

        def work(unit: Unit) -> bool:
            if sweep:
                spent = self._proofs.c.expires_at < self._clock.now()
                unit.connection.execute(delete(self._proofs).where(spent))
            return claim(unit.connection, self._proofs, {"id": name, "expires_at": until})

        return await self._database.write(work)
