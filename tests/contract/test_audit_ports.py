"""Audit's ports, held to the same promises in memory, on SQLite and on PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from uuid import uuid4

import pytest

from audit.completeness.ports import BoardStore
from audit.completeness.repository import SqlBoardStore
from audit.context import actor_of
from audit.intake.model import Sender
from audit.intake.use_cases import Delivery, append_batch
from audit.log.model.entries import Entry, Head, LogHalted
from audit.log.ports import LogStore, LogTx, LogView, SearchRows, SequencerStore, TileFiles
from audit.log.repository.entries import SqlLogTx
from audit.log.repository.heads import SqlSequencerStore
from audit.log.repository.search_rows import SqlLogStore, SqlLogView, SqlSearchRows
from audit.log.repository.tiles import TileFolder
from audit.log.use_cases import open_log, rebuild_search_rows
from audit.log.worker.checkpoint import HeadSigner
from audit.log.worker.sequencer import Sequencer
from audit.questions.model import (
    AuthorisedLook,
    EntryNotFound,
    Filter,
    NotEntitled,
    PurposeRequired,
    Question,
    QuestionNotFound,
)
from audit.questions.ports import Entries, Looks, Questions, QuestionStore, QuestionTx, QuestionView
from audit.questions.repository import (
    SqlEntries,
    SqlLooks,
    SqlQuestions,
    SqlQuestionStore,
    SqlQuestionTx,
    SqlQuestionView,
)
from audit.questions.schemas import shown
from audit.tables import FRAME_TABLES, METADATA
from common.attempts import Answer, Attempt
from common.audit_trail import AuditTrail
from common.database import Database, Unit, ensure_schema
from common.events.audit import AuditBatch
from common.outbox import Outbox
from common.problems import Problem
from common.testing import ManualClock
from common.web.idempotency import Idempotency
from hubformats.audit_record import AuditEntry, Leaf
from hubformats.canonical import b64u
from hubformats.tlog.tiles import Tile
from hubformats.tlog.whole_log import check_whole_log
from tests.support.audit_fakes import (
    MemoryEntries,
    MemoryHub,
    MemoryLogStore,
    MemoryLogTx,
    MemoryLogView,
    MemoryLooks,
    MemoryQuestions,
    MemoryQuestionStore,
    MemoryQuestionTx,
    MemoryQuestionView,
    MemorySearchRows,
    MemoryTiles,
)
from tests.support.audit_log import ORIGIN, SEED, KeptOutbox, batch, item, records, withheld
from tests.support.audit_looks import ENTITLEMENTS, HOLDS, NOW, asked, caller
from tests.support.databases import database_url
from tests.support.port_suites import Held

__all__ = ["database_url"]

PORTS: Final = (
    Held(LogTx, (SqlLogTx,), MemoryLogTx),
    Held(SequencerStore, (SqlSequencerStore,), MemoryHub),
    Held(TileFiles, (TileFolder,), MemoryTiles),
    Held(SearchRows, (SqlSearchRows,), MemorySearchRows),
    Held(LogView, (SqlLogView,), MemoryLogView),
    Held(LogStore, (SqlLogStore,), MemoryLogStore),
    Held(BoardStore, (SqlBoardStore,), MemoryHub),
    Held(Questions, (SqlQuestions,), MemoryQuestions),
    Held(Looks, (SqlLooks,), MemoryLooks),
    Held(Entries, (SqlEntries,), MemoryEntries),
    Held(QuestionTx, (SqlQuestionTx,), MemoryQuestionTx),
    Held(QuestionView, (SqlQuestionView,), MemoryQuestionView),
    Held(QuestionStore, (SqlQuestionStore,), MemoryQuestionStore),
)

T = TypeVar("T")
CASE = b"\x07" * 16


@dataclass
class Kit:
    """One set of adapters over one log, with genesis written."""

    intake: Callable[[Callable[[LogTx], Any]], Awaitable[Any]]
    sequencing: SequencerStore
    tiles: TileFiles
    log: LogStore
    questions: QuestionStore
    board: BoardStore
    recorded: Callable[[], list[AuditEntry]]
    fence: int = 0

    async def append(self, sent: AuditBatch) -> None:
        """Take a batch in."""
        delivery = Delivery(Sender("sharing", "digest"), sent, 1, lambda raw: raw)
        await self.intake(lambda tx: append_batch(tx, self.fence, delivery))

    async def ask(self, agency: str | None, **wanted: Any) -> Question:
        """Record a question as a caller of this agency, or the mandated auditor for None."""
        granted = _caller(agency)
        made = asked(granted, wanted=Filter(**wanted))
        await self.questions.write(lambda tx: tx.questions.keep(made))
        return made

    async def look(self, agency: str | None, **wanted: Any) -> AuthorisedLook:
        """Authorise a look as storage does."""
        made = await self.ask(agency, **wanted)
        return await self.questions.read(
            lambda view: view.looks.by_question(_caller(agency), made.id)
        )

    async def found(self, agency: str | None = None, **wanted: Any) -> list[int]:
        """Search, and give the indexes."""
        look = await self.look(agency, **wanted)
        return [
            one.index
            for one in await self.questions.read(lambda view: view.entries.search(look, 99, 10))
        ]


def _caller(agency: str | None) -> Any:
    return caller() if agency is None else caller(agency, "somebody")


class _Trail:
    def __init__(self) -> None:
        self.recorded: list[AuditEntry] = []

    def record(self, unit: Unit, entry: AuditEntry) -> None:
        unit.after_commit(lambda: self.recorded.append(entry))


@asynccontextmanager
async def _in_memory(_folder: Path, _request: pytest.FixtureRequest) -> AsyncIterator[Kit]:
    hub = MemoryHub(ENTITLEMENTS)
    yield Kit(
        hub.intake,
        hub,
        MemoryTiles(),
        MemoryLogStore(hub),
        MemoryQuestionStore(hub),
        hub,
        lambda: hub.rows.recorded,
    )


@asynccontextmanager
async def _on_database(folder: Path, url: str) -> AsyncIterator[Kit]:
    clock, trail = ManualClock(NOW), _Trail()
    database = Database(url, clock=clock, name="audit")
    await database.start()
    await ensure_schema(database, METADATA)
    answers = Idempotency(FRAME_TABLES.idempotency, bytes(32), clock)
    kept = cast(AuditTrail, trail)

    async def intake(work: Callable[[LogTx], T]) -> T:
        return await database.write(lambda unit: work(SqlLogTx(unit.connection)))

    try:
        yield Kit(
            intake,
            SqlSequencerStore(database, cast(Outbox, KeptOutbox())),
            TileFolder(folder / "log"),
            SqlLogStore(database, kept),
            SqlQuestionStore(database, kept, answers, ENTITLEMENTS),
            SqlBoardStore(database),
            lambda: trail.recorded,
        )
    finally:
        await database.stop()


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.stack)])
async def kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kit]:
    if request.param == "memory":
        opened = _in_memory(tmp_path, request)
    else:
        opened = _on_database(tmp_path, _url(request, tmp_path))
    async with opened as made:
        await made.intake(lambda tx: open_log(tx, 0, b"\x11" * 32))
        state = await made.sequencing.take_over()
        assert state is not None
        made.fence = state.fence
        yield made


def _url(request: pytest.FixtureRequest, folder: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{folder}/hub.db"
    server = request.getfixturevalue("postgres_server")
    url: str = server.database(f"t{uuid4().hex[:16]}")
    return url


async def test_a_transaction_that_fails_leaves_nothing(kit: Kit) -> None:
    def work(tx: LogTx) -> None:
        tx.bind("src", "sharing", 1)
        tx.heard("src", 1, 3, 1)
        raise LogHalted("on purpose")

    with pytest.raises(LogHalted):
        await kit.intake(work)
    assert await kit.intake(lambda tx: (tx.service_of("src"), tx.highest("src", 1))) == (None, 0)


async def test_the_state_moves_by_compare_and_swap(kit: Kit) -> None:
    before = await kit.intake(lambda tx: tx.state())
    await kit.append(records(1, 2))
    with pytest.raises(LogHalted, match="state-moved"):
        await kit.intake(lambda tx: tx.advance(before, before))


async def test_a_place_is_taken_once_and_entry_0_made_once(kit: Kit) -> None:
    await kit.append(records(1, 1))
    state = await kit.intake(lambda tx: tx.state())
    with pytest.raises(Exception):  # noqa: B017 - each database says it in its own words
        await kit.intake(lambda tx: tx.begin(state))
    taken = (await kit.sequencing.waiting()).entries[1]
    known = await kit.intake(lambda tx: tx.known("producer-one", 1, 1, 5))
    assert {seq: one.index for seq, one in known.items()} == {1: taken.index}
    leaf = Leaf.decode(taken.leaf)
    again = Entry(
        2, leaf, taken.leaf, "sharing", b"", b"", {"id": str(uuid4()), "te": 1, "op": "x"}, {}
    )
    with pytest.raises(Exception):  # noqa: B017 - each database says it in its own words
        await kit.intake(lambda tx: tx.add([again]))
    assert len(await kit.sequencing.leaves(0, 9)) == 2
    assert await kit.sequencing.leaves(1, 2) == [taken.leaf]


async def test_a_gap_is_noted_and_filled_number_by_number(kit: Kit) -> None:
    await kit.append(records(1, 1))

    def note(tx: LogTx) -> None:
        tx.heard("producer-one", 1, 9, 1)
        tx.open_gap("producer-one", 1, 2, 9, 1)
        tx.fill_gap("producer-one", 1, 9)
        tx.fill_gap("producer-one", 1, 4)

    await kit.intake(note)
    board = await kit.board.board()
    assert board.producers[0].gaps == ((2, 3), (5, 8))


async def test_a_receipt_that_is_asked_for_again_waits_once(kit: Kit) -> None:
    await kit.append(records(1, 2))
    for _ in range(2):
        await kit.intake(lambda tx: tx.want_receipt(1))
    assert [one.index for one in (await kit.sequencing.waiting()).wanted] == [1]


async def test_gaps_open_split_and_close_on_the_board(kit: Kit) -> None:
    await kit.append(records(5, 5))
    await kit.append(records(2, 3))
    board = await kit.board.board()
    assert [(one.service, one.highest, one.gaps) for one in board.producers] == [
        ("sharing", 5, ((1, 1), (4, 4)))
    ]
    await kit.append(records(1, 1))
    await kit.append(records(4, 4))
    board = await kit.board.board()
    assert (board.log_size, board.producers[0].gaps) == (6, ())


async def test_what_waits_is_signed_once_and_a_repeat_wants_its_receipt(kit: Kit) -> None:
    sent = records(1, 3)
    await kit.append(sent)
    await kit.append(sent)
    waiting = await kit.sequencing.waiting()
    assert [entry.place for entry in waiting.entries[1:]] == [
        ("producer-one", 1, n) for n in (1, 2, 3)
    ]
    assert [entry.index for entry in waiting.wanted] == [1, 2, 3]
    head = Head(4, waiting.state.root, "note")
    await kit.sequencing.signed(head, waiting.state, [], [1, 2, 3])
    again = await kit.sequencing.waiting()
    assert (again.state.receipted, again.entries, again.wanted) == (4, (), ())
    assert await kit.sequencing.head(4) == head
    with pytest.raises(LogHalted, match="fence-lost"):
        await kit.sequencing.signed(head, waiting.state, [], [])
    with pytest.raises(LogHalted, match="head-would-fork"):
        await kit.sequencing.signed(Head(4, b"other", "note"), again.state, [], [])
    await kit.sequencing.published(4, kit.fence)
    with pytest.raises(LogHalted, match="fence-lost"):
        await kit.sequencing.published(4, kit.fence + 1)
    with pytest.raises(LogHalted, match="fence-lost"):
        await kit.sequencing.published(3, kit.fence)


async def test_a_sequencer_works_over_these_ports(kit: Kit) -> None:
    signer = HeadSigner(ORIGIN, SEED)
    sequencer = Sequencer(kit.sequencing, kit.tiles, signer, lambda _code: None)
    await sequencer.boot()
    kit.fence = sequencer.fence
    await kit.append(records(1, 200))
    await sequencer.round()
    await kit.append(records(201, 300))
    await sequencer.round()
    await sequencer.publish()

    def read(path: str) -> bytes:
        if path == "checkpoint":
            return (sequencer.checkpoint or "").encode()
        found = kit.tiles.read(Tile.parse(path))
        if found is None:
            raise OSError(path)
        return found

    assert check_whole_log(read, signer.verifier).checkpoint.size == 301


async def test_a_tile_never_changes(kit: Kit) -> None:
    tile = Tile(0, 0)
    assert (kit.tiles.read(tile), kit.tiles.published()) == (None, None)
    kit.tiles.publish("one")
    kit.tiles.publish("two")
    assert kit.tiles.published() == "two"
    assert kit.tiles.promised() is None
    kit.tiles.promise("three")
    kit.tiles.promise("four")
    assert (kit.tiles.promised(), kit.tiles.published()) == ("four", "two")
    kit.tiles.write(tile, b"bytes")
    kit.tiles.write(tile, b"bytes")
    with pytest.raises(LogHalted, match="tile-would-change"):
        kit.tiles.write(tile, b"other")
    partial = Tile(0, 1, 7)
    kit.tiles.write(partial, b"part")
    kit.tiles.drop_partials(Tile(0, 1))
    assert (kit.tiles.read(tile), kit.tiles.read(partial)) == (b"bytes", None)


async def test_entry_0_and_the_search_rows(kit: Kit) -> None:
    await kit.append(records(1, 3))
    genesis = await kit.log.read(lambda view: view.genesis())
    assert genesis is not None
    assert genesis.salt == bytes(32)
    assert await kit.log.write(lambda rows: rebuild_search_rows(rows, caller())) == 4
    assert await kit.log.read(lambda view: (view.size(), view.row_differences())) == (4, [])
    assert [entry.operation for entry in kit.recorded()] == ["config_change"]
    assert await kit.log.write(lambda rows: rows.rebuild()) == 4


async def test_an_act_is_recorded_with_its_transaction_or_not_at_all(kit: Kit) -> None:
    entry = AuditEntry(operation="config_change", outcome="done", actor=actor_of(caller()))

    def fails(rows: Any) -> None:
        rows.record(entry)
        raise LookupError

    for store in (kit.log, kit.questions):
        with pytest.raises(LookupError):
            await store.write(fails)
        await store.write(lambda rows: rows.record(entry))
    assert kit.recorded() == [entry, entry]


async def test_searches_show_exactly_what_may_be_seen(kit: Kit) -> None:
    token: dict[str, Any] = {"tokens": {"case": (b64u(CASE),)}}
    await kit.append(
        batch(
            [
                item(1, org="a", rcp="b", **token),
                item(2, org="b", rcp="c", dl="d-1"),
                item(3, org="c", bg=True, **token),
                item(4, org="a", operation="search"),
            ]
        )
    )
    assert await kit.found(case=CASE) == [3, 1]
    assert await kit.found("b", case=CASE) == [1]
    assert await kit.found(recipient="c") == [2]
    assert await kit.found("a", delivery="d-1") == []
    assert await kit.found(operation="search") == [4]
    assert await kit.found(emergency=True) == [3]
    assert await kit.found(since=1) == [4, 3, 2, 1]
    assert await kit.found(until=1) == [0]
    for agency, seen in (("a", [4, 1]), ("b", [2, 1]), ("c", [3, 2]), ("d", [])):
        assert await kit.found(agency, since=1) == seen


async def test_an_entry_opens_for_its_own_agencies_and_a_mandate_alone(kit: Kit) -> None:
    await kit.append(batch([item(1, org="a", rcp="b")]))
    for agency in ("a", "b", None):
        look = await kit.look(agency)
        opened = await kit.questions.read(lambda view, by=look: view.entries.entry(by, 1))  # type: ignore[misc]
        assert opened.index == 1
    for agency, index in (("c", 1), ("a", 0), (None, 2)):
        look = await kit.look(agency)
        with pytest.raises(EntryNotFound):
            await kit.questions.read(lambda view, by=look, at=index: view.entries.entry(by, at))  # type: ignore[misc]


async def test_a_look_is_authorised_by_the_callers_own_question_alone(kit: Kit) -> None:
    mine = await kit.ask("a")
    for other in (caller("a", "somebody-else"), caller("b", "somebody"), caller()):
        with pytest.raises(QuestionNotFound):
            await kit.questions.read(lambda view, by=other: view.looks.by_question(by, mine.id))  # type: ignore[misc]
        with pytest.raises(PurposeRequired):
            await kit.questions.read(lambda view, by=other: view.looks.by_latest(by))  # type: ignore[misc]
    latest = await kit.questions.read(lambda view: view.looks.by_latest(caller("a", "somebody")))
    assert latest.question == mine
    with pytest.raises(QuestionNotFound):
        await kit.questions.read(
            lambda view: view.looks.by_question(caller("a", "somebody"), uuid4())
        )


async def test_a_look_needs_a_purpose_that_holds_and_a_mandate_in_force(kit: Kit) -> None:
    mine, mandated = await kit.ask("a"), await kit.ask(None)
    held = caller("a", "somebody", at=NOW + HOLDS)
    assert (await kit.questions.read(lambda view: view.looks.by_latest(held))).question == mine
    late = caller("a", "somebody", at=NOW + HOLDS + timedelta(seconds=1))
    with pytest.raises(PurposeRequired):
        await kit.questions.read(lambda view: view.looks.by_latest(late))
    with pytest.raises(PurposeRequired):
        await kit.questions.read(lambda view: view.looks.by_question(late, mine.id))
    ended = caller(at=NOW + timedelta(days=1))
    with pytest.raises(NotEntitled):
        await kit.questions.read(lambda view: view.looks.by_question(ended, mandated.id))


async def test_an_attempt_is_answered_once(kit: Kit) -> None:
    attempt = Attempt(b"i" * 32, b"r" * 32)
    done: list[int] = []

    def work() -> Answer:
        done.append(1)
        return Answer(201, {"id": "x"}, {"Location": "/x"})

    first = await kit.questions.write(lambda tx: tx.once(attempt, work))
    second = await kit.questions.write(lambda tx: tx.once(attempt, work))
    assert (first.replayed, second.replayed, len(done)) == (False, True, 1)
    assert (second.status, dict(second.body)) == (201, {"id": "x"})
    other = Attempt(attempt.id, b"o" * 32)
    with pytest.raises(Problem, match="idempotency-key-reused"):
        await kit.questions.write(lambda tx: tx.once(other, work))
    assert len(done) == 1


async def test_why_something_was_withheld_is_for_a_mandate_alone(kit: Kit) -> None:
    """Whoever is barred would learn it from their own agency's entries."""
    old = item(2, out="withhold", why="conflict", rcp="b", sub=["A" * 22] * 3, subn=3)
    await kit.append(batch([withheld(1, "conflict", rcp="b"), old]))
    for agency, told in ((None, "conflict"), ("b", "")):
        look = await kit.look(agency, recipient="b")
        listed = await kit.questions.read(lambda view, look=look: view.entries.search(look, 99, 10))  # type: ignore[misc]
        opened = [
            await kit.questions.read(
                lambda view, look=look, one=one: view.entries.entry(look, one.index)  # type: ignore[misc]
            )
            for one in listed
        ]
        for older, newer in (listed, opened):
            assert shown(newer).reason == told
            assert (shown(older).record.get("why", ""), "subn" in shown(older).record) == (
                told,
                agency is None,
            )
            assert shown(older).intact
            assert (older.veiled, newer.veiled) == (agency is not None, False)
            assert b"conflict" not in newer.record
