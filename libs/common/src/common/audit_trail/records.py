"""From what a use case says happened to the canonical record: identifiers become fresh handles,
people become sealed parts."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from common.audit_trail.sealing import SealedPart, seal_part, token
from common.events.audit import BATCH_LIMIT, AuditItem
from common.keyring import Keyring
from hubformats.audit_record import RECORD_VERSION, AuditEntry, new_salt, record_hash, write_record
from hubformats.canonical import b64u
from hubformats.ids import opaque, uuid7

PER_RECORD: Final = 64
"""Subjects, case references, and deliveries, of one record; the log's index takes no more tokens of
a kind.
"""

_BATCH_BYTES: Final = (
    185_000  # of 196 kB that the largest statement carries; the rest is for claims
)

_CODES: Final[Mapping[str, str]] = {
    "resource_type": "rt",
    "field_set": "fs",
    "lawful_basis": "lb",
    "condition": "cond",
    "gateway": "gw",
    "purpose": "pu",
    "justification_code": "jc",
    "clause": "cl",
    "agreement": "ag",
    "decision": "dec",
    "recipient": "rcp",
    "channel": "ch",
    "delivery": "dl",
    "content_commitment": "dc",
    "envelope_digest": "ed",
    "receipt_digest": "rd",
    "reason_code": "why",
}


@dataclass(frozen=True, slots=True)
class RecordRef:
    """A record as written: id, canonical bytes, blinding salt, hash of its leaf."""

    id: UUID
    record: bytes
    salt: bytes
    hash: str


@dataclass(frozen=True, slots=True)
class Written:
    """A record with all that goes beside it: index tokens and sealed parts.

    Its number comes with the group commit.
    """

    ref: RecordRef
    tokens: Mapping[str, tuple[str, ...]]
    subject: SealedPart | None
    actor: SealedPart
    subject_tokens: Sequence[bytes]

    def item(self, seq: int) -> AuditItem:
        """The record as number `seq` of a batch."""
        return AuditItem(
            seq=seq,
            record=b64u(self.ref.record),
            salt=b64u(self.ref.salt),
            tokens=dict(self.tokens),
            subject_sealed=b64u(self.subject.sealed) if self.subject else "",
            actor_sealed=b64u(self.actor.sealed),
        )

    @property
    def size(self) -> int:
        """Bytes of the item in a batch, never less than it will take."""
        raw = (
            len(self.ref.record)
            + len(self.actor.sealed)
            + (len(self.subject.sealed) if self.subject else 0)
        )
        return raw * 4 // 3 + sum(20 + 25 * len(each) for each in self.tokens.values()) + 250


def write_records(
    entry: AuditEntry, *, service: str, micros: int, keyring: Keyring, index_secret: bytes
) -> Iterator[Written]:
    """One record per 64 subjects, case references or deliveries of the entry; nearly always one.

    Raises RecordRefused, CanonicalError.
    """
    parts = max(len(entry.subjects), len(entry.case_references), len(entry.deliveries))
    for start in range(0, max(parts, 1), PER_RECORD):
        piece = slice(start, start + PER_RECORD)
        part = replace(
            entry,
            subjects=entry.subjects[piece],
            case_references=entry.case_references[piece],
            deliveries=entry.deliveries[piece],
        )
        yield _write(
            part if parts > PER_RECORD else entry,
            len(entry.subjects),
            service=service,
            micros=micros,
            keyring=keyring,
            index_secret=index_secret,
        )


def chunks(written: Sequence[Written]) -> list[list[Written]]:
    """Batches of at most 256 records and of the bytes that the largest statement carries."""
    made: list[list[Written]] = []
    room = 0
    for each in written:
        if not made or len(made[-1]) == BATCH_LIMIT or each.size > room:
            made.append([])
            room = _BATCH_BYTES
        made[-1].append(each)
        room -= each.size
    return made


def _write(
    entry: AuditEntry,
    subjects_total: int,
    *,
    service: str,
    micros: int,
    keyring: Keyring,
    index_secret: bytes,
) -> Written:
    record_id = uuid7()
    fields = {"v": RECORD_VERSION, "id": str(record_id), "te": micros, "svc": service}
    fields.update(_clear(entry, subjects_total))
    subject = _subject_part(entry, fields, record_id, keyring)
    actor = seal_part(keyring, record_id, "actor", _actor_content(entry, fields))
    if subject is not None:
        fields.update(ss=subject.digest, ps=subject.commitment, ks=subject.handle)
    fields.update(sa=actor.digest, pa=actor.commitment, ka=actor.handle)
    # A record that breaks its own rules must fail here, where the caller is, not in the log an hour
    # later.
    record = write_record(fields)
    salt = new_salt()
    subject_tokens = [token(index_secret, "subject", each.hex) for each in entry.subjects]
    ref = RecordRef(record_id, record, salt, record_hash(salt, record))
    return Written(
        ref, _tokens(entry, index_secret, subject_tokens), subject, actor, subject_tokens
    )


def _clear(entry: AuditEntry, subjects_total: int) -> dict[str, Any]:
    """What a record says in the clear: codes, counts and fresh handles."""
    fields: dict[str, Any] = {
        "op": entry.operation,
        "out": entry.outcome,
        "act": opaque(),
        "org": entry.actor.agency,
        "role": entry.actor.role,
    }
    fields.update(
        {short: value for name, short in _CODES.items() if (value := getattr(entry, name))}
    )
    if entry.actor.acr:
        fields["aal"] = entry.actor.acr
    if entry.actor.session:
        fields["ses"] = opaque()
    if entry.subjects:
        fields.update(sub=[opaque() for _ in entry.subjects], subn=subjects_total)
    if entry.case_id is not None:
        fields["case"] = opaque()
    if entry.resource_id:
        fields["res"] = opaque()
    if entry.resource_version is not None:
        fields["rv"] = entry.resource_version
    if entry.count is not None:
        fields["n"] = entry.count
    if entry.emergency:
        fields["bg"] = True
    return fields


def _subject_part(
    entry: AuditEntry, fields: Mapping[str, Any], record_id: UUID, keyring: Keyring
) -> SealedPart | None:
    content: dict[str, Any] = {}
    if entry.subjects:
        content["subjects"] = [
            {"handle": handle, "id": str(each)}
            for handle, each in zip(fields["sub"], entry.subjects, strict=True)
        ]
    if entry.case_id is not None:
        content["case"] = {
            "handle": fields["case"],
            "id": str(entry.case_id),
            "references": list(entry.case_references),
        }
    if entry.resource_id:
        content["resource"] = {"handle": fields["res"], "id": entry.resource_id}
    if entry.detail:
        content["detail"] = dict(entry.detail)
    return seal_part(keyring, record_id, "subject", content) if content else None


def _actor_content(entry: AuditEntry, fields: Mapping[str, Any]) -> dict[str, Any]:
    actor = entry.actor
    content = {
        "handle": fields["act"],
        "subject": actor.subject,
        "agency": actor.agency,
        "role": actor.role,
    }
    content.update(
        {name: value for name, value in (("name", actor.name), ("session", actor.session)) if value}
    )
    return content


def _tokens(
    entry: AuditEntry, secret: bytes, subjects: Sequence[bytes]
) -> dict[str, tuple[str, ...]]:
    values = {
        "subject": [b64u(each) for each in subjects],
        "actor": [b64u(token(secret, "actor", entry.actor.subject))],
        "case": [b64u(token(secret, "case", each)) for each in entry.case_references],
        "delivery": [
            b64u(token(secret, "delivery", each))
            for each in entry.deliveries or [entry.delivery]
            if each
        ],
        "recipient": [b64u(token(secret, "recipient", entry.recipient))] if entry.recipient else [],
    }
    return {kind: tuple(dict.fromkeys(each)) for kind, each in values.items() if each}
