"""Seals fields of personal data under one key for each subject; destroying it erases them all."""

import hmac
import json
import secrets
import struct
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Uuid,
    bindparam,
    insert,
    select,
    update,
)

from common.database import Prepared, among
from common.keyring import Keyring
from hubformats.clock import Clock

_HEAD: Final = struct.Struct(">BH")  # format, key version
_FORMAT: Final = 1
_NONCE: Final = 12
_TAG: Final = 16
# unwrapped keys kept in memory: a few pages of people, so that a remote keyring is not asked for
# each
_CACHED: Final = 2048


class SealRefused(ValueError):
    """A sealed field did not open: another row, column, subject or key, or changed bytes."""


class SubjectErased(LookupError):
    """The subject's keys were destroyed, and what they sealed; no new key is made."""


class SubjectUnknown(LookupError):
    """No key was ever made for this subject."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed field stands: it opens nowhere else."""

    table: str
    column: str
    row_id: UUID
    subject_id: UUID

    def bound(self, version: int) -> bytes:
        """Write the place as bytes, with the version of the subject's key."""
        # Table and column are names from our own code and the rest has fixed places, so no two
        # places give the same bytes.
        names = [self.table.encode(), self.column.encode()]
        ids = [self.row_id.bytes, self.subject_id.bytes]
        return b"\x1f".join([*names, *ids, b"%d" % version])


def seal_field(dek: bytes, place: Place, version: int, plaintext: bytes) -> bytes:
    """Seal a field by AES-256-GCM, bound to table, column, row, subject and version.

    Returns `0x01 | key version u16 | nonce 12 | ciphertext | tag 16`. Nonces are random, so one key
    seals at most 2^32 fields (NIST SP 800-38D section 8.3). One person never has as many.
    """
    nonce = secrets.token_bytes(_NONCE)
    sealed = AESGCM(dek).encrypt(nonce, plaintext, place.bound(version))
    return _HEAD.pack(_FORMAT, version) + nonce + sealed


def open_field(dek: bytes, place: Place, blob: bytes) -> bytes:
    """Open a field at exactly this place and return its plaintext. Raises SealRefused."""
    bound = place.bound(field_version(blob))
    nonce, sealed = blob[_HEAD.size : _HEAD.size + _NONCE], blob[_HEAD.size + _NONCE :]
    try:
        return AESGCM(dek).decrypt(nonce, sealed, bound)
    except InvalidTag:
        raise SealRefused("the field does not open here") from None


def field_version(blob: bytes) -> int:
    """Tell which version of the subject's key sealed this field. Raises SealRefused."""
    if len(blob) < _HEAD.size + _NONCE + _TAG or blob[0] != _FORMAT:
        raise SealRefused("not a sealed field")
    version: int = _HEAD.unpack_from(blob)[1]
    return version


def blind_index(key: bytes, label: str, value: str) -> bytes:
    """Hash a value to 16 bytes: HMAC-SHA-256 of its NFKC, case-folded, trimmed form.

    It leaks equality and frequency, and whoever holds the key can try all phone numbers. So each
    column has a label of its own, and only columns that a workflow needs have an index. The row's
    index goes when its subject is erased. Phone numbers come in E.164.
    """
    normal = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", value).casefold()).strip()
    return hmac.digest(key, label.encode() + b"\0" + normal.encode(), "sha256")[:16]


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """One subject's data keys, unwrapped. Lives as long as a unit of work, not longer."""

    subject_id: UUID
    version: int
    deks: Mapping[int, bytes] = field(repr=False)

    def seal(self, table: str, column: str, row_id: UUID, plaintext: str) -> bytes:
        """Seal one field of this subject under the current version."""
        place = Place(table, column, row_id, self.subject_id)
        return seal_field(self.deks[self.version], place, self.version, plaintext.encode())

    def open(self, table: str, column: str, row_id: UUID, blob: bytes) -> str:
        """Open one field of this subject. Raises SealRefused."""
        dek = self.deks.get(field_version(blob))
        if dek is None:
            raise SealRefused("the field is sealed under another key")
        return open_field(dek, Place(table, column, row_id, self.subject_id), blob).decode()


class RowAltered(Exception):
    """A row says something else than this service wrote into it; nothing of it is used.

    `table` and `row` name it for the alarm and the audit entry.
    """

    def __init__(self, table: str, row: object) -> None:
        super().__init__(f"a row of {table} was altered")
        self.table, self.row = table, str(row)


_EMPTY: Final = (None, "")


class RowSeal:
    """Binds the columns of a row that decide who sees what: HMAC-SHA-256 under a keyring secret.

    Encryption binds a sealed column to its row; this binds the columns beside it to each other.
    A whole row put back as it once was passes. Every refusal is handed to `met` before it is
    raised.

    Empty columns are left out. So a column added later, empty in the rows that are there, leaves
    their seals alone. Older seals counted them: `later` names those added meanwhile.
    """

    def __init__(
        self,
        secret: bytes,
        table: str,
        met: Callable[[RowAltered], None],
        later: Collection[str] = (),
    ) -> None:
        self._key = hmac.digest(secret, b"hub row seal\0" + table.encode(), "sha256")
        self._table = table
        self._met = met
        self._later = frozenset(later)

    def of(self, values: Mapping[str, object]) -> bytes:
        """Seal these columns; their names count, their order does not, and empty ones do not."""
        return self._over({name: value for name, value in values.items() if value not in _EMPTY})

    def check(self, row: object, values: Mapping[str, object], seal: bytes | None) -> None:
        """Check that `seal` was made over these columns, now or before. Raises RowAltered."""
        made = [self.of(values), self._over(values)]
        if self._later and all(values[name] in _EMPTY for name in self._later):
            made.append(self._over({k: v for k, v in values.items() if k not in self._later}))
        if seal is None or not any(hmac.compare_digest(bytes(seal), one) for one in made):
            raise self.altered(row)

    def _over(self, values: Mapping[str, object]) -> bytes:
        said = json.dumps(values, sort_keys=True, separators=(",", ":"), default=_said)
        return hmac.digest(self._key, said.encode(), "sha256")

    def altered(self, row: object) -> RowAltered:
        """Refuse a row for another reason, such as a sealed column that does not open."""
        found = RowAltered(self._table, row)
        self._met(found)
        return found


def _said(value: object) -> str:
    """Write a value that JSON lacks, in one spelling on both databases."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def subject_key_table(metadata: MetaData) -> Table:
    """Make the table of wrapped subject keys; a service declares it once on its own metadata."""
    return Table(
        "subject_key",
        metadata,
        Column("subject_id", Uuid(as_uuid=True), primary_key=True),
        Column("version", Integer, primary_key=True),
        Column("kek_id", String(64), nullable=False),
        Column("wrapped", LargeBinary, nullable=True),
        Column("destroyed_at", BigInteger, nullable=True),  # microseconds since the Unix epoch
    )


class SubjectKeys:
    """The subjects' keys of one service, on the caller's connection and transaction.

    Each answer is read from the table, so a key destroyed by any process is gone for all. Memory
    only saves the unwrapping.
    """

    def __init__(self, keyring: Keyring, table: Table, clock: Clock) -> None:
        self._keyring = keyring
        self._table = table
        self._clock = clock
        # Made once: building a statement costs as much as running it, and a referral makes a key
        # for each of its people.
        self._before = Prepared(
            select(table.c.destroyed_at).where(table.c.subject_id == bindparam("subject"))
        )
        self._insert = Prepared(insert(table), "subject_id", "version", "kek_id", "wrapped")
        keys = select(table.c.subject_id, table.c.version, table.c.wrapped).where(
            table.c.wrapped.is_not(None)
        )
        self._keys_of = Prepared(
            lambda dialect: keys.where(among(table.c.subject_id, "ids", dialect))
        )
        self._cache: OrderedDict[bytes, tuple[UUID, int, bytes]] = OrderedDict()
        self._lock = threading.Lock()

    def create(self, conn: Connection, subject_id: UUID) -> SubjectKey:
        """Make the first key of a new subject.

        Raises ValueError when it has one, SubjectErased when it had one.
        """
        before = self._before.run(conn, {"subject": subject_id}).scalars()
        if any(before):
            raise SubjectErased("the subject's keys were destroyed")
        if before:
            raise ValueError("the subject has a key")
        return self._add(conn, subject_id, 1, {})

    def create_fresh(self, conn: Connection, ids: Sequence[UUID]) -> dict[UUID, SubjectKey]:
        """Make keys for subjects whose ids were made in this transaction, by one statement.

        One statement for all. An id that did have a key fails on the table's primary key, an erased
        one's too: its row stays.
        """
        kek_id = self._keyring.kek_id
        made = {
            subject_id: SubjectKey(subject_id, 1, {1: secrets.token_bytes(32)})
            for subject_id in ids
        }
        rows = [
            {
                "subject_id": key.subject_id,
                "version": 1,
                "kek_id": kek_id,
                "wrapped": self._keyring.wrap(key.deks[1], _context(one, 1)),
            }
            for one, key in made.items()
        ]
        self._insert.run_many(conn, rows)
        return made

    def ensure(self, conn: Connection, subject_id: UUID) -> SubjectKey:
        """Return the subject's key, made now if there never was one. Raises SubjectErased."""
        return self.load(conn, [subject_id]).get(subject_id) or self.create(conn, subject_id)

    def get(self, conn: Connection, subject_id: UUID) -> SubjectKey:
        """Return the subject's key. Raises SubjectErased or SubjectUnknown."""
        found = self.load(conn, [subject_id]).get(subject_id)
        if found is None:
            if self._erased(conn, subject_id):
                raise SubjectErased("the subject's keys were destroyed")
            raise SubjectUnknown("no key was ever made for this subject")
        return found

    def load(self, conn: Connection, ids: Collection[UUID]) -> dict[UUID, SubjectKey]:
        """Load the keys of many subjects in one query; erased and unknown ones are absent.

        Raises KeyringRefused for damaged rows.
        """
        deks: dict[UUID, dict[int, bytes]] = {}
        for subject_id, version, wrapped in (
            self._keys_of.run(conn, {"ids": list(set(ids))}) if ids else ()
        ):
            deks.setdefault(subject_id, {})[version] = self._unwrapped(subject_id, version, wrapped)
        return {
            subject_id: SubjectKey(subject_id, max(versions), versions)
            for subject_id, versions in deks.items()
        }

    def destroy(self, conn: Connection, subject_id: UUID) -> None:
        """Erase the subject: every version's wrapped key is overwritten and a tombstone stays.

        Again is no harm.

        Delete the subject's blind indexes in the same transaction. Old pages and backups still hold
        the wrapped bytes until the key-encryption key is rotated and destroyed. Raises
        SubjectUnknown.
        """
        columns = self._table.c
        gone = {"wrapped": None, "destroyed_at": self._clock.micros()}
        done = conn.execute(
            update(self._table)
            .where(columns.subject_id == subject_id, columns.destroyed_at.is_(None))
            .values(gone)
        )
        if done.rowcount == 0 and not self._erased(conn, subject_id):
            raise SubjectUnknown("no key was ever made for this subject")
        with self._lock:
            for wrapped in [
                wrapped for wrapped, (owner, _, _) in self._cache.items() if owner == subject_id
            ]:
                del self._cache[wrapped]

    def _add(
        self, conn: Connection, subject_id: UUID, version: int, older: Mapping[int, bytes]
    ) -> SubjectKey:
        dek = secrets.token_bytes(32)
        # Asked before wrapping: a rotation in between makes the label old, and an old label is only
        # wrapped once more.
        kek_id = self._keyring.kek_id
        wrapped = self._keyring.wrap(dek, _context(subject_id, version))
        self._insert.run(
            conn,
            {"subject_id": subject_id, "version": version, "kek_id": kek_id, "wrapped": wrapped},
        )
        return SubjectKey(subject_id, version, {**older, version: dek})

    def _unwrapped(self, subject_id: UUID, version: int, wrapped: bytes) -> bytes:
        with self._lock:
            held = self._cache.get(wrapped)
            if held is not None and held[:2] == (subject_id, version):
                self._cache.move_to_end(wrapped)
                return held[2]
        dek = self._keyring.unwrap(wrapped, _context(subject_id, version))
        with self._lock:
            self._cache[wrapped] = (subject_id, version, dek)
            if len(self._cache) > _CACHED:
                self._cache.popitem(last=False)
        return dek

    def _erased(self, conn: Connection, subject_id: UUID) -> bool:
        columns = self._table.c
        query = (
            select(columns.version)
            .where(columns.subject_id == subject_id, columns.destroyed_at.is_not(None))
            .limit(1)
        )
        return conn.execute(query).first() is not None


def _context(subject_id: UUID, version: int) -> bytes:
    return b"\x1f".join([b"subject-key", subject_id.bytes, b"%d" % version])
