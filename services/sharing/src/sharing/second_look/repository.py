"""The queue in the database: no personal data, people only as keyed tokens."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Select, insert, or_, select, update

from common.access import Granted
from common.keyring import Keyring
from common.sealed import RowAltered, RowSeal
from common.web.frame import actor_of
from sharing.look_tables import LookParty, LookRow
from sharing.second_look.model import (
    WAITING,
    Act,
    Filed,
    LookBook,
    LookOver,
    LookState,
    Party,
    SecondLook,
    read_rules,
)
from sharing.tables import RowSeals, table_of

_LOOK: Final = table_of(LookRow)
_PARTY: Final = table_of(LookParty)
_AT_ONCE: Final = 200
_CHECKED_FOR: Final = timedelta(days=7)
Sealed = tuple[dict[str, Any], tuple[Party, ...]]
"""A row of the queue and who took part, as they lie there."""
_WAITS: Final = _LOOK.c.state.in_([state.value for state in WAITING])


def look_book(area: str, keyring: Keyring) -> LookBook:
    """Read the dated rules shipped with this service, and the key that knows a person again."""
    folder = files("sharing") / "second_look" / "rules"
    texts = [each.read_text("utf-8") for each in folder.iterdir() if each.name.endswith(".toml")]
    return LookBook(read_rules(texts), area, keyring.secret("second-look"))


class SqlSecondLooks:
    """Fulfils `second_look.ports.SecondLooks` inside one unit of work.

    Each row is checked where it is read. Alone, an altered one is refused. In a list it is left
    out, so that it does not hide the others, and alarmed each time.
    """

    def __init__(self, connection: Connection, book: LookBook, seal: RowSeal) -> None:
        self._conn = connection
        self._book = book
        self._seal = seal

    def file(self, filed: Filed) -> SecondLook:
        """Insert once; the act's own id is the key. Raises RowAltered."""
        known = self._one([_LOOK.c.id == filed.id])
        if known is not None:
            return known
        made = self._book.opened(filed)
        row = {"id": made.id, "case_id": made.case_id, "act": made.act.value, **_changing(made)}
        row |= {"reason_code": made.reason_code, "filed_at": made.filed_at}
        row["row_seal"] = self._seal.of(sealed_columns(row, made.parties))
        self._conn.execute(insert(_LOOK).values(**row))
        for party in made.parties:
            values = {"token": party.token, "agency": party.agency, "role": party.role}
            self._conn.execute(insert(_PARTY).values(look_id=made.id, **values))
        return made

    def party_of(self, granted: Granted) -> Party:
        """Name the caller as the audit trail does."""
        return self._book.party(actor_of(granted.principal))

    def find(self, granted: Granted, look_id: UUID) -> SecondLook | None:
        """Ask with one predicate, so that an own act's item and none are the same work.

        Raises RowAltered.
        """
        return self._one([_LOOK.c.id == look_id, self._of_others(granted)])

    def listed(self, granted: Granted, limit: int, *, waiting: bool) -> Sequence[SecondLook]:
        """Order by the clock."""
        order = _LOOK.c.due_at if waiting else _LOOK.c.reviewed_at.desc()
        return self._read([_WAITS if waiting else ~_WAITS, self._of_others(granted)], order, limit)

    def replace(self, old: SecondLook, new: SecondLook) -> None:
        """Swap where the row still says what `old` says. Raises RowAltered."""
        found = self._rows([_LOOK.c.id == old.id])
        if not found or _look(*found[0]) != old:
            raise LookOver
        row, parties = found[0]
        self._write(row, parties, {**_changing(new), **_untold(old, new)})

    def to_tell(self, now: datetime) -> Sequence[SecondLook]:
        """Note it in the transaction that finds it, so that a crash repeats both."""
        return self._noted([_WAITS, _LOOK.c.told_at.is_(None)], told_at=now)

    def to_alarm(self, now: datetime, before: datetime) -> Sequence[SecondLook]:
        """Note the alarm in the transaction that finds it, so that a crash repeats both.

        What was due lately is checked on the way, whatever it says. Nobody else meets an item that
        was closed, or hidden from those who may look.
        """
        self._rows([_LOOK.c.due_at > now - _CHECKED_FOR], limit=_AT_ONCE)
        silent = or_(_LOOK.c.alarmed_at.is_(None), _LOOK.c.alarmed_at <= before)
        return self._noted([_WAITS, _LOOK.c.due_at < now, silent], alarmed_at=now)

    def _noted(
        self, where: Sequence[ColumnElement[bool]], **at: datetime
    ) -> tuple[SecondLook, ...]:
        found = self._rows(where, _LOOK.c.due_at, _AT_ONCE)
        for row, parties in found:
            self._write(row, parties, at)
        return tuple(_look(*each) for each in found)

    def _write(
        self, row: Mapping[str, Any], parties: tuple[Party, ...], changed: Mapping[str, Any]
    ) -> None:
        seal = self._seal.of(sealed_columns({**row, **changed}, parties))
        this = update(_LOOK).where(_LOOK.c.id == row["id"])
        self._conn.execute(this.values(**changed, row_seal=seal))

    def _of_others(self, granted: Granted) -> ColumnElement[bool]:
        mine = (_PARTY.c.look_id == _LOOK.c.id, _PARTY.c.token == self.party_of(granted).token)
        return ~select(_PARTY.c.token).where(*mine).exists()

    def _one(self, where: Sequence[ColumnElement[bool]]) -> SecondLook | None:
        """Find one. Raises RowAltered."""
        for row, parties in with_parties(self._conn, select(_LOOK).where(*where)):
            self._seal.check(row["id"], sealed_columns(row, parties), row["row_seal"])
            return _look(row, parties)
        return None

    def _read(
        self, where: Sequence[ColumnElement[bool]], order: ColumnElement[Any], limit: int
    ) -> tuple[SecondLook, ...]:
        return tuple(_look(*each) for each in self._rows(where, order, limit))

    def _rows(
        self,
        where: Sequence[ColumnElement[bool]],
        order: ColumnElement[Any] = _LOOK.c.id,
        limit: int = 1,
    ) -> list[Sealed]:
        """Find rows as they were written; what was altered is alarmed and left out."""
        query = select(_LOOK).where(*where).order_by(order, _LOOK.c.id).limit(limit)
        found = []
        for row, parties in with_parties(self._conn, query.with_for_update()):
            with suppress(RowAltered):
                self._seal.check(row["id"], sealed_columns(row, parties), row["row_seal"])
                found.append((row, parties))
        return found


def with_parties(connection: Connection, query: Select[Any]) -> list[Sealed]:
    """Read rows of the queue as they lie there, each with who took part."""
    rows = [dict(row) for row in connection.execute(query).mappings()]
    parties: dict[UUID, list[Party]] = {}
    if rows:
        ids = [row["id"] for row in rows]
        asked = select(_PARTY).where(_PARTY.c.look_id.in_(ids)).order_by(_PARTY.c.token)
        for party in connection.execute(asked).mappings():
            made = Party(party["token"], party["agency"], party["role"])
            parties.setdefault(party["look_id"], []).append(made)
    return [(row, tuple(parties.get(row["id"], ()))) for row in rows]


def sealed_columns(row: Mapping[str, Any], parties: Sequence[Party]) -> dict[str, Any]:
    """Return everything that the seal of an item binds: its columns, and who took part."""
    took_part = sorted([each.token, each.agency, each.role] for each in parties)
    own = {column.key: row.get(column.key) for column in _LOOK.c if column.key != "row_seal"}
    return {**own, "parties": took_part}


def seal_older_looks(connection: Connection, seals: RowSeals) -> int:
    """Seal every item of the second-look queue that has no seal, as it stands; how many."""
    done = 0
    older = select(_LOOK).where(_LOOK.c.row_seal.is_(None)).limit(_AT_ONCE)
    while found := with_parties(connection, older):
        for row, parties in found:
            seal = seals.look.of(sealed_columns(row, parties))
            this = update(_LOOK).where(_LOOK.c.id == row["id"])
            connection.execute(this.values(row_seal=seal))
        done += len(found)
    return done


OLDER_LOOKS: Final = ("looks-are-sealed", seal_older_looks)
"""The mark in the keyring that no item is without a seal, and what seals them until it is set."""


def _changing(look: SecondLook) -> dict[str, Any]:
    return {
        "state": look.state.value,
        "owner": look.owner or "",
        "reviewed_at": look.reviewed_at,
        "outcome_code": look.outcome_code or "",
        "escalated_by": look.escalated_by or "",
        "due_at": look.due_at,
    }


def _untold(old: SecondLook, new: SecondLook) -> dict[str, None]:
    """Forget when an escalated item was told of, so that it is told of anew."""
    escalated = new.state is LookState.ESCALATED and old.state is not new.state
    return {"told_at": None, "alarmed_at": None} if escalated else {}


def _look(row: Mapping[str, Any], parties: tuple[Party, ...]) -> SecondLook:
    return SecondLook(
        id=row["id"],
        act=Act(row["act"]),
        reason_code=row["reason_code"],
        case_id=row["case_id"],
        parties=parties,
        filed_at=row["filed_at"],
        due_at=row["due_at"],
        state=LookState(row["state"]),
        owner=row["owner"] or None,
        reviewed_at=row["reviewed_at"],
        outcome_code=row["outcome_code"] or None,
        escalated_by=row["escalated_by"] or None,
    )
