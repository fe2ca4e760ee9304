"""Keeps which key signed what, and joins it to the keys that are known as compromised."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Insert,
    Select,
    Table,
    and_,
    func,
    insert,
    literal,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects import postgresql, sqlite

from common.database import Prepared, Unit, UtcDateTime, UuidType
from common.inbox.tables import INBOX
from sharing.directory.model import Compromise
from sharing.notice_tables import KEY_LOOK, KEY_USE, SIGNED
from sharing.signed.model import CASE, NAMED, Found, KeyUse, SignedMessage
from sharing.signed.ports import Place
from sharing.tables import CaseRow, DecisionRow, DisclosureRow, referrer_not_barred, table_of

_CASE, _DECISION, _DISCLOSURE = map(table_of, (CaseRow, DecisionRow, DisclosureRow))
_INBOUND: Final = "sharing.inbound"
"""Under which the inbox marks what agencies sent on their topics."""
_FIELDS: Final = tuple(field.name for field in fields(KeyUse))
_FOUND: Final = (
    *("key_id", "reference", "agency", "notice_id", "since", "found_at", "certain", "kind"),
    *("channel", "arrived_at", "signed_at", "event_id", "delivery_id", "case_id"),
)


def _once(dialect: str, table: Table) -> Insert:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


# Made once: every receipt notes its key.
_NOTED: Final = Prepared(lambda dialect: _once(dialect, SIGNED), *SIGNED.c.keys())


class SqlKeyUses:
    """Fulfils `sharing.signed.ports.KeyUses` inside one unit of work."""

    def __init__(self, unit: Unit) -> None:
        self._conn = unit.connection

    def note(self, message: SignedMessage) -> None:
        """Insert it; a repeat meets its own row."""
        _NOTED.run(self._conn, asdict(message))

    def look_back(self, compromise: Compromise, notice_id: UUID, now: datetime) -> Found | None:
        """Find them in three statements, whatever their number.

        Two processes take turns at the row of the look: the second finds nothing new.
        """
        first = self._begin(compromise, now)
        said = _Finding(compromise, notice_id, now)
        messages = self._add(said.messages())
        older = self._add(said.older()) if first else 0
        cases = self._add(said.cases()) if first else 0
        if not (first or messages):
            return None
        told = _uses(KEY_USE.c.notice_id == notice_id).order_by(
            KEY_USE.c.certain.desc(), KEY_USE.c.arrived_at, KEY_USE.c.reference
        )
        rows = self._conn.execute(told.where(_may_be_told()).limit(NAMED))
        hidden = select(func.count()).where(KEY_USE.c.notice_id == notice_id, ~_may_be_told())
        kept_out = self._conn.execute(hidden).scalar_one()
        uses = tuple(KeyUse(*row) for row in rows)
        return Found(messages, older, cases - kept_out, kept_out, uses)

    def _begin(self, compromise: Compromise, now: datetime) -> bool:
        """Tell whether nobody looked for this moment before; holds the row against others."""
        row = {**asdict(compromise), "looked_at": now}
        new = _once(self._conn.dialect.name, KEY_LOOK).values(row).returning(KEY_LOOK.c.key_id)
        if self._conn.execute(new).first() is not None:
            return True
        held = select(KEY_LOOK.c.key_id).where(_looked(compromise)).with_for_update()
        self._conn.execute(held)
        return False

    def _add(self, found: Select[Any]) -> int:
        added = insert(KEY_USE).from_select(list(_FOUND), found)
        counted = added.execution_options(preserve_rowcount=True)
        return self._conn.execute(counted).rowcount


class SqlKeyUseViews:
    """Fulfils `sharing.signed.ports.KeyUseViews` on one snapshot."""

    def __init__(self, connection: Connection) -> None:
        self._conn = connection

    def unseen(self, compromise: Compromise) -> bool:
        """Ask the row of the look, then the index of the agency's keys."""
        looked = self._conn.execute(select(KEY_LOOK.c.key_id).where(_looked(compromise)))
        if looked.first() is None:
            return True
        new = select(SIGNED.c.reference).where(*_signed_since(compromise)).limit(1)
        return self._conn.execute(new).first() is not None

    def used(self, agency: str | None, after: Place | None, limit: int) -> tuple[KeyUse, ...]:
        """Read in the order of the primary key."""
        mine = true() if agency is None else KEY_USE.c.agency == agency
        behind: ColumnElement[bool] = true()
        if after is not None:
            key, reference = after
            same = and_(KEY_USE.c.key_id == key, KEY_USE.c.reference > reference)
            behind = or_(KEY_USE.c.key_id > key, same)
        query = _uses(mine, behind).order_by(KEY_USE.c.key_id, KEY_USE.c.reference)
        return tuple(KeyUse(*row) for row in self._conn.execute(query.limit(limit)))


class _Finding:
    """The statements of one look, each a selection of rows for `key_use`."""

    def __init__(self, compromise: Compromise, notice_id: UUID, now: datetime) -> None:
        self._compromise = compromise
        self._notice_id = notice_id
        self._now = now

    def messages(self) -> Select[Any]:
        """Select what this key signed, or what came by it, since then."""
        alike = ("kind", "channel", "arrived_at", "signed_at", "event_id", "delivery_id")
        columns = [SIGNED.c.reference, *(SIGNED.c[name] for name in alike), _DISCLOSURE.c.case_id]
        whose = SIGNED.outerjoin(_DISCLOSURE, _DISCLOSURE.c.id == SIGNED.c.delivery_id)
        return (
            self._rows(columns, certain=True)
            .select_from(whose)
            .where(*_signed_since(self._compromise))
        )

    def older(self) -> Select[Any]:
        """Select marks of the agency's messages whose key was not kept when they came."""
        kept = select(SIGNED.c.reference).where(
            SIGNED.c.agency == INBOX.c.source, SIGNED.c.reference == INBOX.c.event_id
        )
        topic = literal("topic").label("channel")
        columns = [INBOX.c.event_id, null(), topic, INBOX.c.at, null(), INBOX.c.event_id]
        return self._rows([*columns, null(), null()], certain=False).where(
            INBOX.c.consumer == _INBOUND,
            INBOX.c.source == self._compromise.agency,
            INBOX.c.state == "done",
            INBOX.c.at >= self._compromise.since,
            ~kept.exists(),
            ~self._known(INBOX.c.event_id),
        )

    def cases(self) -> Select[Any]:
        """Select cases that the agency referred and of which a version came, by whatever road."""
        came = func.max(_DECISION.c.as_of, type_=UtcDateTime())
        columns = [_CASE.c.case_id, literal(CASE), null(), came, null(), null(), null()]
        here = _CASE.join(_DECISION, _DECISION.c.case_id == _CASE.c.case_id)
        found = self._rows([*columns, _CASE.c.case_id], certain=False).select_from(here)
        return found.where(
            _CASE.c.referrer == self._compromise.agency,
            _DECISION.c.ordinal == 0,
            _DECISION.c.as_of >= self._compromise.since,
            ~self._known(_CASE.c.case_id),
        ).group_by(_CASE.c.case_id)

    def _known(self, reference: ColumnElement[UUID]) -> ColumnElement[bool]:
        return _known(self._compromise.key_id, reference)

    def _rows(self, columns: Sequence[Any], *, certain: bool) -> Select[Any]:
        """Select the columns of `_FOUND`; `columns` are the reference, and those from `kind` on."""
        key, (reference, *others) = self._compromise, columns
        return select(
            literal(key.key_id),
            reference,
            literal(key.agency),
            literal(self._notice_id, UuidType),
            literal(key.since, UtcDateTime()),
            literal(self._now, UtcDateTime()),
            literal(certain, Boolean()),
            *others,
        )


def _signed_since(key: Compromise) -> tuple[ColumnElement[bool], ...]:
    """Say what counts as the key's since then, by the same two times as at an arrival."""
    return (
        SIGNED.c.agency == key.agency,
        SIGNED.c.key_id == key.key_id,
        or_(SIGNED.c.arrived_at >= key.since, SIGNED.c.signed_at >= key.since),
        ~_known(key.key_id, SIGNED.c.reference),
    )


def _known(key_id: str, reference: ColumnElement[UUID]) -> ColumnElement[bool]:
    before = KEY_USE.alias()
    here = select(before.c.key_id).where(before.c.key_id == key_id, before.c.reference == reference)
    return here.exists()


def _looked(key: Compromise) -> ColumnElement[bool]:
    return (KEY_LOOK.c.key_id == key.key_id) & (KEY_LOOK.c.since == key.since)


def _may_be_told() -> ColumnElement[bool]:
    """Say whether the agency may be told: not of a case that keeps its own referrer out."""
    here = select(_CASE.c.case_id).where(
        _CASE.c.case_id == KEY_USE.c.reference, ~referrer_not_barred()
    )
    return ~here.exists()


def _uses(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(*(KEY_USE.c[name] for name in _FIELDS)).where(*conditions)
