"""The repository: Core statements over the tables, sealing on the way in and opening on the way
out."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, TypeVar
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Insert,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from common import topics
from common.access import Granted
from common.audit_trail import AuditTrail
from common.database import Database, Prepared, Unit, UuidType, among
from common.events import Event
from common.events.case import CaseSnapshot
from common.faults import crash_point
from common.inbox import Inbox
from common.outbox import Outbox
from common.sealed import SubjectErased, SubjectKey, SubjectKeys, SubjectUnknown
from hubformats.agency_events import DisclosurePackage, Promise
from hubformats.audit_record import AuditEntry
from hubformats.canonical import canonical, parse
from hubformats.clock import Clock
from hubformats.ids import uuid7
from sharing.domain.disclosure import THIRD_PARTY, Disclosure, Evidence
from sharing.ports import CaseFile, Delivery, Record, Sealed, Shown, Tx, Unproven, View
from sharing.storage.looking import SqlView
from sharing.storage.tables import (
    DELIVERY,
    INBOX_PLACE,
    PASSED_OVER,
    CaseRow,
    DecisionRow,
    DisclosureRow,
    table_of,
)

T = TypeVar("T")

_CASE = table_of(CaseRow)
_DECISION = table_of(DecisionRow)
_DISCLOSURE = table_of(DisclosureRow)
_OWN: Final = tuple(field.name for field in fields(Disclosure))
_REFERRAL: Final = "svc:referral"

# Made once: building a statement costs several times what running it does.
_CASES: Final = select(_CASE.c.case_id, _CASE.c.version, _CASE.c.referrer, _CASE.c.vetting)
_THIS_CASE: Final = _CASE.c.case_id == bindparam("b_case")
_CASE_BY_ID: Final = Prepared(_CASES.where(_THIS_CASE))
_CASE_HELD: Final = Prepared(_CASES.where(_THIS_CASE).with_for_update())
_CASE_BY_REFERENCE: Final = Prepared(
    _CASES.where(
        _CASE.c.referrer == bindparam("b_agency"),
        _CASE.c.referrer_reference == bindparam("b_reference"),
    )
)
_CASE_KEY: Final = Prepared(select(_CASE.c.key_id).where(_THIS_CASE))
_CASE_KNOWN: Final = Prepared(
    select(_CASE.c.key_id, _CASE.c.version, _CASE.c.vetting).where(_THIS_CASE)
)
_CASE_SNAPSHOT: Final = Prepared(select(_CASE.c.key_id, _CASE.c.snapshot_ct).where(_THIS_CASE))
_NEW_CASE: Final = Prepared(insert(_CASE), *_CASE.c.keys())
_CHANGED_CASE: Final = Prepared(
    update(_CASE).where(_THIS_CASE), *(column.key for column in _CASE.c if not column.primary_key)
)
_EMPTIED_CASE: Final = Prepared(update(_CASE).where(_THIS_CASE), "key_id", "snapshot_ct")
_DECISIONS: Final = Prepared(
    select(func.count())
    .select_from(_DECISION)
    .where(
        _DECISION.c.case_id == bindparam("b_case"),
        _DECISION.c.snapshot_version == bindparam("b_version"),
    )
)
_NEW_DECISION: Final = Prepared(insert(_DECISION), *_DECISION.c.keys())
_NEW_DISCLOSURE: Final = Prepared(insert(_DISCLOSURE), *_OWN, "key_id", "evidence_ct")
_DISCLOSURES: Final = select(*(_DISCLOSURE.c[name] for name in _OWN))
_BY_ID: Final = Prepared(
    _DISCLOSURES.where(_DISCLOSURE.c.id == bindparam("b_id")).with_for_update()
)
_BY_RECORD: Final = Prepared(
    _DISCLOSURES.where(_DISCLOSURE.c.record_id == bindparam("b_record")).with_for_update()
)
_OF_CASE: Final = Prepared(
    _DISCLOSURES.where(_DISCLOSURE.c.case_id == bindparam("b_case")).order_by(
        _DISCLOSURE.c.decided_at, _DISCLOSURE.c.id
    )
)
_UNPROVEN: Final = (
    _DISCLOSURES.add_columns(_CASE.c.referrer_reference, _CASE.c.vetting)
    .join(_CASE, _CASE.c.case_id == _DISCLOSURE.c.case_id)
    .where(
        _CASE.c.referrer == bindparam("b_agency"),
        func.coalesce(_CASE.c.vetting["source"].as_string(), "") != THIRD_PARTY,
    )
    .where(
        or_(
            _DISCLOSURE.c.state == "awaiting_receipt",
            and_(_DISCLOSURE.c.state == "released", _DISCLOSURE.c.standing == "promised"),
        )
    )
    .where(
        or_(
            bindparam("b_any", type_=Boolean),
            _DISCLOSURE.c.id == bindparam("b_one", type_=UuidType),
        )
    )
    .order_by(
        case((_DISCLOSURE.c.state == "awaiting_receipt", 0), else_=1),
        case((func.coalesce(_CASE.c.vetting["urgent"].as_boolean(), false()), 0), else_=1),
        _DISCLOSURE.c.decided_at.desc(),
        _DISCLOSURE.c.id.desc(),
    )
    .limit(bindparam("b_limit"))
)
_EVIDENCE: Final = Prepared(
    select(
        _DISCLOSURE.c.key_id, _DISCLOSURE.c.evidence_ct, _DISCLOSURE.c.leaf, _DISCLOSURE.c.proof
    ).where(_DISCLOSURE.c.id == bindparam("b_id"))
)
_PROVEN: Final = Prepared(
    update(_DISCLOSURE)
    .where(_DISCLOSURE.c.id == bindparam("b_id"), _DISCLOSURE.c.proof.is_(None))
    .values(leaf=bindparam("b_leaf"), leaf_index=bindparam("b_index"), proof=bindparam("b_proof"))
)
_PASSED_OVER: Final = Prepared(
    select(PASSED_OVER.c.agency).where(PASSED_OVER.c.case_id == bindparam("b_case"))
)
_DELIVERY_FIELDS: Final = tuple(field.name for field in fields(Delivery))
_NEW_DELIVERY: Final = Prepared(insert(DELIVERY), "agency", *_DELIVERY_FIELDS)
_SHOWN: Final = (
    select(
        DELIVERY,
        _DISCLOSURE.c.case_id,
        _CASE.c.referrer,
        _DISCLOSURE.c.saved_at,
        _DISCLOSURE.c.acknowledged_at,
    )
    .join(_DISCLOSURE, _DISCLOSURE.c.id == DELIVERY.c.delivery_id)
    .join(_CASE, _CASE.c.case_id == _DISCLOSURE.c.case_id)
)
_ENVELOPES: Final = Prepared(
    _SHOWN.where(
        DELIVERY.c.agency == bindparam("b_agency"),
        DELIVERY.c.delivery_id == bindparam("b_delivery"),
    ).order_by(DELIVERY.c.position)
)
_BEHIND: Final = Prepared(
    _SHOWN.where(
        DELIVERY.c.agency == bindparam("b_agency"), DELIVERY.c.position > bindparam("b_after")
    )
    .order_by(DELIVERY.c.position)
    .limit(bindparam("b_limit"))
)


def _placing(dialect: str) -> Insert:
    new = sqlite.insert(INBOX_PLACE) if dialect == "sqlite" else postgresql.insert(INBOX_PLACE)
    taken = new.on_conflict_do_update(
        index_elements=["agency"], set_={"last": INBOX_PLACE.c.last + 1}
    )
    return taken.returning(INBOX_PLACE.c.last)


_PLACED: Final = Prepared(_placing, "agency", "last")


@lru_cache
def _advancing(changed: tuple[str, ...]) -> Prepared:
    """The compare-and-swap that also sets these columns; our own code names few sets of them."""
    return Prepared(
        lambda dialect: update(_DISCLOSURE).where(
            _DISCLOSURE.c.id == bindparam("b_id"), among(_DISCLOSURE.c.state, "b_expected", dialect)
        ),
        *changed,
    )


@dataclass(frozen=True, slots=True)
class Sealing:
    """What the repository seals, sends and records with, given once by wiring.

    `left` is called after a package's commit.
    """

    subject_keys: SubjectKeys
    outbox: Outbox
    inbox: Inbox
    trail: AuditTrail
    clock: Clock
    left: Callable[[str], None]


class SharingStore:
    """Opens transactions on the service's database; fulfils `sharing.ports.Store`."""

    def __init__(self, database: Database, sealing: Sealing) -> None:
        self._database = database
        self._sealing = sealing

    async def write(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in one group-committed transaction; returns after the commit."""
        answer = await self._database.write(lambda unit: work(SqlTx(unit, self._sealing)))
        # Crash here: everything is durable and nobody was told; the worker and the callers find it
        # done.
        crash_point("sharing.after-commit")
        return answer

    async def read(self, work: Callable[[View], T]) -> T:
        """Run `work` on one snapshot."""
        return await self._database.read(lambda connection: work(SqlView(connection)))


class SqlTx:
    """Fulfils `sharing.ports.Tx` inside one unit of work."""

    def __init__(self, unit: Unit, sealing: Sealing) -> None:
        self._unit = unit
        self._conn = unit.connection
        self._sealing = sealing
        self._keys: dict[UUID, SubjectKey] = {}
        """By key id, for as long as this transaction."""

    def case(self, case_id: UUID) -> CaseFile | None:
        """The row, without its sealed part."""
        return self._case(_CASE_BY_ID, b_case=case_id)

    def hold_case(self, case_id: UUID) -> CaseFile | None:
        """Locked on PostgreSQL; SQLite's writer has the whole file."""
        return self._case(_CASE_HELD, b_case=case_id)

    def case_by_reference(self, agency: str, reference: str) -> CaseFile | None:
        """One predicate, agency and reference, so that another's case and none at all are the same
        work.
        """
        return self._case(_CASE_BY_REFERENCE, b_agency=agency, b_reference=reference)

    def keep_snapshot(self, granted: Granted, snapshot: CaseSnapshot, reference: str) -> None:
        """Insert or replace, sealed whole under the case's key."""
        case_id = snapshot.case_id
        known = _CASE_KNOWN.run(self._conn, {"b_case": case_id}).one_or_none()
        key = self._sealing.subject_keys.ensure(self._conn, known.key_id if known else uuid7())
        since = _markings(known) if known else {}
        values = {
            "key_id": key.subject_id,
            "version": snapshot.version,
            "area": snapshot.area,
            "referrer": snapshot.referrer_agency,
            "referrer_reference": reference,
            "vetting": {
                "subjects": [str(subject.subject_id) for subject in snapshot.subjects],
                "markings": {
                    str(marking.marking_id): since.get(marking.marking_id, snapshot.version)
                    for marking in snapshot.markings
                },
                "source": snapshot.source,
                "urgent": snapshot.urgent,
            },
            "snapshot_ct": key.seal(
                "case_file", "snapshot_ct", case_id, canonical(snapshot.data()).decode()
            ),
            "changed_at": self._sealing.clock.now(),
        }
        if known is None:
            _NEW_CASE.run(self._conn, {"case_id": case_id, **values})
        else:
            _CHANGED_CASE.run(self._conn, {"b_case": case_id, **values})

    def passed_over(self, case_id: UUID) -> frozenset[str]:
        """By the case."""
        return frozenset(_PASSED_OVER.run(self._conn, {"b_case": case_id}).scalars())

    def keep_passed_over(self, case_id: UUID, agencies: Collection[str]) -> None:
        """The difference only."""
        known = self.passed_over(case_id)
        if gone := known.difference(agencies):
            self._conn.execute(
                delete(PASSED_OVER).where(
                    PASSED_OVER.c.case_id == case_id, PASSED_OVER.c.agency.in_(gone)
                )
            )
        since = self._sealing.clock.now()
        if new := [
            {"agency": agency, "case_id": case_id, "since": since}
            for agency in agencies
            if agency not in known
        ]:
            self._conn.execute(insert(PASSED_OVER), new)

    def snapshot(self, granted: Granted, case_id: UUID) -> CaseSnapshot:
        """Opened; Sealed when the key is gone."""
        row = _CASE_SNAPSHOT.run(self._conn, {"b_case": case_id}).first()
        if row is None or not row.snapshot_ct:
            raise Sealed("no-snapshot")
        return CaseSnapshot.model_validate(
            parse(self._key(row.key_id).open("case_file", "snapshot_ct", case_id, row.snapshot_ct))
        )

    def forget(self, case_id: UUID, subject_id: UUID) -> None:
        """Crypto-erasure: the rows stay for the counts, nothing in them opens again."""
        self._sealing.trail.destroy_subject(self._unit, subject_id)
        key_id = _CASE_KEY.run(self._conn, {"b_case": case_id}).scalar_one_or_none()
        if key_id is not None:
            self._keys.pop(key_id, None)
            with suppress(SubjectUnknown):
                self._sealing.subject_keys.destroy(self._conn, key_id)
            _EMPTIED_CASE.run(
                self._conn, {"b_case": case_id, "key_id": uuid7(), "snapshot_ct": b""}
            )
        self.keep_passed_over(case_id, ())

    def keep_decision(
        self,
        decision_id: UUID,
        case_id: UUID,
        version: int,
        summary: Mapping[str, Any],
        detail: str,
    ) -> None:
        """Behind the decisions there already are on this version."""
        key = self._case_key(case_id)
        ordinal = _DECISIONS.run(self._conn, {"b_case": case_id, "b_version": version}).scalar_one()
        row = {
            "id": decision_id,
            "case_id": case_id,
            "key_id": key.subject_id,
            "snapshot_version": version,
            "ordinal": ordinal,
            "as_of": summary["asOf"],
            "agreement": summary["agreement"],
            "agreement_version": summary["agreementVersion"],
            "agreement_hash": summary["agreementHash"],
            "inputs_hash": summary["inputsHash"],
            "detail_ct": key.seal("decision", "detail_ct", decision_id, detail),
        }
        _NEW_DECISION.run(self._conn, row)

    def add_disclosure(self, granted: Granted, disclosure: Disclosure, evidence: Evidence) -> None:
        """Waiting for its receipt."""
        key = self._case_key(disclosure.case_id)
        sealed = key.seal("disclosure", "evidence_ct", disclosure.id, evidence.encode())
        own = {name: getattr(disclosure, name) for name in _OWN}
        _NEW_DISCLOSURE.run(self._conn, {**own, "key_id": key.subject_id, "evidence_ct": sealed})

    def disclosure(self, delivery_id: UUID) -> Disclosure | None:
        """Locked on PostgreSQL; SQLite's writer has the whole file."""
        return self._one(_BY_ID, b_id=delivery_id)

    def evidence(self, granted: Granted, disclosure: Disclosure) -> Evidence:
        """Opened; Sealed when the key is gone."""
        row = _EVIDENCE.run(self._conn, {"b_id": disclosure.id}).one()
        text = self._key(row.key_id).open(
            "disclosure", "evidence_ct", disclosure.id, row.evidence_ct
        )
        return Evidence.decode(text, leaf=row.leaf, proof=row.proof)

    def promise(self, disclosure: Disclosure) -> Promise | None:
        """From the trail, which numbered the record."""
        if disclosure.proof_due is None:
            return None
        try:
            return self._sealing.trail.promise_again(
                self._unit, disclosure.record_id, disclosure.proof_due
            )
        except LookupError:
            return None

    def by_record(self, record_id: UUID) -> Disclosure | None:
        """By the audit record's id."""
        return self._one(_BY_RECORD, b_record=record_id)

    def of_case(self, case_id: UUID) -> tuple[Disclosure, ...]:
        """Oldest first."""
        return tuple(_disclosure(row) for row in _OF_CASE.run(self._conn, {"b_case": case_id}))

    def unproven(
        self, referrer: str, limit: int, delivery_id: UUID | None = None
    ) -> tuple[Unproven, ...]:
        """Opened is nothing: states, times and names of agencies."""
        wanted = {"b_any": delivery_id is None, "b_one": delivery_id}
        rows = self._conn.execute(_UNPROVEN, {"b_agency": referrer, "b_limit": limit, **wanted})
        own = len(_OWN)
        return tuple(
            Unproven(
                Disclosure(*row[:own]), row.referrer_reference, row.vetting.get("urgent", False)
            )
            for row in rows
        )

    def advance(self, delivery_id: UUID, expected: Sequence[str], **changes: Any) -> bool:
        """Compare-and-swap on the state."""
        this = {"b_id": delivery_id, "b_expected": list(expected)}
        done = _advancing(tuple(changes)).run(self._conn, {**this, **changes}).rowcount == 1
        if done and changes.get("state") == "proven":
            self._unit.after_commit(lambda: self._sealing.left(""))
        return done

    def prove(self, delivery_id: UUID, leaf: bytes, index: int, proof: str) -> None:
        """Beside the sealed evidence; the first receipt stays."""
        _PROVEN.run(
            self._conn, {"b_id": delivery_id, "b_leaf": leaf, "b_index": index, "b_proof": proof}
        )
        self._unit.after_commit(lambda: self._sealing.left(""))

    def held(self, case_id: UUID) -> bool:
        """Referral's messages about a case travel under its id; nobody else's can hold it, whatever
        key they choose.
        """
        return self._sealing.inbox.held(
            self._conn, key=str(case_id), topics=(topics.CASE, topics.CASE_BULK)
        )

    def send_package(
        self,
        disclosure: Disclosure,
        event: DisclosurePackage,
        *,
        kind: str,
        not_before: datetime | None,
    ) -> Delivery:
        """One envelope, in the outbox and in the inbox, byte for byte the same."""
        agency = disclosure.recipient
        sent = self._sealing.outbox.send(
            self._unit,
            topic=topics.disclosure(agency),
            key=agency,
            event=event,
            to=[agency],
            stream=agency,
            not_before=not_before,
        )
        crash_point("sharing.package-sealed")
        made = Delivery(
            position=self._place(agency),
            delivery_id=disclosure.id,
            kind=kind,
            envelope=sent.value,
            digest=sent.digest,
            event_id=sent.id,
            visible_at=not_before or self._sealing.clock.now(),
        )
        _NEW_DELIVERY.run(
            self._conn,
            {"agency": agency, **{name: getattr(made, name) for name in _DELIVERY_FIELDS}},
        )
        self._unit.after_commit(lambda: self._sealing.left(agency))
        return made

    def deliveries(self, agency: str, delivery_id: UUID) -> tuple[Shown, ...]:
        """One predicate, agency and id."""
        return self._shown(_ENVELOPES, b_agency=agency, b_delivery=delivery_id)

    def inbox(self, agency: str, after: int, limit: int, now: datetime) -> tuple[Shown, ...]:
        """Stops at the first that may not be seen yet: a reader's place must never jump over it."""
        found = self._shown(_BEHIND, b_agency=agency, b_after=after, b_limit=limit)
        early = next(
            (place for place, each in enumerate(found) if each.delivery.visible_at > now),
            len(found),
        )
        return found[:early]

    def confirmed(self, event_ids: Sequence[UUID]) -> None:
        """The outbox may forget the bytes; the inbox row keeps its own until expiry."""
        self._sealing.outbox.confirm(self._unit, event_ids)

    def publish(self, case_id: UUID, event: Event) -> None:
        """On one stream per case."""
        key = str(case_id)
        self._sealing.outbox.send(
            self._unit, topic=topics.SHARING, key=key, event=event, to=[_REFERRAL]
        )

    def record(self, entry: AuditEntry) -> Record:
        """In this transaction."""
        made = self._sealing.trail.record(self._unit, entry)
        return Record(made.id, made.record, made.salt)

    def _case_key(self, case_id: UUID) -> SubjectKey:
        return self._key(_CASE_KEY.run(self._conn, {"b_case": case_id}).scalar_one())

    def _key(self, key_id: UUID) -> SubjectKey:
        if key_id not in self._keys:
            try:
                self._keys[key_id] = self._sealing.subject_keys.get(self._conn, key_id)
            except (SubjectErased, SubjectUnknown):
                raise Sealed("case-key-gone") from None
        return self._keys[key_id]

    def _case(self, query: Prepared, **values: object) -> CaseFile | None:
        row = query.run(self._conn, values).first()
        if row is None:
            return None
        subjects = tuple(UUID(one) for one in row.vetting["subjects"])
        return CaseFile(
            row.case_id,
            row.version,
            row.referrer,
            subjects,
            _markings(row),
            row.vetting.get("source", ""),
        )

    def _one(self, query: Prepared, **values: object) -> Disclosure | None:
        row = query.run(self._conn, values).first()
        return None if row is None else _disclosure(row)

    def _shown(self, query: Prepared, **values: object) -> tuple[Shown, ...]:
        return tuple(
            Shown(
                Delivery(
                    r.position,
                    r.delivery_id,
                    r.kind,
                    bytes(r.envelope),
                    r.digest,
                    r.event_id,
                    r.visible_at,
                ),
                r.case_id,
                r.referrer,
                r.saved_at,
                r.acknowledged_at,
            )
            for r in query.run(self._conn, values)
        )

    def _place(self, agency: str) -> int:
        place: int = _PLACED.run(self._conn, {"agency": agency, "last": 1}).scalar_one()
        return place


def _markings(row: Any) -> Mapping[UUID, int]:
    """Each veto with its first version.

    A row of before that was kept is a list: any of them may be as new as the row itself.
    """
    known = row.vetting["markings"]
    first = known if isinstance(known, dict) else dict.fromkeys(known, row.version)
    return {UUID(one): version for one, version in first.items()}


def _disclosure(row: Sequence[Any]) -> Disclosure:
    """From the columns of `_OWN`, in their order."""
    return Disclosure(*row)
