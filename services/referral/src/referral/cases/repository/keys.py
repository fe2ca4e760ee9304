"""What the repositories seal, find and send with."""

from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import Connection

from common.outbox import Outbox
from common.sealed import SubjectKey, SubjectKeys


@dataclass(frozen=True, slots=True)
class RepositoryDeps:
    """Given once by wiring."""

    subject_keys: SubjectKeys
    index_key: bytes = field(repr=False)
    reference_secret: bytes = field(repr=False)
    outbox: Outbox


class CaseKeys:
    """The case keys of one transaction: each is read once, however many parts of a case open."""

    def __init__(self, connection: Connection, keys: SubjectKeys) -> None:
        self._conn = connection
        self._keys = keys
        self._read: dict[UUID, SubjectKey] = {}

    def of(self, case_id: UUID) -> SubjectKey:
        """Read the case's own key. Raises SubjectErased or SubjectUnknown."""
        if case_id not in self._read:
            self._read[case_id] = self._keys.get(self._conn, case_id)
        return self._read[case_id]

    def keep(self, key: SubjectKey) -> SubjectKey:
        """Remember a key that was just made or read."""
        self._read[key.subject_id] = key
        return key
