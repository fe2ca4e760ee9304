"""Audit's ports in memory; a write transaction that raises leaves nothing behind."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from uuid import UUID

from audit.completeness.model import Board, Producer
from audit.log.model.entries import (
    Entry,
    Genesis,
    Head,
    Known,
    Logged,
    LogHalted,
    LogState,
    Reply,
    Waiting,
)
from audit.log.ports import LogTx, LogView, SearchRows
from audit.questions.model import (
    AuthorisedLook,
    Entitlements,
    EntryNotFound,
    Filter,
    Found,
    PurposeRequired,
    Question,
    QuestionNotFound,
    as_seen,
    asker_of,
)
from audit.questions.ports import QuestionTx, QuestionView
from common.access import Granted
from common.attempts import Answer, Attempt
from hubformats.audit_record import AuditEntry
from hubformats.tlog.tiles import Tile
from tests.support.answers import Answers, once

T = TypeVar("T")


@dataclass
class MemoryRows:
    """What the tables hold."""

    state: LogState | None = None
    entries: list[Entry] = field(default_factory=list)
    searchable: set[int] = field(default_factory=set)
    services: dict[str, str] = field(default_factory=dict)
    epochs: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)
    missing: set[tuple[str, int, int]] = field(default_factory=set)
    wanted: set[int] = field(default_factory=set)
    heads: dict[int, Head] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    questions: dict[UUID, Question] = field(default_factory=dict)
    recorded: list[AuditEntry] = field(default_factory=list)
    answered: Answers = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Entries in the log."""
        return 0 if self.state is None else self.state.size


class MemoryLogTx:
    """Fulfils `LogTx`."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows

    def state(self) -> LogState | None:
        """The state; None before genesis."""
        return self._rows.state

    def begin(self, state: LogState) -> None:
        """Set the first state."""
        if self._rows.state is not None:
            raise ValueError("there is a state")
        self._rows.state = state

    def advance(self, old: LogState, new: LogState) -> None:
        """Compare and swap."""
        now = self._rows.state
        if now is None or (now.size, now.root, now.fence) != (old.size, old.root, old.fence):
            raise LogHalted("state-moved")
        self._rows.state = replace(
            now,
            size=new.size,
            root=new.root,
            edge=new.edge,
            last_tr=new.last_tr,
            own_seq=new.own_seq,
        )

    def add(self, entries: Sequence[Entry]) -> None:
        """Append."""
        taken = {(one.leaf.src, one.leaf.ep, one.leaf.seq) for one in self._rows.entries}
        for entry in entries:
            place = (entry.leaf.src, entry.leaf.ep, entry.leaf.seq)
            if place in taken or entry.index != len(self._rows.entries):
                raise ValueError("the place is taken")
            taken.add(place)
            self._rows.entries.append(entry)
            self._rows.searchable.add(entry.index)

    def service_of(self, src: str) -> str | None:
        """The owner of a producer code."""
        return self._rows.services.get(src)

    def bind(self, src: str, service: str, at: int) -> None:
        """Give a producer code away."""
        assert at >= 0
        self._rows.services[src] = service

    def highest(self, src: str, epoch: int) -> int:
        """The highest number seen."""
        return self._rows.epochs.get((src, epoch), (0, 0))[0]

    def heard(self, src: str, epoch: int, highest: int, at: int) -> None:
        """Note it."""
        self._rows.epochs[src, epoch] = (highest, at)

    def known(self, src: str, epoch: int, first: int, last: int) -> dict[int, Known]:
        """Entries between two numbers."""
        return {
            one.leaf.seq: Known(one.index, one.leaf.h, one.rejected)
            for one in self._rows.entries
            if (one.leaf.src, one.leaf.ep) == (src, epoch) and first <= one.leaf.seq <= last
        }

    def open_gap(self, src: str, epoch: int, first: int, last: int, at: int) -> None:
        """Note missing numbers."""
        assert at >= 0
        self._rows.missing |= {(src, epoch, seq) for seq in range(first, last + 1)}

    def fill_gap(self, src: str, epoch: int, seq: int) -> None:
        """One came after all."""
        self._rows.missing.discard((src, epoch, seq))

    def want_receipt(self, index: int) -> None:
        """Ask for a receipt again."""
        self._rows.wanted.add(index)


class MemorySearchRows:
    """Fulfils `SearchRows`."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows

    def rebuild(self) -> int:
        """Make every row anew."""
        self._rows.searchable = {entry.index for entry in self._rows.entries}
        return len(self._rows.entries)

    def record(self, entry: AuditEntry) -> None:
        """Keep the entry."""
        self._rows.recorded.append(entry)


class MemoryLogView:
    """Fulfils `LogView`."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows

    def size(self) -> int:
        """Count the entries."""
        return self._rows.size

    def genesis(self) -> Genesis | None:
        """Entry 0."""
        if not self._rows.entries or self._rows.entries[0].leaf.seq != 1:
            return None
        first = self._rows.entries[0]
        return Genesis(first.record, first.salt, first.leaf_bytes)

    def row_differences(self) -> list[int]:
        """Entries without their search row."""
        return [one.index for one in self._rows.entries if one.index not in self._rows.searchable]


class MemoryLooks:
    """Fulfils `Looks`."""

    def __init__(self, rows: MemoryRows, entitlements: Entitlements) -> None:
        self._rows = rows
        self._entitlements = entitlements

    def by_question(self, granted: Granted, question_id: UUID) -> AuthorisedLook:
        """By a question's id."""
        own = {one.id: one for one in self._own(granted)}
        if question_id not in own:
            raise QuestionNotFound("no question of this caller")
        return self._entitlements.look(granted, own[question_id])

    def by_latest(self, granted: Granted) -> AuthorisedLook:
        """By the newest question."""
        if not (own := self._own(granted)):
            raise PurposeRequired("nothing was asked")
        return self._entitlements.look(granted, max(own, key=lambda one: one.asked_at))

    def _own(self, granted: Granted) -> list[Question]:
        agency = self._entitlements.sight(granted).agency
        return [
            one
            for one in self._rows.questions.values()
            if (one.asker, one.agency) == (asker_of(granted), agency)
        ]


class MemoryEntries:
    """Fulfils `Entries`."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows

    def search(self, look: AuthorisedLook, below: int, limit: int) -> list[Found]:
        """Newest first."""
        found = [
            as_seen(_found(entry), look.question.agency)
            for entry in reversed(self._rows.entries)
            if entry.index < below
            and entry.index in self._rows.searchable
            and _visible(entry, look.question.agency)
            and _matches(entry, look.question.filter)
        ]
        return found[:limit]

    def entry(self, look: AuthorisedLook, index: int) -> Found:
        """One entry."""
        for entry in self._rows.entries:
            if entry.index == index and _visible(entry, look.question.agency):
                return as_seen(_found(entry), look.question.agency)
        raise EntryNotFound("no entry for this caller")


class MemoryQuestions:
    """Fulfils `Questions`."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows

    def keep(self, question: Question) -> None:
        """Store a question."""
        self._rows.questions[question.id] = question


class MemoryQuestionTx:
    """Fulfils `QuestionTx`."""

    def __init__(self, rows: MemoryRows) -> None:
        self._rows = rows
        self.questions = MemoryQuestions(rows)

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Run `work` once per key."""
        return once(self._rows.answered, attempt, work)

    def record(self, entry: AuditEntry) -> None:
        """Keep the entry."""
        self._rows.recorded.append(entry)

    def log_size(self) -> int:
        """Count the entries."""
        return self._rows.size


class MemoryQuestionView:
    """Fulfils `QuestionView`."""

    def __init__(self, rows: MemoryRows, entitlements: Entitlements) -> None:
        self.looks = MemoryLooks(rows, entitlements)
        self.entries = MemoryEntries(rows)


class MemoryHub:
    """One log in memory. Fulfils `SequencerStore` and `BoardStore`; the other stores stand on it."""

    def __init__(self, entitlements: Entitlements) -> None:
        self.rows = MemoryRows()
        self.entitlements = entitlements

    def run(self, work: Callable[[MemoryRows], T]) -> T:
        """Run `work` on a copy, and keep the copy unless it raises."""
        tried = copy.copy(self.rows)
        for name, value in vars(self.rows).items():
            if isinstance(value, dict | list | set):
                setattr(tried, name, copy.copy(value))
        done = work(tried)
        self.rows = tried
        return done

    async def intake(self, work: Callable[[LogTx], T]) -> T:
        """Run `work` on the log, as the consumer does."""
        return self.run(lambda rows: work(MemoryLogTx(rows)))

    async def take_over(self) -> LogState | None:
        """Raise the fence by one."""
        if self.rows.state is not None:
            self.rows.state = replace(self.rows.state, fence=self.rows.state.fence + 1)
        return self.rows.state

    async def waiting(self) -> Waiting:
        """What waits for its receipt."""
        state = self.rows.state
        if state is None:
            raise LogHalted("no-genesis")
        return Waiting(
            state,
            tuple(map(_logged, self.rows.entries[state.receipted :])),
            tuple(_logged(self.rows.entries[index]) for index in sorted(self.rows.wanted)),
        )

    async def leaves(self, first: int, last: int) -> list[bytes]:
        """Leaf bytes of entries first ≤ index < last."""
        return [entry.leaf_bytes for entry in self.rows.entries[first:last]]

    async def signed(
        self, head: Head, before: LogState, replies: Sequence[Reply], answered: Sequence[int]
    ) -> None:
        """Keep a head with its receipts."""

        def work(rows: MemoryRows) -> None:
            state = rows.state
            if (
                state is None
                or (state.fence, state.receipted) != (before.fence, before.receipted)
                or state.size < head.size
            ):
                raise LogHalted("fence-lost")
            if rows.heads.setdefault(head.size, head).root != head.root:
                raise LogHalted("head-would-fork")
            rows.state = replace(state, receipted=head.size)
            rows.replies += replies
            rows.wanted -= set(answered)

        self.run(work)

    async def published(self, size: int, fence: int) -> None:
        """Advance the published size."""
        state = self.rows.state
        if state is None or state.fence != fence or not state.published <= size <= state.receipted:
            raise LogHalted("fence-lost")
        self.rows.state = replace(state, published=size)

    async def head(self, size: int) -> Head | None:
        """The head of this size."""
        return self.rows.heads.get(size)

    async def board(self) -> Board:
        """Every producer epoch with its gaps."""
        producers = [
            Producer(
                self.rows.services[src], src, epoch, highest, at, self._gaps(src, epoch, highest)
            )
            for (src, epoch), (highest, at) in self.rows.epochs.items()
        ]
        producers.sort(key=lambda one: (one.service, one.src, one.epoch))
        return Board(tuple(producers), self.rows.size)

    def _gaps(self, src: str, epoch: int, highest: int) -> tuple[tuple[int, int], ...]:
        gaps: list[tuple[int, int]] = []
        for seq in range(1, highest + 1):
            if (src, epoch, seq) not in self.rows.missing:
                continue
            if gaps and gaps[-1][1] == seq - 1:
                gaps[-1] = (gaps[-1][0], seq)
            else:
                gaps.append((seq, seq))
        return tuple(gaps)


class MemoryLogStore:
    """Fulfils `LogStore`."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub

    async def write(self, work: Callable[[SearchRows], T]) -> T:
        """Run `work` in a transaction."""
        return self._hub.run(lambda rows: work(MemorySearchRows(rows)))

    async def read(self, work: Callable[[LogView], T]) -> T:
        """Run `work` on a snapshot."""
        return work(MemoryLogView(self._hub.rows))


class MemoryQuestionStore:
    """Fulfils `QuestionStore`."""

    def __init__(self, hub: MemoryHub) -> None:
        self._hub = hub

    async def write(self, work: Callable[[QuestionTx], T]) -> T:
        """Run `work` in a transaction."""
        return self._hub.run(lambda rows: work(MemoryQuestionTx(rows)))

    async def read(self, work: Callable[[QuestionView], T]) -> T:
        """Run `work` on a snapshot."""
        return work(MemoryQuestionView(self._hub.rows, self._hub.entitlements))


class MemoryTiles:
    """Fulfils `TileFiles`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def write(self, tile: Tile, data: bytes) -> None:
        """Store a tile."""
        if self.files.setdefault(tile.path(), data) != data:
            raise LogHalted("tile-would-change")

    def read(self, tile: Tile) -> bytes | None:
        """Its bytes."""
        return self.files.get(tile.path())

    def drop_partials(self, tile: Tile) -> None:
        """Remove the unfinished forms."""
        for path in [one for one in self.files if one.startswith(f"{tile.path()}.p/")]:
            del self.files[path]

    def publish(self, note: str) -> None:
        """Replace the checkpoint."""
        self.files["checkpoint"] = note.encode()

    def published(self) -> str | None:
        """The checkpoint."""
        found = self.files.get("checkpoint")
        return None if found is None else found.decode()

    def promise(self, note: str) -> None:
        """Keep the newest head."""
        self.files["signed-head"] = note.encode()

    def promised(self) -> str | None:
        """The head kept last."""
        found = self.files.get("signed-head")
        return None if found is None else found.decode()


def _found(entry: Entry) -> Found:
    return Found(
        entry.index,
        entry.leaf_bytes,
        entry.record,
        entry.salt,
        entry.service,
        entry.rejected or "",
        entry.flags or "",
        entry.held or "",
    )


def _logged(entry: Entry) -> Logged:
    place = entry.claimed or (entry.leaf.src, entry.leaf.ep, entry.leaf.seq)
    record_id = str(entry.fields["id"])
    return Logged(entry.index, entry.leaf_bytes, entry.service, record_id, entry.rejected, place)


def _visible(entry: Entry, agency: str | None) -> bool:
    return agency is None or agency in (entry.fields.get("org", ""), entry.fields.get("rcp"))


def _matches(entry: Entry, wanted: Filter) -> bool:
    fields, at = entry.fields, entry.leaf.tr
    asked = [
        *(
            token in entry.tokens.get(kind, ())
            for kind in ("case", "actor", "subject")
            if (token := getattr(wanted, kind)) is not None
        ),
        wanted.recipient in (None, fields.get("rcp")),
        wanted.delivery in (None, fields.get("dl")),
        wanted.operation in (None, fields["op"]),
        wanted.since is None or at >= wanted.since,
        wanted.until is None or at < wanted.until,
        bool(fields.get("bg")) or not wanted.emergency,
    ]
    return all(asked)
