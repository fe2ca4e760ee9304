"""Turns what a use case says happened into the canonical record.

Identifiers become fresh handles; people and reasons become sealed parts.
"""

import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from hubformats.audit_record.commitments import (
    check_commitment,
    inputs_commitment,
    new_salt,
    reason_commitment,
    record_hash,
    related,
    shown_commitment,
)
from hubformats.audit_record.entry import Actor, AuditEntry, Ground, Origin
from hubformats.audit_record.parts import KeyWrap, SealedPart, seal_part
from hubformats.audit_record.versions import RECORD_VERSION, write_record
from hubformats.canonical import b64u, canonical
from hubformats.ids import opaque, uuid7

PER_RECORD: Final = 64
"""Subjects, case references, and deliveries, of one record; the log's index takes no more tokens of
a kind.
"""
_TOKEN_BYTES: Final = 16

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
    "agreement_version": "agv",
    "rules": "rlv",
    "human": "hum",
    "decision": "dec",
    "recipient": "rcp",
    "channel": "ch",
    "delivery": "dl",
    "content_commitment": "dc",
    "envelope_digest": "ed",
    "receipt_digest": "rd",
    "template": "tpl",
    "stage": "st",
    "reason_code": "why",
}
_DISCLOSED: Final = {
    "basis": "dlb",
    "special": "dsp",
    "criminal": "dcr",
    "gateway": "dgw",
    "authority": "dau",
    "confidence": "dcf",
}
_RECEIVED: Final = {"basis": "rlb", "special": "rsp", "criminal": "rcr"}


@dataclass(frozen=True, slots=True)
class RecordRef:
    """A record as written: id, canonical bytes, blinding salt, hash of its leaf."""

    id: UUID
    record: bytes
    salt: bytes
    hash: str


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Why something was withheld, and the salt under which the record commits to it.

    For those who may know it; never for the agency from which it was withheld.
    """

    why: str
    salt: bytes


@dataclass(frozen=True, slots=True)
class Written:
    """A record with all that goes beside it: index tokens, sealed parts, a reason held back.

    Its number comes with the group commit.
    """

    ref: RecordRef
    operation: str
    tokens: Mapping[str, tuple[str, ...]]
    subject: SealedPart | None
    actor: SealedPart | None
    account: SealedPart | None
    held: HeldBack | None
    subject_tokens: Sequence[bytes]

    @property
    def parts(self) -> tuple[SealedPart, ...]:
        """The sealed parts there are."""
        return tuple(p for p in (self.subject, self.actor, self.account) if p is not None)

    @property
    def size(self) -> int:
        """Bytes of the item in a batch, never less than it will take."""
        raw = len(self.ref.record) + sum(len(part.sealed) for part in self.parts)
        said = 100 + len(self.held.why) if self.held else 0
        return raw * 4 // 3 + sum(20 + 25 * len(each) for each in self.tokens.values()) + said + 300


@dataclass(frozen=True, slots=True)
class Writer:
    """Turns entries into the records of one process.

    `index_secret` keys the tokens by which the log finds an entry.
    """

    origin: Origin
    keys: KeyWrap
    index_secret: bytes

    def write(self, entry: AuditEntry, micros: int) -> Iterator[Written]:
        """Write one record per 64 subjects, case references or deliveries; nearly always one.

        Raises RecordRefused, CanonicalError.
        """
        parts = max(len(entry.subjects), len(entry.case_references), len(entry.deliveries))
        if parts <= PER_RECORD:
            yield self._write(entry, len(entry.subjects), micros)
            return
        for start in range(0, parts, PER_RECORD):
            piece = slice(start, start + PER_RECORD)
            part = replace(
                entry,
                subjects=entry.subjects[piece],
                case_references=entry.case_references[piece],
                deliveries=entry.deliveries[piece],
            )
            yield self._write(part, len(entry.subjects), micros)

    def cover(self, micros: int) -> Written:
        """Write a record that stands for nothing, so that nobody can count those that do."""
        fields = {"op": "cover", "out": "done", **self._head(uuid7(), micros)}
        return Written(_ref(fields), "cover", {}, None, None, None, None, ())

    def _head(self, record_id: UUID, micros: int) -> dict[str, Any]:
        return {"v": RECORD_VERSION, "id": str(record_id), "te": micros, **self.origin.fields()}

    def _write(self, entry: AuditEntry, subjects_total: int, micros: int) -> Written:
        record_id = uuid7()
        fields = self._head(record_id, micros)
        handles = _clear(entry, fields, record_id, subjects_total)
        held = _held_back(entry, fields)
        about = _subject_content(entry, fields, handles)
        subject = seal_part(self.keys, record_id, "subject", about) if about else None
        if subject is not None:
            fields.update(ss=subject.digest, ps=subject.commitment, ks=subject.handle)
        actor = seal_part(self.keys, record_id, "actor", _actor_content(entry, fields))
        fields.update(sa=actor.digest, pa=actor.commitment, ka=actor.handle)
        said = entry.account.content() if entry.account else None
        account = seal_part(self.keys, record_id, "account", said) if said else None
        if account is not None:
            fields.update(sr=account.digest, pr=account.commitment, kr=account.handle)
        tokens = [token(self.index_secret, "subject", each.hex) for each in entry.subjects]
        return Written(
            # A record that breaks its own rules must fail here, where the caller is, not in the
            # log an hour later.
            _ref(fields),
            entry.operation,
            _tokens(entry, self.index_secret, tokens),
            subject,
            actor,
            account,
            held,
            tokens,
        )


def is_cover(record: bytes) -> bool:
    """Tell whether a canonical record stands for nothing."""
    return b'"op":"cover"' in record


def token(secret: bytes, kind: str, value: str) -> bytes:
    """Make the index token of `value`: HMAC-SHA256(secret, kind ‖ 0x00 ‖ value), first 16 bytes."""
    return hmac.digest(secret, kind.encode() + b"\0" + value.encode(), "sha256")[:_TOKEN_BYTES]


def _ref(fields: dict[str, Any]) -> RecordRef:
    record, salt = write_record(fields), new_salt()
    return RecordRef(UUID(fields["id"]), record, salt, record_hash(salt, record))


def _clear(
    entry: AuditEntry, fields: dict[str, Any], record_id: UUID, subjects_total: int
) -> list[str]:
    """Add what a record says in the clear: codes, counts and fresh handles.

    Returns the subjects' handles, which do not stand in a record of something withheld.
    """
    actor = entry.actor
    fields.update(
        op=entry.operation, out=entry.outcome, act=opaque(), org=actor.agency, role=actor.role
    )
    fields.update(
        {short: value for name, short in _CODES.items() if (value := getattr(entry, name))}
    )
    _grounds(entry.disclosed_under, _DISCLOSED, fields)
    _grounds(entry.received_under, _RECEIVED, fields)
    if actor.acr:
        fields["aal"] = actor.acr
    handles = [opaque() for _ in entry.subjects]
    if handles and entry.outcome != "withhold":
        fields.update(sub=handles, subn=subjects_total)
    # A version counts what everybody did to the thing, so it is sealed with the thing's id.
    if entry.resource_version is not None and not entry.resource_id and entry.case_id is None:
        fields["rv"] = entry.resource_version
    if entry.answers:
        fields["rel"] = [related(record_id, each) for each in entry.answers]
    if entry.count is not None:
        fields["n"] = entry.count
    if entry.emergency:
        fields["bg"] = True
    for name, there in (
        ("ses", actor.session),
        ("case", entry.case_id),
        ("res", entry.resource_id),
        ("obo", entry.on_behalf_of),
        ("au2", entry.second),
    ):
        if there:
            fields[name] = opaque()
    return handles


def _grounds(ground: Ground | None, names: Mapping[str, str], fields: dict[str, Any]) -> None:
    if ground is not None:
        fields.update(
            {short: value for name, short in names.items() if (value := getattr(ground, name))}
        )


def _held_back(entry: AuditEntry, fields: dict[str, Any]) -> HeldBack | None:
    """Move the reason of what was withheld out of the record, which then only commits to it."""
    why = fields.pop("why", "") if entry.outcome == "withhold" else ""
    if not why:
        return None
    held = HeldBack(why, new_salt())
    fields["whc"] = reason_commitment(held.salt, why)
    return held


def _subject_content(
    entry: AuditEntry, fields: dict[str, Any], handles: Sequence[str]
) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if handles:
        content["subjects"] = [
            {"handle": handle, "id": str(each)}
            for handle, each in zip(handles, entry.subjects, strict=True)
        ]
    if entry.case_id is not None:
        content["case"] = {
            "handle": fields["case"],
            "id": str(entry.case_id),
            "references": list(entry.case_references),
        }
    if entry.resource_id:
        content["resource"] = {"handle": fields["res"], "id": entry.resource_id}
    thing = content.get("resource") or content.get("case")
    if thing is not None and entry.resource_version is not None:
        thing["version"] = entry.resource_version
    if entry.inputs:
        salt = new_salt()
        content["inputs"] = {"digest": entry.inputs, "salt": b64u(salt)}
        fields["ih"] = inputs_commitment(salt, entry.inputs)
    if entry.checked is not None:
        salt = new_salt()
        content["checked"] = {"answer": dict(entry.checked), "salt": b64u(salt)}
        fields["vc"] = check_commitment(salt, canonical(dict(entry.checked)))
    if entry.shown is not None:
        salt = new_salt()
        content["shown"] = {"salt": b64u(salt)}
        fields["vd"] = shown_commitment(salt, entry.shown)
    if entry.detail:
        content["detail"] = dict(entry.detail)
    return content


def _actor_content(entry: AuditEntry, fields: Mapping[str, Any]) -> dict[str, Any]:
    content = _person(entry.actor, fields["act"])
    if entry.on_behalf_of is not None:
        content["onBehalfOf"] = _person(entry.on_behalf_of, fields["obo"])
    if entry.second is not None:
        content["second"] = _person(entry.second, fields["au2"])
    return content


def _person(actor: Actor, handle: str) -> dict[str, Any]:
    content: dict[str, Any] = {
        "handle": handle,
        "subject": actor.subject,
        "agency": actor.agency,
        "role": actor.role,
    }
    for name in ("name", "session", "title", "number", "employer", "grant", "device", "address"):
        if value := getattr(actor, name):
            content[name] = value
    if actor.means:
        content["means"] = dict(actor.means)
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
