"""Referrals in the database, each found by its own agency alone."""

from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from sqlalchemy import Connection, bindparam, insert, select

from common.access import Granted
from common.database import Prepared
from common.sealed import SubjectErased
from referral.cases.model.authority import AuthorisedCase, Opens, Relation, authorise
from referral.cases.model.referral import FormKind, OwnReferral, Referral, ReferralState
from referral.cases.repository.altered import demand_sender
from referral.cases.repository.keys import CaseKeys
from referral.tables import CaseFile, ReferralRow, external_index, not_barred, table_of

_CASE: Final = table_of(CaseFile)
_REFERRAL: Final = table_of(ReferralRow)
_TABLE, _EXTERNAL = "referral", "external_ct"
"""What the seal is bound to; they stay when a table or column is renamed."""
_NEW = Prepared(insert(_REFERRAL), *_REFERRAL.c.keys())
_CLAIMED = Prepared(
    select(_REFERRAL.c.id).where(
        _REFERRAL.c.agency == bindparam("sender"),
        _REFERRAL.c.external_bi == bindparam("reference"),
    )
)


class SqlReferrals:
    """Fulfils `cases.ports.Referrals` inside one unit of work."""

    def __init__(self, connection: Connection, index_key: bytes, keys: CaseKeys) -> None:
        self._conn = connection
        self._index_key = index_key
        self._keys = keys

    def add(self, proof: AuthorisedCase, referral: Referral) -> None:
        """Seal the external reference under the case's key, and index it."""
        proof.require(Opens.REVISION)
        proof.covers(referral.case_id, referral.agency)
        external, reference_bi, external_ct = referral.external_reference, None, None
        if external is not None:
            key = self._keys.of(referral.case_id)
            external_ct = key.seal(_TABLE, _EXTERNAL, referral.referral_id, external)
            reference_bi = external_index(self._index_key, external)
        row = {
            "id": referral.referral_id,
            "case_id": referral.case_id,
            "agency": referral.agency,
            "form": referral.form.value,
            "kind": referral.kind,
            "area": referral.area,
            "source": referral.source,
            "state": referral.state.value,
            "external_bi": reference_bi if referral.claims_reference else None,
            "external_ct": external_ct,
            "rules_version": referral.rules_version,
            "received_at": referral.received_at,
            "reference_bi": reference_bi,
            "changed_at": referral.received_at,
        }
        _NEW.run(self._conn, row)

    def own(self, granted: Granted, referral_id: UUID) -> OwnReferral | None:
        """Look by one predicate, id and agency: another's referral and none are the same work."""
        query = (
            select(_REFERRAL, _CASE.c.version, _CASE.c.head_ct)
            .join(_CASE, _CASE.c.id == _REFERRAL.c.case_id)
            .where(
                _REFERRAL.c.id == referral_id,
                _REFERRAL.c.agency == granted.principal.agency,
                not_barred(_REFERRAL.c.case_id, granted.principal.agency),
            )
        )
        row = self._conn.execute(query).mappings().first()
        if row is None:
            return None
        proof = authorise(
            row["case_id"], row["version"], row["agency"], Relation.SENDER, row["head_ct"]
        )
        with suppress(SubjectErased):  # nothing sealed opens any more
            key = self._keys.of(proof.case_id)
            demand_sender(key, proof.case_id, proof.sealed_outline, referral_id, proof.agency)
        return OwnReferral(self._referral(row), proof)

    def claimed(self, granted: Granted, external_reference: str) -> UUID | None:
        """Look by blind index, within the sender's own agency."""
        wanted = {
            "sender": granted.principal.agency,
            "reference": external_index(self._index_key, external_reference),
        }
        found: UUID | None = _CLAIMED.run(self._conn, wanted).scalar_one_or_none()
        return found

    def completion(self, proof: AuthorisedCase) -> Referral | None:
        """Find the full form of a case that began with an urgent one; it has at most one."""
        proof.require(Opens.REVISION)
        query = select(_REFERRAL).where(
            _REFERRAL.c.case_id == proof.case_id,
            _REFERRAL.c.agency == proof.agency,
            _REFERRAL.c.form == FormKind.FULL.value,
        )
        row = self._conn.execute(query).mappings().first()
        return None if row is None else self._referral(row)

    def _referral(self, row: Any) -> Referral:
        sealed = row["external_ct"]
        external = (
            None
            if sealed is None
            else self._keys.of(row["case_id"]).open(_TABLE, _EXTERNAL, row["id"], sealed)
        )
        return Referral(
            referral_id=row["id"],
            case_id=row["case_id"],
            agency=row["agency"],
            form=FormKind(row["form"]),
            kind=row["kind"],
            area=row["area"],
            source=row["source"],
            state=ReferralState(row["state"]),
            external_reference=external,
            claims_reference=row["external_bi"] is not None,
            received_at=row["received_at"],
            rules_version=row["rules_version"],
        )
