"""Which records the log accepts, and what becomes of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from common.events.audit import AuditBatch, AuditBatchV1, AuditItem, RecordItem
from hubformats.audit_record import SALT_BYTES, RecordRefused, check_record, reason_commitment
from hubformats.canonical import canonical, unb64u

TOKEN_KINDS: Final = ("subject", "actor", "case", "delivery", "recipient")
TOKENS_PER_KIND: Final = 64
TOKEN_BYTES: Final = 16
SOURCE_LIMIT: Final = 64
_COUNT_LIMIT: Final = 2**53

AnyBatch = AuditBatch | AuditBatchV1


class LogBusy(Exception):
    """Try again later: the sequencer is behind."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a batch, as proven by its envelope's signature.

    `digest` is that envelope's digest (base64url SHA-256).
    """

    service: str
    digest: str


@dataclass(slots=True)
class Intake:
    """What became of a batch, for metrics and alarms. `rejected` holds codes."""

    added: int = 0
    repeated: int = 0
    missing: int = 0
    rejected: list[str] = field(default_factory=list)
    clock_went_back: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """An item after inspection: acceptable when `code` is None."""

    item: AuditItem
    code: str | None
    record: bytes = b""
    salt: bytes = b""
    fields: Mapping[str, Any] | None = None
    tokens: Mapping[str, tuple[bytes, ...]] | None = None
    held: str | None = None

    @property
    def seq(self) -> int:
        """The place it claims in its producer's sequence."""
        return self.item.seq

    @property
    def raw(self) -> bytes:
        """The item exactly as it arrived, canonical: what a `rejected` entry commits to."""
        return canonical(self.item.model_dump(mode="json", by_alias=True))


def judge(item: AuditItem, service: str) -> Judged:
    """Hold one item to the record it claims to be, and to the service that sent it.

    Never raises: what is wrong becomes a code.
    """
    try:
        record, salt = unb64u(item.record), unb64u(item.salt)
        fields = check_record(record)
        tokens = _tokens(item)
        held = _held(item, fields)
    except RecordRefused as refused:
        return Judged(item, refused.code)
    except ValueError:
        return Judged(item, "encoding-malformed")
    if len(salt) != SALT_BYTES:
        return Judged(item, "salt-malformed")
    if fields["svc"] != service:
        return Judged(item, "service-differs")
    return Judged(item, None, record, salt, fields, tokens, held)


def _held(item: AuditItem, fields: Mapping[str, Any]) -> str | None:
    """Check the reason held back against the record's commitment; return it as it is kept."""
    held = item.held if isinstance(item, RecordItem) else None
    if held is None:
        if "whc" in fields:
            raise RecordRefused("reason-missing")
        return None
    salt = unb64u(held.salt)
    if len(salt) != SALT_BYTES or fields.get("whc") != reason_commitment(salt, held.why):
        raise RecordRefused("reason-differs")
    return canonical({"why": held.why, "salt": held.salt}).decode()


def _tokens(item: AuditItem) -> dict[str, tuple[bytes, ...]]:
    found = {kind: tuple(unb64u(token) for token in tokens) for kind, tokens in item.tokens.items()}
    for kind, tokens in found.items():
        if (
            kind not in TOKEN_KINDS
            or len(tokens) > TOKENS_PER_KIND
            or any(len(token) != TOKEN_BYTES for token in tokens)
        ):
            # Dropping a token quietly would let a search omit the entry for ever.
            raise RecordRefused("token-malformed")
    return found


def place_possible(src: str, epoch: int, seq: int) -> bool:
    """Tell whether a producer's place can stand in a leaf.

    It needs an opaque printable code, and counts that a verifier can read.
    """
    named = 0 < len(src) <= SOURCE_LIMIT and src.isascii() and src.isprintable()
    return named and 0 <= epoch < _COUNT_LIMIT and 0 < seq < _COUNT_LIMIT
