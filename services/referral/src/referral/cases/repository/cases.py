"""Cases in the database: sealed on the way in, opened for a proof on the way out."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, delete, insert, select, update

from common.access import Granted
from common.database import Prepared, Unit
from common.events.case import CaseSnapshot
from common.sealed import SubjectErased, SubjectKey
from hubformats.ids import uuid7
from referral.cases.model.authority import (
    AuthorisedCase,
    NotAllowed,
    Opens,
    Relation,
    authorise,
    relation_of,
)
from referral.cases.model.case import Case, CaseOutline, VersionMoved
from referral.cases.model.outcome import OutcomeState
from referral.cases.repository.altered import altered
from referral.cases.repository.keys import CaseKeys, RepositoryDeps
from referral.cases.repository.snapshots import Snapshots
from referral.cases.repository.stored import (
    by_contribution,
    fact_texts,
    facts_in,
    head_text,
    outline_of,
)
from referral.tables import (
    Bar,
    CaseFile,
    FactGroup,
    OutcomeRow,
    ReferralRow,
    not_barred,
    table_of,
)

_CASE: Final = table_of(CaseFile)
_REFERRAL: Final = table_of(ReferralRow)
_FACTS: Final = table_of(FactGroup)
_BAR: Final = table_of(Bar)
_OUTCOME: Final = table_of(OutcomeRow)
_FILE, _HEAD = "case_file", "head_ct"
_GROUP, _SEALED = "fact_group", "facts_ct"
"""What the seals are bound to; they stay when a table or column is renamed."""

_NEW_CASE = Prepared(insert(_CASE), "id", "area", "version", "head_ct", "changed_at")
_NEW_FACTS = Prepared(insert(_FACTS), *_FACTS.c.keys())
_FOUND = select(_CASE.c.version, _CASE.c.head_ct).where(_CASE.c.id == bindparam("b_case"))
_FOR_ANY_CASE = Prepared(_FOUND)
_FOR_OFFICER = Prepared(_FOUND.where(not_barred(_CASE.c.id, bindparam("officers"))))
_CASE_OF = Prepared(select(_REFERRAL.c.case_id).where(_REFERRAL.c.id == bindparam("b_referral")))
_FOR_SENDER = Prepared(
    _FOUND.where(
        select(_REFERRAL.c.id)
        .where(_REFERRAL.c.case_id == _CASE.c.id, _REFERRAL.c.agency == bindparam("sender"))
        .exists(),
        not_barred(_CASE.c.id, bindparam("sender")),
    )
)


_TOLD = (
    _OUTCOME.c.recipient == bindparam("recipient"),
    _OUTCOME.c.reference == bindparam("reference"),
)
_FOR_RECIPIENT = Prepared(
    select(_CASE.c.id, _CASE.c.version, _CASE.c.head_ct)
    .join(_OUTCOME, _OUTCOME.c.case_id == _CASE.c.id)
    .where(
        *_TOLD,
        _OUTCOME.c.state != OutcomeState.WITHHELD.value,
        not_barred(_CASE.c.id, bindparam("recipient")),
    )
)
_CASE_TOLD = Prepared(select(_OUTCOME.c.case_id).where(*_TOLD))


class SqlCases:
    """Fulfils `cases.ports.Cases` inside one unit of work."""

    def __init__(self, unit: Unit, deps: RepositoryDeps, keys: CaseKeys) -> None:
        self._conn = unit.connection
        self._deps = deps
        self._keys = keys
        self._snapshots = Snapshots(unit, deps.outbox)

    def add(self, granted: Granted, case: Case) -> AuthorisedCase:
        """Store and publish."""
        agency = granted.principal.agency
        if case.outline.newest.agency != agency:
            raise NotAllowed("another agency contributed this case")
        snapshot = case.to_snapshot()
        # Case and people got their ids with this snapshot, so there is no key of theirs to look
        # for.
        keys = self._deps.subject_keys.create_fresh(self._conn, _key_ids(snapshot))
        sealed = self._sealed(keys, case)
        row = {
            "id": snapshot.case_id,
            "area": snapshot.area,
            "version": snapshot.version,
            "head_ct": sealed,
            "changed_at": case.outline.changed_at,
        }
        _NEW_CASE.run(self._conn, row)
        self._write_facts(keys, case)
        self._snapshots.publish(snapshot, snapshot.data())
        return authorise(snapshot.case_id, snapshot.version, agency, Relation.SENDER, sealed)

    def authorised(self, granted: Granted, case_id: UUID) -> AuthorisedCase | None:
        """Look in one statement, the case and the relation together."""
        relation, agency = relation_of(granted), granted.principal.agency
        if relation is Relation.SENDER:
            found = _FOR_SENDER.run(self._conn, {"b_case": case_id, "sender": agency})
        elif relation is Relation.PRIVACY_OFFICER:
            found = _FOR_OFFICER.run(self._conn, {"b_case": case_id, "officers": agency})
        else:
            found = _FOR_ANY_CASE.run(self._conn, {"b_case": case_id})
        row = found.first()
        if row is None:
            return None
        proof = authorise(case_id, row.version, agency, relation, row.head_ct)
        if relation is not Relation.SERVICE:
            self._demand_sealed(proof)
        return proof

    def of_referral(self, granted: Granted, referral_id: UUID) -> AuthorisedCase | None:
        """Find the case's id, then look as for any case."""
        if relation_of(granted) is not Relation.PRIVACY_OFFICER:
            return None
        case_id = _CASE_OF.run(self._conn, {"b_referral": referral_id}).scalar_one_or_none()
        return None if case_id is None else self.authorised(granted, case_id)

    def received(self, granted: Granted, reference: str) -> AuthorisedCase | None:
        """Look in one statement, the case and the relation together."""
        agency = granted.principal.agency
        wanted = {"recipient": agency, "reference": reference}
        row = _FOR_RECIPIENT.run(self._conn, wanted).first()
        if row is None:
            return None
        proof = authorise(row.id, row.version, agency, Relation.RECIPIENT, row.head_ct)
        self._demand_sealed(proof)
        return proof

    def of_recipient(self, granted: Granted, agency: str, reference: str) -> AuthorisedCase | None:
        """Find the case's id, then look as for any case."""
        if relation_of(granted) is not Relation.PRIVACY_OFFICER:
            return None
        wanted = {"recipient": agency, "reference": reference}
        case_id = _CASE_TOLD.run(self._conn, wanted).scalar_one_or_none()
        return None if case_id is None else self.authorised(granted, case_id)

    def outline(self, proof: AuthorisedCase) -> CaseOutline:
        """Open what the proof carries."""
        proof.require(Opens.OUTLINE)
        return self._outline(proof)

    def for_revision(self, proof: AuthorisedCase) -> Case:
        """Open the outline and every group of facts whose person is not erased."""
        proof.require(Opens.REVISION)
        outline = self._outline(proof)
        query = select(_FACTS).where(_FACTS.c.case_id == proof.case_id)
        rows = self._conn.execute(query).mappings().all()
        own = {proof.case_id, *(subject.subject_id for subject in outline.subjects)}
        if foreign := [row["id"] for row in rows if row["key_id"] not in own]:
            raise altered(_GROUP, foreign[0])
        keys = self._deps.subject_keys.load(self._conn, own)
        newest = len(outline.origins) - 1
        placed = [
            one
            for row in rows
            if row["key_id"] in keys
            for one in facts_in(
                keys[row["key_id"]].open(_GROUP, _SEALED, row["id"], row["facts_ct"]), newest
            )
        ]
        return Case(outline, by_contribution(placed, len(outline.origins)))

    def replace(self, proof: AuthorisedCase, old: Case, new: Case) -> None:
        """Swap the version, then the facts, then publish."""
        proof.require(Opens.REVISION)
        proof.covers(new.outline.case_id, proof.agency)
        snapshot = new.to_snapshot()
        keys = self._keys_for(snapshot)
        swapped = self._conn.execute(
            update(_CASE)
            .where(_CASE.c.id == proof.case_id, _CASE.c.version == old.outline.version)
            .values(
                version=snapshot.version,
                head_ct=self._sealed(keys, new),
                changed_at=new.outline.changed_at,
            )
        )
        if swapped.rowcount != 1:
            raise VersionMoved
        self._conn.execute(
            update(_REFERRAL)
            .where(_REFERRAL.c.case_id == proof.case_id)
            .values(changed_at=new.outline.changed_at)
        )
        self._conn.execute(delete(_FACTS).where(_FACTS.c.case_id == proof.case_id))
        self._write_facts(keys, new)
        if old.outline.barred != new.outline.barred:
            self._write_bars(new)
        self._snapshots.publish(snapshot, snapshot.data())

    def snapshot_decided(self, case_id: UUID, version: int) -> None:
        """Let go of its bytes."""
        self._snapshots.decided(case_id, version)

    def is_decided(self, proof: AuthorisedCase) -> bool:
        """Tell whether sharing has decided: decided snapshots have no row waiting."""
        proof.require(Opens.OUTCOMES)
        return self._snapshots.is_decided(proof.case_id, proof.version)

    def _demand_sealed(self, proof: AuthorisedCase) -> None:
        """Check that the case itself says who sent it and who is barred from it.

        The rows that found it are not believed.

        Raises RowAltered.
        """
        with suppress(SubjectErased):  # nothing sealed opens any more
            outline = self._outline(proof)
            if proof.agency in outline.barred:
                raise altered("bar", proof.case_id)
            is_sender = proof.agency in {origin.agency for origin in outline.origins}
            if proof.relation is Relation.SENDER and not is_sender:
                raise altered("referral", proof.case_id)

    def _outline(self, proof: AuthorisedCase) -> CaseOutline:
        key = self._keys.of(proof.case_id)
        return outline_of(key.open(_FILE, _HEAD, proof.case_id, proof.sealed_outline))

    def _keys_for(self, snapshot: CaseSnapshot) -> dict[UUID, SubjectKey]:
        """Read a key for the case and for each subject, made where missing."""
        ids = _key_ids(snapshot)
        found = self._deps.subject_keys.load(self._conn, ids)
        return {
            one: found.get(one) or self._deps.subject_keys.create(self._conn, one) for one in ids
        }

    def _sealed(self, keys: Mapping[UUID, SubjectKey], case: Case) -> bytes:
        case_id = case.outline.case_id
        key = self._keys.keep(keys[case_id])
        return key.seal(_FILE, _HEAD, case_id, head_text(case))

    def _write_bars(self, case: Case) -> None:
        case_id, barred = case.outline.case_id, sorted(case.outline.barred)
        self._conn.execute(delete(_BAR).where(_BAR.c.case_id == case_id))
        for agency in barred:
            self._conn.execute(insert(_BAR).values(case_id=case_id, agency=agency))

    def _write_facts(self, keys: Mapping[UUID, SubjectKey], case: Case) -> None:
        rows = []
        for owner, category, text in fact_texts(case):
            row_id = uuid7()
            rows.append(
                {
                    "id": row_id,
                    "case_id": case.outline.case_id,
                    "key_id": owner,
                    "category": category,
                    "facts_ct": keys[owner].seal(_GROUP, _SEALED, row_id, text),
                }
            )
        _NEW_FACTS.run_many(self._conn, rows)


def _key_ids(snapshot: CaseSnapshot) -> list[UUID]:
    """List whose keys seal a snapshot: the case's own and each subject's."""
    return [snapshot.case_id, *(subject.subject_id for subject in snapshot.subjects)]
