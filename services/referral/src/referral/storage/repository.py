"""The repository: Core statements over the tables, sealing on the way in and opening on the way
out."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update

from common.access import Granted
from common.attempts import Answer, Attempt
from common.audit_trail import AuditTrail
from common.database import Database, Prepared, Unit
from common.events.case import CaseSnapshot, Fact, Marking
from common.faults import crash_point
from common.outbox import Outbox
from common.sealed import SubjectKey, SubjectKeys, blind_index
from common.topics import CASE
from common.web.idempotency import Idempotency
from hubformats.audit_record import AuditEntry
from hubformats.ids import uuid7
from referral.ports import (
    CaseState,
    Outcome,
    ReferralTx,
    RefusedIntake,
    RefusedPage,
    RefusedPlace,
    StoredReferral,
    VersionMoved,
)
from referral.storage import promises
from referral.storage.refused import RefusedIntakes
from referral.storage.tables import (
    CaseFile,
    FactGroup,
    OutcomeRow,
    ReferralRow,
    SnapshotSent,
    table_of,
)

T = TypeVar("T")

_CASE = table_of(CaseFile)
_REFERRAL = table_of(ReferralRow)
_FACTS = table_of(FactGroup)
_OUTCOME = table_of(OutcomeRow)
_SENT = table_of(SnapshotSent)

_NEW_CASE = Prepared(insert(_CASE), "id", "area", "version", "head_ct", "changed_at")
_NEW_REFERRAL = Prepared(insert(_REFERRAL), *_REFERRAL.c.keys())
_NEW_FACTS = Prepared(insert(_FACTS), *_FACTS.c.keys())
_NEW_SENT = Prepared(insert(_SENT), *_SENT.c.keys())
_BY_EXTERNAL = Prepared(
    select(_REFERRAL.c.id).where(
        _REFERRAL.c.agency == bindparam("sender"), _REFERRAL.c.external_bi == bindparam("reference")
    )
)
_STATE = Prepared(select(_CASE.c.version, _CASE.c.head_ct).where(_CASE.c.id == bindparam("b_case")))
_HERE = (
    _OUTCOME.c.case_id == bindparam("b_case"),
    _OUTCOME.c.recipient == bindparam("b_recipient"),
)
_KNOWN_OUTCOME = Prepared(
    select(
        *(_OUTCOME.c[name] for name in ("snapshot_version", "state", "proof", "earlier_promise"))
    ).where(*_HERE)
)
_NEW_OUTCOME = Prepared(insert(_OUTCOME), *_OUTCOME.c.keys())
_TOLD = ("snapshot_version", "state", "clause", "proof", "reason_code", "changed_at")
_CHANGED_OUTCOME = Prepared(update(_OUTCOME).where(*_HERE), *_TOLD)
_DECIDED = (_SENT.c.case_id == bindparam("b_case"), _SENT.c.version <= bindparam("b_version"))
_SENT_BY = Prepared(select(_SENT.c.message_id).where(*_DECIDED))
_NO_LONGER_SENT = Prepared(delete(_SENT).where(*_DECIDED))
_UNDECIDED = Prepared(
    select(_SENT.c.version)
    .where(_SENT.c.case_id == bindparam("b_case"), _SENT.c.version >= bindparam("b_version"))
    .limit(1)
)

_RANK = {"withheld": 0, "decided": 1, "blocked": 2, "released": 3, "saved": 4}


@dataclass(frozen=True, slots=True)
class Sealing:
    """What the repository seals and sends with, given once by wiring."""

    subject_keys: SubjectKeys
    index_key: bytes
    outbox: Outbox
    trail: AuditTrail
    idempotency: Idempotency


class ReferralStore:
    """Opens transactions on the service's database; fulfils `referral.ports.Store`."""

    def __init__(self, database: Database, sealing: Sealing) -> None:
        self._database = database
        self._sealing = sealing

    async def write(self, work: Callable[[ReferralTx], T]) -> T:
        """Run `work` in one group-committed transaction; returns after the commit."""
        answer = await self._database.write(lambda unit: work(SqlTx(unit, self._sealing)))
        # Crash here: everything is durable and the caller has no answer; a retry with its
        # Idempotency-Key gets the stored one.
        crash_point("referral.after-commit")
        return answer


class SqlTx:
    """Fulfils `referral.ports.ReferralTx` inside one unit of work."""

    def __init__(self, unit: Unit, sealing: Sealing) -> None:
        self._unit = unit
        self._conn = unit.connection
        self._sealing = sealing

    def insert(self, granted: Granted, referral: StoredReferral, snapshot: CaseSnapshot) -> None:
        """Case, referral, facts and the published snapshot in this transaction."""
        # Case and people got their ids with this snapshot, so there is no key of theirs to look
        # for.
        keys = self._sealing.subject_keys.create_fresh(self._conn, _key_ids(snapshot))
        case_key, data = keys[snapshot.case_id], snapshot.data()
        row = {
            "id": snapshot.case_id,
            "area": snapshot.area,
            "version": snapshot.version,
            "head_ct": self._seal_head(case_key, snapshot.case_id, data),
            "changed_at": snapshot.received_at,
        }
        _NEW_CASE.run(self._conn, row)
        self._insert_referral(referral, case_key)
        self._insert_facts(snapshot, data, keys)
        self._publish(snapshot, data)

    def find(self, granted: Granted, referral_id: UUID) -> StoredReferral | None:
        """One predicate, id and agency, so that another's referral and none at all are the same
        work.
        """
        query = (
            select(_REFERRAL, _CASE.c.version, _CASE.c.head_ct)
            .join(_CASE, _CASE.c.id == _REFERRAL.c.case_id)
            .where(_REFERRAL.c.id == referral_id, _REFERRAL.c.agency == granted.principal.agency)
        )
        row = self._conn.execute(query).mappings().first()
        if row is None:
            return None
        key = self._sealing.subject_keys.get(self._conn, row["case_id"])
        external = (
            None
            if row["external_ct"] is None
            else key.open("referral", "external_ct", row["id"], row["external_ct"])
        )
        head: dict[str, Any] = json.loads(
            key.open("case_file", "head_ct", row["case_id"], row["head_ct"])
        )
        same = {
            name: row[name]
            for name in (
                "case_id",
                "agency",
                "form",
                "kind",
                "area",
                "source",
                "state",
                "received_at",
                "version",
                "rules_version",
            )
        }
        return StoredReferral(
            referral_id=row["id"], external_reference=external, snapshot_head=head, **same
        )

    def find_by_external(self, granted: Granted, external_reference: str) -> UUID | None:
        """By blind index, within the sender's own agency."""
        wanted = {
            "sender": granted.principal.agency,
            "reference": self._external_index(external_reference),
        }
        found: UUID | None = _BY_EXTERNAL.run(self._conn, wanted).scalar_one_or_none()
        return found

    def completion(self, granted: Granted, case_id: UUID) -> StoredReferral | None:
        """A case that began with an urgent form has at most one full one."""
        row = self._conn.execute(
            select(_REFERRAL.c.id).where(
                _REFERRAL.c.case_id == case_id,
                _REFERRAL.c.agency == granted.principal.agency,
                _REFERRAL.c.form == "full",
            )
        ).first()
        return None if row is None else self.find(granted, row.id)

    def facts(self, granted: Granted, case_id: UUID) -> tuple[Fact, ...]:
        """All facts of the current version, in the order of the form."""
        rows = (
            self._conn.execute(select(_FACTS).where(_FACTS.c.case_id == case_id)).mappings().all()
        )
        keys = self._sealing.subject_keys.load(self._conn, {row["key_id"] for row in rows})
        found: list[tuple[int, Fact]] = []
        for row in rows:
            # An erased subject has no key: what was about them is gone, the rest of the case
            # stands.
            if row["key_id"] in keys:
                text = keys[row["key_id"]].open(
                    "fact_group", "facts_ct", row["id"], row["facts_ct"]
                )
                found.extend((place, Fact.model_validate(raw)) for place, raw in json.loads(text))
        return tuple(fact for _, fact in sorted(found, key=lambda pair: pair[0]))

    def replace_snapshot(
        self, granted: Granted, referral: StoredReferral, snapshot: CaseSnapshot
    ) -> None:
        """Compare-and-swap of the version, then new facts, then the published snapshot."""
        keys, data = self._keys_for(snapshot), snapshot.data()
        head = self._seal_head(keys[snapshot.case_id], snapshot.case_id, data)
        swapped = self._conn.execute(
            update(_CASE)
            .where(_CASE.c.id == snapshot.case_id, _CASE.c.version == snapshot.version - 1)
            .values(version=snapshot.version, head_ct=head, changed_at=snapshot.received_at)
        )
        if swapped.rowcount != 1:
            raise VersionMoved
        known = select(_REFERRAL.c.id).where(_REFERRAL.c.id == referral.referral_id)
        if self._conn.execute(known).first() is None:
            self._insert_referral(referral, keys[snapshot.case_id])
        self._conn.execute(delete(_FACTS).where(_FACTS.c.case_id == snapshot.case_id))
        self._insert_facts(snapshot, data, keys)
        self._publish(snapshot, data)

    def case_state(self, case_id: UUID) -> CaseState | None:
        """Version and markings from the sealed head."""
        row = _STATE.run(self._conn, {"b_case": case_id}).first()
        if row is None:
            return None
        key = self._sealing.subject_keys.get(self._conn, case_id)
        head = json.loads(key.open("case_file", "head_ct", case_id, row.head_ct))
        markings = tuple(Marking.model_validate(raw) for raw in head["markings"])
        subjects = tuple(UUID(raw["subjectId"]) for raw in head["subjects"])
        return CaseState(case_id, row.version, subjects, markings)

    def outcomes(self, case_id: UUID) -> tuple[Outcome, ...]:
        """Permitted recipients only; a withheld one is sharing's record, not the referrer's to
        see.
        """
        query = (
            select(_OUTCOME)
            .where(_OUTCOME.c.case_id == case_id, _OUTCOME.c.state != "withheld")
            .order_by(_OUTCOME.c.first_at, _OUTCOME.c.recipient)
        )
        return tuple(
            Outcome(
                r["recipient"],
                r["snapshot_version"],
                r["state"],
                r["clause"],
                r["changed_at"],
                r["proof"],
                r["reason_code"],
                r["earlier_promise"],
            )
            for r in self._conn.execute(query).mappings()
        )

    def put_outcome(self, case_id: UUID, outcome: Outcome) -> None:
        """Newer snapshot version wins; within one, the further state wins.

        What was told stays told when later versions add nothing.

        The proof of what left on a promise is told afterwards, and changes nothing else.
        """
        here = {"b_case": case_id, "b_recipient": outcome.recipient}
        row = _KNOWN_OUTCOME.run(self._conn, here).first()
        values = {name: getattr(outcome, name) for name in _TOLD}
        if row is None:
            first = {
                "case_id": case_id,
                "recipient": outcome.recipient,
                "first_at": outcome.changed_at,
                "earlier_promise": "",
            }
            _NEW_OUTCOME.run(self._conn, {**first, **values})
        elif outcome.state == "withheld" and row.state in ("released", "saved"):
            return
        elif (outcome.snapshot_version, _RANK[outcome.state]) > (
            row.snapshot_version,
            _RANK[row.state],
        ):
            _CHANGED_OUTCOME.run(self._conn, {**here, **values})
            if before := promises.told_before(row, outcome):
                self._conn.execute(update(_OUTCOME).where(*_HERE).values(**before), here)
        elif found := promises.kept(row, outcome):
            self._conn.execute(update(_OUTCOME).where(*_HERE).values(**found), here)

    def promise_unkept(self, case_id: UUID, recipient: str, version: int, standing: str) -> None:
        """Beside the outcome."""
        promises.unkept(self._conn, case_id, recipient, version, standing)

    def snapshot_decided(self, case_id: UUID, version: int) -> None:
        """End-to-end confirmation: what the broker acknowledged may be page cache, what sharing
        decided on is durable there.
        """
        done = {"b_case": case_id, "b_version": version}
        found = _SENT_BY.run(self._conn, done).scalars()
        if found:
            self._sealing.outbox.confirm(self._unit, found)
            _NO_LONGER_SENT.run(self._conn, done)

    def is_decided(self, case_id: UUID, version: int) -> bool:
        """Decided snapshots have no row waiting."""
        return _UNDECIDED.run(self._conn, {"b_case": case_id, "b_version": version}).first() is None

    def note_refused_intake(
        self,
        agency: str,
        *,
        code: str,
        at: datetime,
        key_mark: bytes | None,
        external_reference: str | None,
    ) -> bool:
        """Without content."""
        return self._refused().note(agency, code, at, key_mark, external_reference)

    def correct_refused_intakes(
        self, granted: Granted, key_mark: bytes, external_reference: str | None
    ) -> None:
        """Of the caller's agency."""
        self._refused().correct(granted.principal.agency, key_mark, external_reference)

    def acknowledge_refused_intake(
        self, granted: Granted, refused_id: UUID
    ) -> RefusedIntake | None:
        """Of the caller's agency."""
        return self._refused().acknowledge(granted.principal.agency, refused_id)

    def refused_intakes(
        self, granted: Granted, after: RefusedPlace | None, limit: int
    ) -> RefusedPage:
        """Of the caller's agency."""
        return self._refused().open(granted.principal.agency, after, limit)

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """The stored answer of this Idempotency-Key, or `work`'s, stored in this transaction."""
        return self._sealing.idempotency.once(self._conn, attempt, work)

    def record(self, entry: AuditEntry) -> None:
        """In this transaction."""
        self._sealing.trail.record(self._unit, entry)

    def _refused(self) -> RefusedIntakes:
        return RefusedIntakes(self._conn, self._sealing.index_key)

    def _keys_for(self, snapshot: CaseSnapshot) -> dict[UUID, SubjectKey]:
        """A key for the case and for each subject, made where missing."""
        ids = _key_ids(snapshot)
        found = self._sealing.subject_keys.load(self._conn, ids)
        return {
            one: found.get(one) or self._sealing.subject_keys.create(self._conn, one) for one in ids
        }

    def _seal_head(self, key: SubjectKey, case_id: UUID, data: Mapping[str, Any]) -> bytes:
        head = {name: value for name, value in data.items() if name != "facts"}
        return key.seal("case_file", "head_ct", case_id, json.dumps(head))

    def _insert_referral(self, referral: StoredReferral, key: SubjectKey) -> None:
        external = referral.external_reference
        row = {
            "id": referral.referral_id,
            "case_id": referral.case_id,
            "agency": referral.agency,
            "form": referral.form,
            "kind": referral.kind,
            "area": referral.area,
            "source": referral.source,
            "state": referral.state,
            "external_bi": None
            if external is None or not referral.claims_reference
            else self._external_index(external),
            "external_ct": None
            if external is None
            else key.seal("referral", "external_ct", referral.referral_id, external),
            "rules_version": referral.rules_version,
            "received_at": referral.received_at,
        }
        _NEW_REFERRAL.run(self._conn, row)

    def _insert_facts(
        self, snapshot: CaseSnapshot, data: Mapping[str, Any], keys: dict[UUID, SubjectKey]
    ) -> None:
        _NEW_FACTS.run_many(self._conn, list(self._fact_rows(snapshot, data, keys)))

    def _fact_rows(
        self, snapshot: CaseSnapshot, data: Mapping[str, Any], keys: dict[UUID, SubjectKey]
    ) -> Iterable[dict[str, Any]]:
        groups: dict[tuple[UUID, str], list[tuple[int, dict[str, Any]]]] = defaultdict(list)
        for place, (fact, raw) in enumerate(zip(snapshot.facts, data["facts"], strict=True)):
            groups[(fact.subject or snapshot.case_id, fact.category)].append((place, raw))
        for (owner, category), facts in groups.items():
            row_id = uuid7()
            sealed = keys[owner].seal("fact_group", "facts_ct", row_id, json.dumps(facts))
            yield {
                "id": row_id,
                "case_id": snapshot.case_id,
                "key_id": owner,
                "category": category,
                "facts_ct": sealed,
            }

    def _external_index(self, external_reference: str) -> bytes:
        return blind_index(self._sealing.index_key, "referral.external", external_reference)

    def _publish(self, snapshot: CaseSnapshot, data: Mapping[str, Any]) -> None:
        stream = str(snapshot.case_id)
        sent = self._sealing.outbox.send(
            self._unit,
            topic=CASE,
            key=stream,
            event=snapshot,
            to=["svc:sharing"],
            stream=stream,
            data=data,
        )
        _NEW_SENT.run(
            self._conn,
            {"case_id": snapshot.case_id, "version": snapshot.version, "message_id": sent.id},
        )


def _key_ids(snapshot: CaseSnapshot) -> list[UUID]:
    """Whose keys seal a snapshot: the case's own and each subject's."""
    return [snapshot.case_id, *(subject.subject_id for subject in snapshot.subjects)]
