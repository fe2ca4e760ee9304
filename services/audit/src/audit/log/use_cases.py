"""Writing entries: what one transaction adds to the log, hashed as it comes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from audit.context import actor_of
from audit.log.model.entries import (
    OWN_EPOCH,
    SERVICE,
    Entry,
    LogHalted,
    LogState,
    Place,
    TimeFlag,
    log_time,
)
from audit.log.model.merkle import CompactRange
from audit.log.ports import LogTx, SearchRows
from common.access import Granted
from common.faults import crash_point
from hubformats.audit_record import (
    RECORD_VERSION,
    AuditEntry,
    Leaf,
    check_record,
    record_hash,
    write_record,
)
from hubformats.canonical import b64u
from hubformats.ids import opaque, uuid7
from hubformats.tlog import leaf_hash

_GENESIS_SALT: Final = bytes(32)
"""Entry 0 hides nothing: anyone who holds the bootstrap file must be able to recompute it."""


@dataclass(slots=True)
class Content:
    """What stands behind a leaf. `fields` are the record's own, read once; empty: read them here.

    `claimed`: the place a rejected record claimed and could not have. `held`: why something was
    withheld, and the salt of the record's commitment to it, as JSON.
    """

    service: str
    record: bytes
    salt: bytes
    fields: Mapping[str, Any] = field(default_factory=dict)
    tokens: Mapping[str, tuple[bytes, ...]] = field(default_factory=dict)
    subject_sealed: str | None = None
    actor_sealed: str | None = None
    rejected: str | None = None
    raw_sealed: bytes | None = None
    flags: TimeFlag | None = None
    claimed: Place | None = None
    account_sealed: str | None = None
    held: str | None = None


class LogWriter:
    """Entries gathered for one transaction: the first of the two paths to the root.

    Raises LogHalted when the stored edge is not that of the root, or the clock went back too far.
    """

    def __init__(self, tx: LogTx, state: LogState, now: int) -> None:
        self._tx = tx
        self._state = state
        self._range = CompactRange.decode(state.size, state.edge)
        if self._range.root() != state.root:
            raise LogHalted("edge-differs-from-root")
        self.at, self.clock_went_back = log_time(state.last_tr, now)
        self._own_seq = state.own_seq
        self._entries: list[Entry] = []

    def add(self, place: Place, content: Content) -> Entry:
        """Append an entry in its producer's place."""
        src, epoch, seq = place
        leaf = Leaf(src, epoch, seq, self.at, record_hash(content.salt, content.record))
        entry = Entry(
            self._state.size + len(self._entries),
            leaf,
            leaf.encode(),
            content.service,
            content.record,
            content.salt,
            content.fields or check_record(content.record),
            content.tokens,
            content.subject_sealed,
            content.actor_sealed,
            content.rejected,
            content.raw_sealed,
            content.flags,
            content.claimed,
            content.account_sealed,
            content.held,
        )
        self._entries.append(entry)
        self._range.append(leaf_hash(entry.leaf_bytes))
        return entry

    def add_own(self, content: Content) -> Entry:
        """Append an entry under the log's own sequence."""
        self._own_seq += 1
        return self.add((self._state.own_src, OWN_EPOCH, self._own_seq), content)

    def own_record(self, operation: str, outcome: str, **codes: str) -> bytes:
        """Make a record of the log about itself."""
        return write_record(
            {
                "v": RECORD_VERSION,
                "id": str(uuid7()),
                "te": self.at,
                "op": operation,
                "out": outcome,
                "svc": SERVICE,
                **codes,
            }
        )

    def finish(self) -> LogState:
        """Hand everything to the transaction; the state moves last."""
        if not self._entries:
            return self._state
        self._tx.add(self._entries)
        new = replace(
            self._state,
            size=self._range.size,
            root=self._range.root(),
            edge=self._range.encode(),
            last_tr=self.at,
            own_seq=self._own_seq,
        )
        self._tx.advance(self._state, new)
        crash_point("audit.not-committed")
        return new


def open_log(tx: LogTx, now: int, bootstrap_digest: bytes) -> LogState:
    """Give the log's state; before the first entry, make entry 0.

    Entry 0 commits to the operator's bootstrap file.
    """
    state = tx.state()
    if state is not None:
        return state
    empty = CompactRange(0, [])
    state = LogState(0, empty.root(), b"", now, opaque(), 0, 0, 0, 0)
    tx.begin(state)
    writer = LogWriter(tx, state, now)
    record = writer.own_record("genesis", "done", ed=b64u(bootstrap_digest))
    writer.add_own(Content(SERVICE, record, _GENESIS_SALT))
    return writer.finish()


def rebuild_search_rows(rows: SearchRows, granted: Granted) -> int:
    """Make the search rows anew from the entries. Returns how many entries.

    The act is an entry itself.
    """
    rows.record(
        AuditEntry(
            operation="config_change",
            outcome="done",
            actor=actor_of(granted),
            resource_type="search_rows",
        )
    )
    return rows.rebuild()
