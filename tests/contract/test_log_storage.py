"""The log's storage promises on both databases: one writer, compare-and-swap, gaps, repeats,
searches that cannot see too much."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from audit.log.model.entries import LogHalted
from audit.log.repository.search_rows import index_differences, rebuild_index
from audit.questions.repository import SqlEntries
from audit.tables import GAP
from hubformats.canonical import b64u
from hubformats.clock import SystemClock
from hubformats.tlog.whole_log import check_whole_log
from tests.support.audit_log import LogHarness, batch, check_receipts, item, records
from tests.support.audit_looks import look
from tests.support.databases import database_url

__all__ = ["database_url"]

CASE = b"\x07" * 16
pytestmark = pytest.mark.stack


@pytest.fixture
async def harness(tmp_path: Path, database_url: str) -> AsyncIterator[LogHarness]:
    made = await LogHarness(tmp_path, SystemClock(), database_url).open()
    yield made
    await made.close()


async def test_what_goes_in_comes_out_signed_also_after_a_restart(harness: LogHarness) -> None:
    await harness.append(records(1, 200))
    await harness.cycle()
    await harness.append(records(201, 400))
    await harness.close()
    await harness.open()
    await harness.cycle()
    assert len(check_receipts(harness.receipts(), harness.log)) == 400
    assert check_whole_log(harness.reader(), harness.log).checkpoint.size == 401


async def test_gaps_open_split_and_close(harness: LogHarness) -> None:
    async def gaps() -> list[tuple[int, int]]:
        found = select(GAP.c.first, GAP.c.last).order_by(GAP.c.first)
        return [
            (row.first, row.last)
            for row in await harness.database.read(
                lambda connection: connection.execute(found).all()
            )
        ]

    await harness.append(records(5, 5))
    assert await gaps() == [(1, 4)]
    await harness.append(records(2, 3))
    assert await gaps() == [(1, 1), (4, 4)]
    again = await harness.append(records(1, 5))
    assert (again.added, again.rejected) == (2, ["place-taken"] * 3)
    assert await gaps() == []


async def test_a_repeat_inside_one_batch_is_seen(harness: LogHarness) -> None:
    one = item(1)
    intake = await harness.append(batch([one, one, item(1)]))
    assert (intake.added, intake.repeated, intake.rejected) == (1, 1, ["place-taken"])


async def test_two_sequencers_that_take_over_in_turn_never_both_write(harness: LogHarness) -> None:
    first, second = harness.sequencer, harness.new_sequencer()
    await second.boot()
    outcomes = await asyncio.gather(
        harness.append(records(1, 10), sequencer=first),
        harness.append(records(1, 10), sequencer=second),
        return_exceptions=True,
    )
    assert [isinstance(outcome, LogHalted) for outcome in outcomes] == [True, False]
    assert (await harness.state()).size == 11


async def test_parallel_batches_get_one_order(harness: LogHarness) -> None:
    sent = [
        batch([item(seq) for seq in range(1, 21)], src=f"producer-{number}") for number in range(8)
    ]
    await asyncio.gather(*(harness.append(each) for each in sent))
    await harness.cycle()
    assert sorted(check_receipts(harness.receipts(), harness.log).values()) == list(range(1, 161))


async def test_searches_find_exactly_what_was_asked_and_may_be_seen(harness: LogHarness) -> None:
    token: dict[str, Any] = {"tokens": {"case": (b64u(CASE),)}}
    await harness.append(
        batch(
            [
                item(1, org="a", rcp="b", **token),
                item(2, org="b", rcp="c", dl="d-1"),
                item(3, org="c", bg=True, **token),
            ]
        )
    )
    await harness.append(batch([item(4, org="a", operation="search")]))

    async def found(
        agency: str | None = None, below: int = 99, limit: int = 10, **wanted: Any
    ) -> list[int]:
        asked = look(agency, size=5, **wanted)
        return [
            one.index
            for one in await harness.database.read(
                lambda connection: SqlEntries(connection).search(asked, below, limit)
            )
        ]

    assert await found(case=CASE) == [3, 1]
    assert await found(case=CASE, limit=1) == [3]
    assert await found(case=CASE, below=3) == [1]
    assert await found(case=CASE, agency="b") == [1]
    assert await found(case=b"\x08" * 16) == []
    assert await found(recipient="c") == [2]
    assert await found(delivery="d-1", agency="a") == []
    assert await found(operation="search") == [4]
    assert await found(emergency=True) == [3]
    tr = (await harness.state()).last_tr
    assert await found(since=tr) == [4]
    assert await found(until=tr, operation="disclosure") == [3, 2, 1]
    assert await found(since=tr + 1) == []
    for agency, seen in (("a", [4, 1]), ("b", [2, 1]), ("c", [3, 2]), ("d", [])):
        assert await found(agency=agency, since=0) == seen


async def test_the_search_rows_can_be_rebuilt(harness: LogHarness) -> None:
    await harness.append(records(1, 30, rcp="b", tokens={"case": (b64u(CASE),)}))
    assert await harness.database.write(lambda unit: rebuild_index(unit.connection)) == 31
    assert await harness.database.read(index_differences) == []
