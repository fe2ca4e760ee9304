"""What opened deliveries taught an agency, on the portal's own database."""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from sqlalchemy import Connection, Select, delete, insert, select

from common.access import Granted
from common.database import Database, Unit
from portal.tables import OPENED_DELIVERY, RowBox
from portal.work.model.delivery import Known

_BATCH: Final = 500
"""Fewer than any database's limit on the parameters of one statement."""


class SqlDeliverySummaries:
    """Fulfils `portal.work.ports.DeliverySummaries`."""

    def __init__(self, database: Database, secret: bytes) -> None:
        """`secret` names and seals rows. It is the keyring's "portal-shelf"."""
        self._database = database
        self._box = RowBox(secret)
        self._secret = secret

    async def remember(
        self, granted: Granted, delivery_id: str, known: Known, now: datetime
    ) -> None:
        """Keep a summary for the caller's agency. It is replaced whole in one transaction."""
        name = self._name(granted.principal.agency, delivery_id)
        sealed = self._box.seal(name, asdict(known))

        def work(unit: Unit) -> None:
            unit.connection.execute(delete(OPENED_DELIVERY).where(OPENED_DELIVERY.c.id == name))
            unit.connection.execute(insert(OPENED_DELIVERY).values(id=name, sealed=sealed, at=now))

        await self._database.write(work)

    async def known(self, granted: Granted, delivery_ids: Sequence[str]) -> Mapping[str, Known]:
        """Return what the caller's agency knows of these deliveries.

        Only what was sealed for exactly this agency and delivery opens.
        """
        names = {self._name(granted.principal.agency, one): one for one in delivery_ids}
        found: dict[str, Known] = {}
        for start in range(0, len(names), _BATCH):
            wanted = list(names)[start : start + _BATCH]
            query = select(OPENED_DELIVERY.c.id, OPENED_DELIVERY.c.sealed).where(
                OPENED_DELIVERY.c.id.in_(wanted)
            )
            rows = await self._database.read(partial(_rows, query))
            for name, sealed in rows:
                try:
                    found[names[name]] = _known(self._box.open(name, sealed))
                except InvalidTag:
                    # One damaged row must not hide a list; opening the delivery writes it anew.
                    continue
        return found

    def _name(self, agency: str, delivery_id: str) -> bytes:
        return hmac.digest(self._secret, f"opened\0{agency}\0{delivery_id}".encode(), "sha256")


def _rows(
    query: Select[tuple[bytes, bytes]], connection: Connection
) -> Sequence[tuple[bytes, bytes]]:
    return [(row.id, row.sealed) for row in connection.execute(query)]


def _known(kept: Mapping[str, Any]) -> Known:
    """Read a summary; rows kept before 2026-11-30 say none by an empty text."""
    said: dict[str, Any] = {part: None if value == "" else value for part, value in kept.items()}
    return Known(**said)
