"""Checks a delivered package offline: that exactly this content, for exactly this recipient, was
logged before it left."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from hubformats.agency_events import DisclosurePackage
from hubformats.audit_record import (
    Leaf,
    RecordRefused,
    check_record,
    content_commitment,
    record_hash,
)
from hubformats.canonical import CanonicalError, canonical, parse, unb64u
from hubformats.tlog import ProofRefused, Verifier, verify_proof

_CONTENT_LIMIT: Final = 200_000
_SALT: Final = 32
_OPERATIONS: Final[Mapping[str, frozenset[str]]] = {
    "disclosure": frozenset({"disclosure"}),
    "correction": frozenset({"disclosure", "correction"}),
    "withdrawal": frozenset({"disclosure", "withdrawal"}),
    "notice": frozenset({"disclosure", "notice_sent"}),
}
"""What the record of each kind of package says; those of version 1 all say `disclosure`."""


class PackageRefused(ValueError):
    """A package that proves nothing.

    `step` is the number of the check below that failed, `code` what failed; never content.
    """

    def __init__(self, step: int, code: str) -> None:
        super().__init__(code)
        self.step = step
        self.code = code


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was established.

    `standing` is what a screen may say: proven, or only promised by `due`.
    """

    standing: Literal["proven", "promised"]
    content: Mapping[str, Any]
    record: Mapping[str, Any]
    index: int | None
    size: int | None
    due: datetime | None
    witnessed: bool = False
    """False until a verifier has upgraded the log's own signature to a witnessed head."""


def verify_package(package: DisclosurePackage, *, me: str, log: Verifier) -> Verdict:
    """Run the recipient's checks of design section 8, step 5.

    The envelope's signature was checked when it was opened. The checks:
    1. Content and record are canonical.
    2. Both name this delivery and me, nobody else.
    3. The record commits to exactly this content (`dc`).
    4. Leaf or promise commits to exactly this record (`h`).
    5. The leaf is in the tree the log signed.

    Raises PackageRefused.
    """
    content, record = _parts(package)
    _addressed(package, content, record, me)
    _committed(package, record)
    if package.promise is not None:
        return _promised(package, content, record)
    leaf = _leaf(package)
    try:
        proven = verify_proof(package.proof, leaf, log)
    except ProofRefused as refused:
        raise PackageRefused(5, refused.code) from None
    return Verdict("proven", content, record, proven.index, proven.size, None)


def _parts(package: DisclosurePackage) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    try:
        raw = unb64u(package.content)
        content = parse(raw, max_bytes=_CONTENT_LIMIT)
        if not isinstance(content, dict) or canonical(content) != raw:
            raise PackageRefused(1, "content-not-canonical")
        return content, check_record(unb64u(package.record))
    except RecordRefused as refused:
        raise PackageRefused(1, refused.code) from None
    except (CanonicalError, ValueError) as error:
        if isinstance(error, PackageRefused):
            raise
        raise PackageRefused(1, "content-malformed") from None


def _addressed(
    package: DisclosurePackage, content: Mapping[str, Any], record: Mapping[str, Any], me: str
) -> None:
    delivery = str(package.delivery_id)
    if content.get("recipient") != me or record.get("rcp") != me:
        raise PackageRefused(2, "not-my-package")
    if content.get("deliveryId") != delivery or record.get("dl") != delivery:
        raise PackageRefused(2, "delivery-mismatch")
    if (
        content.get("kind") != package.kind
        or record["op"] not in _OPERATIONS[package.kind]
        or record["out"] != "permit"
    ):
        raise PackageRefused(2, "not-a-disclosure")
    clause = content.get("clause")
    if (
        not isinstance(clause, dict)
        or clause.get("id") != record.get("cl")
        or clause.get("hash") != record.get("ag")
    ):
        raise PackageRefused(2, "clause-mismatch")
    if record.get("cl") is None or record.get("ag") is None:
        # Absent on both sides is not agreement
        raise PackageRefused(2, "clause-mismatch")


def _committed(package: DisclosurePackage, record: Mapping[str, Any]) -> None:
    if content_commitment(_salt(package.content_salt, 3), unb64u(package.content)) != record.get(
        "dc"
    ):
        raise PackageRefused(3, "content-not-committed")


def _promised(
    package: DisclosurePackage, content: Mapping[str, Any], record: Mapping[str, Any]
) -> Verdict:
    promise = package.promise
    if promise is None or package.leaf or package.proof:
        raise PackageRefused(4, "proof-and-promise")
    if promise.h != _hash(package):
        raise PackageRefused(4, "record-not-committed")
    return Verdict("promised", content, record, None, None, promise.due)


def _leaf(package: DisclosurePackage) -> bytes:
    try:
        raw = unb64u(package.leaf)
        leaf = Leaf.decode(raw)
    except (RecordRefused, ValueError):
        raise PackageRefused(4, "leaf-malformed") from None
    if leaf.h != _hash(package):
        raise PackageRefused(4, "record-not-committed")
    return raw


def _hash(package: DisclosurePackage) -> str:
    return record_hash(_salt(package.record_salt, 4), unb64u(package.record))


def _salt(text: str, step: int) -> bytes:
    try:
        salt = unb64u(text)
    except ValueError:
        raise PackageRefused(step, "salt-malformed") from None
    if len(salt) != _SALT:
        raise PackageRefused(step, "salt-malformed")
    return salt
