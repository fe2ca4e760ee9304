"""Check an entry of the audit log without trusting who served it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from hubformats.audit_record import (
    Leaf,
    RecordRefused,
    check_record,
    reason_commitment,
    record_hash,
)
from hubformats.canonical import CanonicalError, unb64u
from hubformats.tlog import ProofRefused, Verifier, verify_proof
from portal.auditing.model import CheckedEntry

HELD_BACK: Final = "held-back"
"""The record says why something was withheld from the reader's agency, so its bytes are not served.
"""


def check_entry(log: Verifier, entry: Mapping[str, Any]) -> CheckedEntry:
    """Recompute record hash, leaf and root from the bytes served.

    What the service says beside the bytes counts for nothing.
    """
    index, reason = int(entry["index"]), str(entry.get("reason") or "")
    if not entry["recordBytes"]:
        return CheckedEntry(entry["record"], index, verified=False, code=HELD_BACK)
    try:
        raw = unb64u(entry["recordBytes"])
        record = check_record(raw)
        leaf_bytes = unb64u(entry["leaf"])
        leaf = Leaf.decode(leaf_bytes)
        if leaf.h != record_hash(unb64u(entry["salt"]), raw):
            return CheckedEntry(record, index, verified=False, code="record-not-committed")
        if reason and record.get("whc") != reason_commitment(unb64u(entry["reasonSalt"]), reason):
            return CheckedEntry(record, index, verified=False, code="reason-differs")
        proven = verify_proof(entry["proof"], leaf_bytes, log)
    except (RecordRefused, ProofRefused) as refused:
        return CheckedEntry({}, index, verified=False, code=refused.code)
    except (CanonicalError, ValueError):
        return CheckedEntry({}, index, verified=False, code="malformed")
    if proven.index != index:
        return CheckedEntry(record, index, verified=False, code="index-differs")
    return CheckedEntry(
        record,
        index,
        verified=True,
        size=proven.size,
        logged_at=datetime.fromtimestamp(leaf.tr / 1_000_000, UTC),
        producer=leaf.src,
        epoch=leaf.ep,
        seq=leaf.seq,
        reason=reason,
    )
