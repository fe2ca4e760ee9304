"""Keeps disclosures with their sealed evidence."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import lru_cache
from typing import Final
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
from common.database import Prepared, Unit, UuidType, among
from common.sealed import RowAltered, SealRefused
from hubformats.agency_events import Promise
from sharing.case_keys import CaseKeys
from sharing.cases.model import THIRD_PARTY, Opens, Reason, Relation
from sharing.context import SERVICE
from sharing.disclosures.model.disclosure import (
    PROMISED,
    AuthorisedDisclosure,
    Disclosure,
    Hold,
    Moved,
    State,
    authorised_disclosure,
)
from sharing.disclosures.model.evidence import Evidence
from sharing.disclosures.ports import Unproven
from sharing.disclosures.repository.evidence import SealedDecision, agree, decision_in
from sharing.disclosures.repository.rows import (
    CASE,
    DISCLOSURE,
    IN_CASE,
    READ,
    disclosure_of,
    in_phase,
    sealed_row,
    stored,
)
from sharing.tables import DecisionRow, RepositoryDeps, referrer_not_barred, table_of

_DECISION = table_of(DecisionRow)

# Made once: building a statement costs several times what running it does.
_NEW: Final = Prepared(insert(DISCLOSURE), *READ, "key_id", "evidence_ct")
_DISCLOSURES: Final = select(*(DISCLOSURE.c[name] for name in READ))
_THIS: Final = DISCLOSURE.c.id == bindparam("b_id")
_BY_ID: Final = Prepared(_DISCLOSURES.where(_THIS).with_for_update())
_BY_IDS: Final = Prepared(
    lambda dialect: _DISCLOSURES.where(among(DISCLOSURE.c.id, "ids", dialect))
)
_BY_RECORD: Final = Prepared(
    _DISCLOSURES.where(DISCLOSURE.c.record_id == bindparam("b_record")).with_for_update()
)
_OF_CASE: Final = Prepared(
    _DISCLOSURES.where(DISCLOSURE.c.case_id == bindparam("b_case")).order_by(
        DISCLOSURE.c.decided_at, DISCLOSURE.c.id
    )
)
_REFERRED: Final = and_(
    CASE.c.referrer == bindparam("b_agency"),
    func.coalesce(CASE.c.vetting["source"].as_string(), "") != THIRD_PARTY,
    referrer_not_barred(),
)
_OF_REFERRER: Final = Prepared(
    _DISCLOSURES.join(CASE, IN_CASE).where(_THIS, _REFERRED).with_for_update(of=DISCLOSURE)
)


_AWAITS: Final = DISCLOSURE.c.state == State.AWAITING_RECEIPT.value
_UNPROVEN: Final = (
    _DISCLOSURES.add_columns(CASE.c.referrer_reference, CASE.c.vetting)
    .join(CASE, IN_CASE)
    .where(_REFERRED, or_(and_(_AWAITS, DISCLOSURE.c.kind != "withdrawal"), in_phase(PROMISED)))
    .where(
        or_(
            bindparam("b_any", type_=Boolean),
            DISCLOSURE.c.id == bindparam("b_one", type_=UuidType),
        )
    )
    .order_by(
        case((_AWAITS, 0), else_=1),
        case((func.coalesce(CASE.c.vetting["urgent"].as_boolean(), false()), 0), else_=1),
        DISCLOSURE.c.decided_at.desc(),
        DISCLOSURE.c.id.desc(),
    )
    .limit(bindparam("b_limit"))
)
_EVIDENCE: Final = Prepared(
    select(
        *(DISCLOSURE.c[name] for name in ("key_id", "evidence_ct", "leaf", "proof")),
        _DECISION.c.detail_ct,
        CASE.c.referrer,
        CASE.c.version,
    )
    .join(_DECISION, _DECISION.c.id == DISCLOSURE.c.decision_id)
    .join(CASE, IN_CASE)
    .where(_THIS)
)
_SET_ASIDE: Final = Prepared(
    update(DISCLOSURE)
    .where(_THIS, DISCLOSURE.c.state == State.PROVEN.value)
    .values(state=State.BLOCKED.value, reason=Hold.ALTERED.value, next_at=None)
)
_PROVEN: Final = Prepared(
    update(DISCLOSURE)
    .where(_THIS, DISCLOSURE.c.proof.is_(None))
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
    "opened_at",
    "withdrawn_at",
    "answer_due",
    "answered_at",
    "answer",
    "duty",
    "unanswered_at",
)
"""What the model's methods change, and so what a compare and swap compares."""


def _still(name: str) -> ColumnElement[bool]:
    """Return the condition that a column holds what was read of it, null included."""
    column = DISCLOSURE.c[name]
    was = bindparam(f"b_{name}", type_=column.type)
    return column.is_not_distinct_from(was) if column.nullable else column == was


_UNCHANGED: Final = and_(_THIS, *map(_still, _MUTABLE))


@lru_cache
def _replacing(changed: tuple[str, ...]) -> Prepared:
    """Make the compare and swap that sets these columns; the model's methods name few sets."""
    return Prepared(update(DISCLOSURE).where(_UNCHANGED), *changed)


class SqlDisclosures:
    """Fulfils `sharing.disclosures.ports.Disclosures` inside one unit of work."""

    def __init__(self, unit: Unit, deps: RepositoryDeps, keys: CaseKeys) -> None:
        self._unit = unit
        self._conn = unit.connection
        self._deps = deps
        self._keys = keys
        self._seal = deps.seals.disclosure
        self._decisions: dict[UUID, SealedDecision] = {}

    def add(self, disclosure: Disclosure, evidence: Evidence) -> None:
        """Insert it with its evidence sealed."""
        key = self._keys.of_case(disclosure.case_id)
        sealed = key.seal("disclosure", "evidence_ct", disclosure.id, evidence.encode())
        row = sealed_row(disclosure, self._seal)
        _NEW.run(self._conn, {**row, "key_id": key.subject_id, "evidence_ct": sealed})

    def get(self, delivery_id: UUID) -> Disclosure | None:
        """Lock it on PostgreSQL; SQLite's writer has the whole file."""
        return self._one(_BY_ID, b_id=delivery_id)

    def by_record(self, record_id: UUID) -> Disclosure | None:
        """Look it up by the audit record's id."""
        return self._one(_BY_RECORD, b_record=record_id)

    def of_case(self, case_id: UUID) -> tuple[Disclosure, ...]:
        """List the disclosures of a case, oldest first."""
        rows = _OF_CASE.run(self._conn, {"b_case": case_id})
        return tuple(disclosure_of(row, self._seal) for row in rows)

    def delivered(self, delivery_ids: Collection[UUID]) -> Mapping[UUID, Disclosure]:
        """Read them in one statement, each for itself."""
        found: dict[UUID, Disclosure] = {}
        for row in _BY_IDS.run(self._conn, {"ids": list(delivery_ids)}):
            with suppress(RowAltered):  # met and alarmed; it must not hide the others
                found[row.id] = disclosure_of(row, self._seal)
        return found

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
            if found is not None:
                self._deps.case_rows(self._conn).demand(found.case_id)
        return None if found is None else authorised_disclosure(found, relation, reason)

    def evidence(self, authorised: AuthorisedDisclosure) -> Evidence:
        """Open it, and the decision it rests on, and compare.

        Raises NotAllowed, ContentGone when the key is gone, RowAltered when they do not agree.
        """
        authorised.require(Opens.EVIDENCE)
        disclosure = authorised.disclosure
        this = disclosure.id
        row = _EVIDENCE.run(self._conn, {"b_id": this}).one()
        key = self._keys.get(row.key_id)
        try:
            text = key.open("disclosure", "evidence_ct", this, row.evidence_ct)
        except SealRefused:
            raise self._seal.altered(this) from None
        evidence = Evidence.decode(text, leaf=row.leaf, proof=row.proof)
        made = disclosure.decision_id
        try:
            if made not in self._decisions:
                self._decisions[made] = decision_in(
                    key.open("decision", "detail_ct", made, row.detail_ct)
                )
        except SealRefused:
            raise self._deps.seals.decision.altered(made) from None
        referrer = row.referrer if row.version == disclosure.snapshot_version else None
        if not agree(disclosure, evidence, self._decisions[made], referrer):
            raise self._seal.altered(this)
        return evidence

    def replace(self, old: Disclosure, new: Disclosure) -> None:
        """Set what changed where everything that can change is still as it was read."""
        if old.id != new.id:
            raise ValueError("not the same disclosure")
        changed = {
            name: stored(new, name) for name in _MUTABLE if getattr(new, name) != getattr(old, name)
        }
        if not changed:
            return
        changed["row_seal"] = sealed_row(new, self._seal)["row_seal"]
        read = {f"b_{name}": stored(old, name) for name in _MUTABLE}
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
        found = []
        for row in rows.all():
            with suppress(RowAltered):  # met and alarmed; it must not hide who else is in danger
                disclosure = disclosure_of(row, self._seal)
                self._deps.case_rows(self._conn).demand(disclosure.case_id)
                urgent = row.vetting.get("urgent", False)
                found.append(Unproven(disclosure, row.referrer_reference, urgent))
        return tuple(found)

    def set_aside(self, delivery_id: UUID) -> None:
        """Change the row's state and leave its seal, which no longer fits."""
        _SET_ASIDE.run(self._conn, {"b_id": delivery_id})

    def _one(self, query: Prepared, **values: object) -> Disclosure | None:
        row = query.run(self._conn, values).first()
        return None if row is None else disclosure_of(row, self._seal)
