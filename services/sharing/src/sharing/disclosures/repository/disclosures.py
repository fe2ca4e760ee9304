"""Keeps disclosures with their sealed evidence, and lists them for the release worker."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from functools import lru_cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import (
    Boolean,
    ColumnElement,
    and_,
    bindparam,
    case,
    false,
    func,
    insert,
    or_,
    select,
    update,
)

from common.access import Granted
from common.database import Prepared, Unit, UuidType
from hubformats.agency_events import Promise
from sharing.cases.model import THIRD_PARTY, Opens, Reason, Relation
from sharing.context import SERVICE
from sharing.disclosures.model.disclosure import (
    PROMISED,
    AuthorisedDisclosure,
    Disclosure,
    Hold,
    Moved,
    Phase,
    Standing,
    State,
    authorised_disclosure,
)
from sharing.disclosures.model.evidence import Evidence
from sharing.disclosures.ports import Unproven
from sharing.tables import CaseKeys, CaseRow, DisclosureRow, RepositoryDeps, table_of

_CASE = table_of(CaseRow)
_DISCLOSURE = table_of(DisclosureRow)
_OWN: Final = tuple(field.name for field in fields(Disclosure))
_NO_WORD: Final = ""
"""What the columns of words hold where the model says None."""
_WORDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "state": State,
    "standing": lambda word: Standing(word) if word else None,
    "reason": lambda word: Hold(word) if word else None,
    "sealed_to": lambda word: word or None,
}
"""How the columns of words are read."""
_READ: Final = tuple((_OWN.index(name), read) for name, read in _WORDS.items())

# Made once: building a statement costs several times what running it does.
_NEW: Final = Prepared(insert(_DISCLOSURE), *_OWN, "key_id", "evidence_ct")
_DISCLOSURES: Final = select(*(_DISCLOSURE.c[name] for name in _OWN))
_THIS: Final = _DISCLOSURE.c.id == bindparam("b_id")
_BY_ID: Final = Prepared(_DISCLOSURES.where(_THIS).with_for_update())
_BY_RECORD: Final = Prepared(
    _DISCLOSURES.where(_DISCLOSURE.c.record_id == bindparam("b_record")).with_for_update()
)
_OF_CASE: Final = Prepared(
    _DISCLOSURES.where(_DISCLOSURE.c.case_id == bindparam("b_case")).order_by(
        _DISCLOSURE.c.decided_at, _DISCLOSURE.c.id
    )
)
_IN_CASE: Final = _CASE.c.case_id == _DISCLOSURE.c.case_id
_REFERRED: Final = and_(
    _CASE.c.referrer == bindparam("b_agency"),
    func.coalesce(_CASE.c.vetting["source"].as_string(), "") != THIRD_PARTY,
)
_OF_REFERRER: Final = Prepared(
    _DISCLOSURES.join(_CASE, _IN_CASE).where(_THIS, _REFERRED).with_for_update(of=_DISCLOSURE)
)


def _in(phase: Phase) -> ColumnElement[bool]:
    standing = phase.standing.value if phase.standing else _NO_WORD
    return and_(_DISCLOSURE.c.state == phase.state.value, _DISCLOSURE.c.standing == standing)


_AWAITS: Final = _DISCLOSURE.c.state == State.AWAITING_RECEIPT.value
_UNPROVEN: Final = (
    _DISCLOSURES.add_columns(_CASE.c.referrer_reference, _CASE.c.vetting)
    .join(_CASE, _IN_CASE)
    .where(_REFERRED, or_(_AWAITS, _in(PROMISED)))
    .where(
        or_(
            bindparam("b_any", type_=Boolean),
            _DISCLOSURE.c.id == bindparam("b_one", type_=UuidType),
        )
    )
    .order_by(
        case((_AWAITS, 0), else_=1),
        case((func.coalesce(_CASE.c.vetting["urgent"].as_boolean(), false()), 0), else_=1),
        _DISCLOSURE.c.decided_at.desc(),
        _DISCLOSURE.c.id.desc(),
    )
    .limit(bindparam("b_limit"))
)
_EVIDENCE: Final = Prepared(
    select(
        _DISCLOSURE.c.key_id, _DISCLOSURE.c.evidence_ct, _DISCLOSURE.c.leaf, _DISCLOSURE.c.proof
    ).where(_THIS)
)
_PROVEN: Final = Prepared(
    update(_DISCLOSURE)
    .where(_THIS, _DISCLOSURE.c.proof.is_(None))
    .values(leaf=bindparam("b_leaf"), leaf_index=bindparam("b_index"), proof=bindparam("b_proof"))
)


_MUTABLE: Final = (
    "state",
    "standing",
    "reason",
    "attempts",
    "next_at",
    "proven_at",
    "released_at",
    "saved_at",
    "acknowledged_at",
    "proof_due",
    "sealed_to",
)
"""What the model's methods change, and so what a compare and swap compares."""


def _still(name: str) -> ColumnElement[bool]:
    """Whether a column holds what was read of it, null included."""
    column = _DISCLOSURE.c[name]
    was = bindparam(f"b_{name}", type_=column.type)
    return column.is_not_distinct_from(was) if column.nullable else column == was


_UNCHANGED: Final = and_(_THIS, *map(_still, _MUTABLE))


@lru_cache
def _replacing(changed: tuple[str, ...]) -> Prepared:
    """The compare and swap that sets these columns; the model's methods name few sets of them."""
    return Prepared(update(_DISCLOSURE).where(_UNCHANGED), *changed)


class SqlDisclosures:
    """Fulfils `sharing.disclosures.ports.Disclosures` inside one unit of work."""

    def __init__(self, unit: Unit, deps: RepositoryDeps, keys: CaseKeys) -> None:
        self._unit = unit
        self._conn = unit.connection
        self._deps = deps
        self._keys = keys

    def add(self, disclosure: Disclosure, evidence: Evidence) -> None:
        """Insert it with its evidence sealed."""
        key = self._keys.of_case(disclosure.case_id)
        sealed = key.seal("disclosure", "evidence_ct", disclosure.id, evidence.encode())
        own = {name: _stored(disclosure, name) for name in _OWN}
        _NEW.run(self._conn, {**own, "key_id": key.subject_id, "evidence_ct": sealed})

    def get(self, delivery_id: UUID) -> Disclosure | None:
        """Lock it on PostgreSQL; SQLite's writer has the whole file."""
        return self._one(_BY_ID, b_id=delivery_id)

    def by_record(self, record_id: UUID) -> Disclosure | None:
        """Look it up by the audit record's id."""
        return self._one(_BY_RECORD, b_record=record_id)

    def of_case(self, case_id: UUID) -> tuple[Disclosure, ...]:
        """Oldest first."""
        return tuple(_disclosure(row) for row in _OF_CASE.run(self._conn, {"b_case": case_id}))

    def authorised(
        self, granted: Granted, delivery_id: UUID, reason: Reason | None = None
    ) -> AuthorisedDisclosure | None:
        """Look for the caller's relation: this service with a reason, or the referrer."""
        agency = granted.principal.agency
        if reason is not None:
            found = None if agency != SERVICE else self.get(delivery_id)
            relation = Relation.OWN_WORK
        else:
            found = self._one(_OF_REFERRER, b_id=delivery_id, b_agency=agency)
            relation = Relation.REFERRER
        return None if found is None else authorised_disclosure(found, relation, reason)

    def evidence(self, authorised: AuthorisedDisclosure) -> Evidence:
        """Open it. Raises NotAllowed, ContentGone when the key is gone."""
        authorised.require(Opens.EVIDENCE)
        this = authorised.disclosure.id
        row = _EVIDENCE.run(self._conn, {"b_id": this}).one()
        key = self._keys.get(row.key_id)
        text = key.open("disclosure", "evidence_ct", this, row.evidence_ct)
        return Evidence.decode(text, leaf=row.leaf, proof=row.proof)

    def replace(self, old: Disclosure, new: Disclosure) -> None:
        """Set what changed where everything that can change is still as it was read."""
        if old.id != new.id:
            raise ValueError("not the same disclosure")
        changed = {
            name: _stored(new, name)
            for name in _MUTABLE
            if getattr(new, name) != getattr(old, name)
        }
        if not changed:
            return
        read = {f"b_{name}": _stored(old, name) for name in _MUTABLE}
        swap = _replacing(tuple(changed))
        if swap.run(self._conn, {"b_id": old.id, **read, **changed}).rowcount != 1:
            raise Moved
        if new.state is State.PROVEN and old.state is not State.PROVEN:
            self._unit.after_commit(self._deps.after_proof)

    def keep_proof(self, delivery_id: UUID, leaf: bytes, index: int, proof: str) -> None:
        """Write it beside the sealed evidence; the first receipt stays."""
        _PROVEN.run(
            self._conn, {"b_id": delivery_id, "b_leaf": leaf, "b_index": index, "b_proof": proof}
        )
        self._unit.after_commit(self._deps.after_proof)

    def promised(self, disclosure: Disclosure) -> Promise | None:
        """Ask the trail, which numbered the record."""
        if disclosure.proof_due is None:
            return None
        try:
            return self._deps.trail.promise_again(
                self._unit, disclosure.record_id, disclosure.proof_due
            )
        except LookupError:
            return None

    def unproven(
        self, granted: Granted, limit: int, delivery_id: UUID | None = None
    ) -> tuple[Unproven, ...]:
        """List disclosures without proof. Returns states, times and names; opens no facts."""
        wanted = {"b_any": delivery_id is None, "b_one": delivery_id}
        agency = granted.principal.agency
        rows = self._conn.execute(_UNPROVEN, {"b_agency": agency, "b_limit": limit, **wanted})
        return tuple(
            Unproven(_disclosure(row), row.referrer_reference, row.vetting.get("urgent", False))
            for row in rows
        )

    def _one(self, query: Prepared, **values: object) -> Disclosure | None:
        row = query.run(self._conn, values).first()
        return None if row is None else _disclosure(row)


def _disclosure(row: Any) -> Disclosure:
    """From the columns of `_OWN`, in their order."""
    values = list(row[: len(_OWN)])
    for place, read in _READ:
        values[place] = read(values[place])
    return Disclosure(*values)


def _stored(disclosure: Disclosure, name: str) -> Any:
    """A field as its column holds it."""
    value = getattr(disclosure, name)
    if value is None and name in _WORDS:
        return _NO_WORD
    return value.value if isinstance(value, Enum) else value
