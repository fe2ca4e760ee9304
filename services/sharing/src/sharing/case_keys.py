"""The keys under which cases are sealed, as one transaction uses them."""

from contextlib import suppress
from uuid import UUID

from sqlalchemy import bindparam, select

from common.database import Prepared, Unit
from common.sealed import SubjectErased, SubjectKey, SubjectUnknown
from hubformats.ids import uuid7
from sharing.context import ContentGone
from sharing.tables import CaseRow, RepositoryDeps, table_of

_CASE = table_of(CaseRow)
_CASE_KEY = Prepared(select(_CASE.c.key_id).where(_CASE.c.case_id == bindparam("b_case")))


class CaseKeys:
    """The cases' keys, kept for as long as one transaction."""

    def __init__(self, unit: Unit, deps: RepositoryDeps) -> None:
        self._conn = unit.connection
        self._keys = deps.subject_keys
        self._by_id: dict[UUID, SubjectKey] = {}
        self._meant: dict[UUID, UUID] = {}

    def of_case(self, case_id: UUID) -> SubjectKey:
        """Return the key a case's content is sealed under now. Raises ContentGone."""
        return self.get(_CASE_KEY.run(self._conn, {"b_case": case_id}).scalar_one())

    def get(self, key_id: UUID) -> SubjectKey:
        """Return a key by its id. Raises ContentGone."""
        if key_id not in self._by_id:
            try:
                self._by_id[key_id] = self._keys.get(self._conn, key_id)
            except (SubjectErased, SubjectUnknown):
                raise ContentGone("case-key-gone") from None
        return self._by_id[key_id]

    def mean(self, case_id: UUID, key_id: UUID) -> None:
        """Say which key a case will have that is not kept yet."""
        self._meant[case_id] = key_id

    def meant(self, case_id: UUID) -> UUID:
        """Choose the key of a case that is not kept yet."""
        return self._meant.get(case_id) or uuid7()

    def ensure(self, key_id: UUID) -> SubjectKey:
        """Return a key by its id, made if there is none."""
        self._by_id[key_id] = key = self._keys.ensure(self._conn, key_id)
        return key

    def destroy(self, key_id: UUID) -> None:
        """Destroy a key; nothing sealed under it opens again."""
        self._by_id.pop(key_id, None)
        with suppress(SubjectUnknown):
            self._keys.destroy(self._conn, key_id)
