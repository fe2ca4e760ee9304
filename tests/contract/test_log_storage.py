"""The log's storage promises on both databases: one writer, compare-and-swap, gaps, repeats,
searches that cannot see too much."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from audit.domain import Filter, LogHalted
from audit.ports import Question
from audit.storage.queries import SqlQueryView
from audit.storage.rebuild import index_differences, rebuild_index
from audit.storage.tables import GAP
from hubformats.canonical import b64u
from hubformats.clock import SystemClock
from hubformats.tlog.whole_log import check_whole_log
from tests.support.audit_log import LogBed, batch, check_receipts, item, records
from tests.support.databases import database_url

__all__ = ["database_url"]

CASE = b"\x07" * 16
pytestmark = pytest.mark.stack


@pytest.fixture
async def bed(tmp_path: Path, database_url: str) -> AsyncIterator[LogBed]:
    made = await LogBed(tmp_path, SystemClock(), database_url).open()
    yield made
    await made.close()


async def test_what_goes_in_comes_out_signed_also_after_a_restart(bed: LogBed) -> None:
    await bed.append(records(1, 200))
    await bed.cycle()
    await bed.append(records(201, 400))
    await bed.close()
    await bed.open()
    await bed.cycle()
    assert len(check_receipts(bed.receipts(), bed.log)) == 400
    assert check_whole_log(bed.reader(), bed.log).checkpoint.size == 401


async def test_gaps_open_split_and_close(bed: LogBed) -> None:
    async def gaps() -> list[tuple[int, int]]:
        found = select(GAP.c.first, GAP.c.last).order_by(GAP.c.first)
        return [
            (row.first, row.last)
            for row in await bed.database.read(lambda connection: connection.execute(found).all())
        ]

    await bed.append(records(5, 5))
    assert await gaps() == [(1, 4)]
    await bed.append(records(2, 3))
    assert await gaps() == [(1, 1), (4, 4)]
    again = await bed.append(records(1, 5))
    assert (again.added, again.rejected) == (2, ["place-taken"] * 3)
    assert await gaps() == []


async def test_a_repeat_inside_one_batch_is_seen(bed: LogBed) -> None:
    one = item(1)
    intake = await bed.append(batch([one, one, item(1)]))
    assert (intake.added, intake.repeated, intake.rejected) == (1, 1, ["place-taken"])


async def test_two_sequencers_that_take_over_in_turn_never_both_write(bed: LogBed) -> None:
    first, second = bed.sequencer, bed.new_sequencer()
    await second.boot()
    outcomes = await asyncio.gather(
        bed.append(records(1, 10), sequencer=first),
        bed.append(records(1, 10), sequencer=second),
        return_exceptions=True,
    )
    assert [isinstance(outcome, LogHalted) for outcome in outcomes] == [True, False]
    assert (await bed.state()).size == 11


async def test_parallel_batches_get_one_order(bed: LogBed) -> None:
    sent = [
        batch([item(seq) for seq in range(1, 21)], src=f"producer-{number}") for number in range(8)
    ]
    await asyncio.gather(*(bed.append(each) for each in sent))
    await bed.cycle()
    assert sorted(check_receipts(bed.receipts(), bed.log).values()) == list(range(1, 161))


def question(agency: str | None, size: int, **wanted: Any) -> Question:
    return Question(uuid4(), "asker", agency, "verify_lawfulness", Filter(**wanted), size, 0)


async def test_searches_find_exactly_what_was_asked_and_may_be_seen(bed: LogBed) -> None:
    token: dict[str, Any] = {"tokens": {"case": (b64u(CASE),)}}
    await bed.append(
        batch(
            [
                item(1, org="a", rcp="b", **token),
                item(2, org="b", rcp="c", dl="d-1"),
                item(3, org="c", bg=True, **token),
            ]
        )
    )
    await bed.append(batch([item(4, org="a", operation="search")]))

    async def found(
        agency: str | None = None, below: int = 99, limit: int = 10, **wanted: Any
    ) -> list[int]:
        asked = question(agency, 5, **wanted)
        return [
            one.index
            for one in await bed.database.read(
                lambda connection: SqlQueryView(connection).search(asked, below, limit)
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
    tr = (await bed.state()).last_tr
    assert await found(since=tr) == [4]
    assert await found(until=tr, operation="disclosure") == [3, 2, 1]
    assert await found(since=tr + 1) == []
    for agency, seen in (("a", [4, 1]), ("b", [2, 1]), ("c", [3, 2]), ("d", [])):
        assert await found(agency=agency, since=0) == seen


async def test_the_search_rows_can_be_rebuilt(bed: LogBed) -> None:
    await bed.append(records(1, 30, rcp="b", tokens={"case": (b64u(CASE),)}))
    assert await bed.database.write(lambda unit: rebuild_index(unit.connection)) == 31
    assert await bed.database.read(index_differences) == []
