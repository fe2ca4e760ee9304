"""The queue in the database: no personal data, people only as keyed tokens."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from common.access import Granted
from common.keyring import Keyring
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
from sharing.tables import table_of

_LOOK: Final = table_of(LookRow)
_PARTY: Final = table_of(LookParty)
_WAITS: Final = _LOOK.c.state.in_([state.value for state in WAITING])


def look_book(area: str, keyring: Keyring) -> LookBook:
    """Read the dated rules shipped with this service, and the key that knows a person again."""
    folder = files("sharing") / "second_look" / "rules"
    texts = [each.read_text("utf-8") for each in folder.iterdir() if each.name.endswith(".toml")]
    return LookBook(read_rules(texts), area, keyring.secret("second-look"))


class SqlSecondLooks:
    """Fulfils `second_look.ports.SecondLooks` inside one unit of work."""

    def __init__(self, connection: Connection, book: LookBook) -> None:
        self._conn = connection
        self._book = book

    def file(self, filed: Filed) -> SecondLook:
        """Insert once; the act's own id is the key."""
        known = self._read([_LOOK.c.id == filed.id])
        if known:
            return known[0]
        made = self._book.opened(filed)
        row = {"id": made.id, "case_id": made.case_id, "act": made.act.value, **_changing(made)}
        row |= {"reason_code": made.reason_code, "filed_at": made.filed_at}
        self._conn.execute(insert(_LOOK).values(**row))
        for party in made.parties:
            values = {"token": party.token, "agency": party.agency, "role": party.role}
            self._conn.execute(insert(_PARTY).values(look_id=made.id, **values))
        return made

    def party_of(self, granted: Granted) -> Party:
        """Name the caller as the audit trail does."""
        return self._book.party(actor_of(granted.principal))

    def find(self, granted: Granted, look_id: UUID) -> SecondLook | None:
        """Ask with one predicate, so that an own act's item and none are the same work."""
        found = self._read([_LOOK.c.id == look_id, self._of_others(granted)])
        return found[0] if found else None

    def listed(self, granted: Granted, limit: int, *, waiting: bool) -> Sequence[SecondLook]:
        """Order by the clock."""
        order = _LOOK.c.due_at if waiting else _LOOK.c.reviewed_at.desc()
        return self._read([_WAITS if waiting else ~_WAITS, self._of_others(granted)], order, limit)

    def replace(self, old: SecondLook, new: SecondLook) -> None:
        """Swap where state and owner are still the known ones."""
        swapped = self._conn.execute(
            update(_LOOK)
            .where(
                _LOOK.c.id == old.id,
                _LOOK.c.state == old.state.value,
                _LOOK.c.owner == (old.owner or ""),
            )
            .values(**_changing(new), **_untold(old, new))
        )
        if swapped.rowcount != 1:
            raise LookOver

    def to_tell(self, now: datetime) -> Sequence[SecondLook]:
        """Note it in the transaction that finds it, so that a crash repeats both."""
        found = self._read([_WAITS, _LOOK.c.told_at.is_(None)], _LOOK.c.due_at, 200)
        self._note(found, told_at=now)
        return found

    def to_alarm(self, now: datetime, before: datetime) -> Sequence[SecondLook]:
        """Note the alarm in the transaction that finds it, so that a crash repeats both."""
        silent = or_(_LOOK.c.alarmed_at.is_(None), _LOOK.c.alarmed_at <= before)
        found = self._read([_WAITS, _LOOK.c.due_at < now, silent], _LOOK.c.due_at, 200)
        self._note(found, alarmed_at=now)
        return found

    def _note(self, found: Sequence[SecondLook], **at: datetime) -> None:
        ids = [each.id for each in found]
        if ids:
            self._conn.execute(update(_LOOK).where(_LOOK.c.id.in_(ids)).values(**at))

    def _of_others(self, granted: Granted) -> ColumnElement[bool]:
        mine = (_PARTY.c.look_id == _LOOK.c.id, _PARTY.c.token == self.party_of(granted).token)
        return ~select(_PARTY.c.token).where(*mine).exists()

    def _read(
        self,
        where: Sequence[ColumnElement[bool]],
        order: ColumnElement[Any] | None = None,
        limit: int = 1,
    ) -> tuple[SecondLook, ...]:
        query = select(_LOOK).where(*where).limit(limit)
        query = query if order is None else query.order_by(order, _LOOK.c.id)
        rows = self._conn.execute(query).mappings().all()
        ids = [row["id"] for row in rows]
        parties: dict[UUID, list[Party]] = {}
        if ids:
            asked = select(_PARTY).where(_PARTY.c.look_id.in_(ids)).order_by(_PARTY.c.token)
            for party in self._conn.execute(asked).mappings():
                made = Party(party["token"], party["agency"], party["role"])
                parties.setdefault(party["look_id"], []).append(made)
        return tuple(_look(dict(row), tuple(parties.get(row["id"], ()))) for row in rows)


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
    """An escalated item is told of anew."""
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
