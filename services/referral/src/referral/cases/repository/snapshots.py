"""The sole publisher of case snapshots, and keeper of their bytes until sharing decided."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select

from common.database import Prepared, Unit
from common.events.case import CaseSnapshot
from common.outbox import Outbox
from common.topics import CASE
from referral.tables import SnapshotSent, table_of

_SENT: Final = table_of(SnapshotSent)
_NEW = Prepared(insert(_SENT), *_SENT.c.keys())
_DECIDED = (_SENT.c.case_id == bindparam("b_case"), _SENT.c.version <= bindparam("b_version"))
_SENT_BY = Prepared(select(_SENT.c.message_id).where(*_DECIDED))
_NO_LONGER_SENT = Prepared(delete(_SENT).where(*_DECIDED))
_UNDECIDED = Prepared(
    select(_SENT.c.version)
    .where(_SENT.c.case_id == bindparam("b_case"), _SENT.c.version >= bindparam("b_version"))
    .limit(1)
)


class Snapshots:
    """Snapshots of one transaction, on their way to sharing."""

    def __init__(self, unit: Unit, outbox: Outbox) -> None:
        self._unit = unit
        self._outbox = outbox

    def publish(self, snapshot: CaseSnapshot, data: Mapping[str, Any]) -> None:
        """Put the snapshot, whose JSON is `data`, into the outbox."""
        stream = str(snapshot.case_id)
        sent = self._outbox.send(
            self._unit,
            topic=CASE,
            key=stream,
            event=snapshot,
            to=["svc:sharing"],
            stream=stream,
            data=data,
        )
        row = {"case_id": snapshot.case_id, "version": snapshot.version, "message_id": sent.id}
        _NEW.run(self._unit.connection, row)

    def decided(self, case_id: UUID, version: int) -> None:
        """Let go of the bytes of this version and older ones.

        What the broker acknowledged may be page cache; what sharing decided on is durable there.
        """
        done = {"b_case": case_id, "b_version": version}
        found = _SENT_BY.run(self._unit.connection, done).scalars()
        if found:
            self._outbox.confirm(self._unit, found)
            _NO_LONGER_SENT.run(self._unit.connection, done)

    def is_decided(self, case_id: UUID, version: int) -> bool:
        """Tell whether no row of this version or a later one waits."""
        wanted = {"b_case": case_id, "b_version": version}
        return _UNDECIDED.run(self._unit.connection, wanted).first() is None
