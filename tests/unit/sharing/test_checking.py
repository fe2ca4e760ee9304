"""Looks that nobody can check are refused, and a person is paged: at once, then once a minute.
Looks of the same moment share a question, and none gets an answer that was asked for before it."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from common.testing import ManualClock
from sharing.disclosures.ports import CaseState
from sharing.disclosures.use_cases.last_look import CheckUnanswered
from sharing.inbox.use_cases.checking import AGAIN, VetoQuestions
from tests.support.snapshots import CASE

OTHER, THIRD = UUID(int=2), UUID(int=3)


class Silent:
    """Fulfils `disclosures.ports.ReleaseChecks`; says nothing unless told to."""

    def __init__(self) -> None:
        self.says: Mapping[UUID, CaseState] | None = None

    async def check(self, case_id: UUID, version: int, subjects: Sequence[UUID]) -> Any:
        raise AssertionError("a look asks about all its cases at once")

    async def check_all(self, case_ids: Collection[UUID]) -> Mapping[UUID, CaseState] | None:
        return self.says


async def test_refused_looks_page_at_once_and_then_once_a_minute(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock, checks = ManualClock(), Silent()
    questions = VetoQuestions(checks, clock)

    async def look() -> None:
        with pytest.raises(CheckUnanswered):
            await questions.about(frozenset({CASE}))

    def paged() -> list[tuple[str, int]]:
        told = [(one.__dict__["alarm"], one.__dict__["count"]) for one in caplog.records]
        caplog.clear()
        return told

    await look()
    assert paged() == [("inbox-unchecked", 1)]
    for _ in range(3):
        await look()
    assert paged() == []
    clock.advance(AGAIN)
    await look()
    assert paged() == [("inbox-unchecked", 4)], "with how many were refused meanwhile"
    checks.says = {}
    assert (await questions.about(frozenset({CASE}))).asked == {CASE}
    assert paged() == []


async def test_where_there_is_nothing_to_ask_nobody_is_asked() -> None:
    assert (await VetoQuestions(Silent(), ManualClock()).about(frozenset())).asked == frozenset()


class Slow:
    """Fulfils `disclosures.ports.ReleaseChecks`; answers each question when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[frozenset[UUID], asyncio.Future[Mapping[UUID, CaseState]]]] = []

    async def check(self, case_id: UUID, version: int, subjects: Sequence[UUID]) -> Any:
        raise AssertionError("a look asks about all its cases at once")

    async def check_all(self, case_ids: Collection[UUID]) -> Mapping[UUID, CaseState] | None:
        answer: asyncio.Future[Mapping[UUID, CaseState]] = asyncio.Future()
        self.asked.append((frozenset(case_ids), answer))
        return await answer

    async def question(self, number: int) -> asyncio.Future[Mapping[UUID, CaseState]]:
        async with asyncio.timeout(5):
            # The question leaves in a task of its own, which tells nobody
            while len(self.asked) <= number:  # noqa: ASYNC110
                await asyncio.sleep(0)
        return self.asked[number][1]


def state(version: int) -> CaseState:
    return CaseState(version, (), 0.0)


async def test_looks_of_the_same_moment_share_a_question() -> None:
    checks = Slow()
    questions = VetoQuestions(checks, ManualClock())
    looks = [asyncio.create_task(questions.about(frozenset({one}))) for one in (CASE, OTHER, CASE)]
    said = {CASE: state(1), OTHER: state(2)}
    (await checks.question(0)).set_result(said)
    found = await asyncio.gather(*looks)
    assert [each.asked for each in found] == [{CASE}, {OTHER}, {CASE}]
    assert [each.states for each in found] == [said] * 3
    assert [asked for asked, _ in checks.asked] == [{CASE, OTHER}]


async def test_who_comes_while_a_question_is_out_gets_the_answer_of_the_next() -> None:
    """A veto may have come after the first one was read: its answer is nobody else's."""
    checks = Slow()
    questions = VetoQuestions(checks, ManualClock())
    first = asyncio.create_task(questions.about(frozenset({CASE})))
    out = await checks.question(0)
    late = [asyncio.create_task(questions.about(frozenset({one}))) for one in (CASE, OTHER)]
    await asyncio.sleep(0)
    out.set_result({CASE: state(1)})
    assert (await first).states == {CASE: state(1)}
    (await checks.question(1)).set_result({CASE: state(2), OTHER: state(2)})
    assert [(await each).states[CASE] for each in late] == [state(2)] * 2
    assert [asked for asked, _ in checks.asked] == [{CASE}, {CASE, OTHER}]


async def test_a_question_without_an_answer_holds_up_no_other() -> None:
    checks = Slow()
    questions = VetoQuestions(checks, ManualClock())
    stuck = asyncio.create_task(questions.about(frozenset({CASE})))
    never = await checks.question(0)
    second = asyncio.create_task(questions.about(frozenset({OTHER})))
    (await checks.question(1)).set_result({OTHER: state(1)})
    assert (await second).states == {OTHER: state(1)}
    assert not stuck.done()
    never.set_exception(ConnectionError("what no adapter lets out"))
    with pytest.raises(CheckUnanswered):
        await stuck
    third = asyncio.create_task(questions.about(frozenset({THIRD})))
    (await checks.question(2)).set_result({})
    assert (await third).states == {}


async def test_who_goes_away_takes_nobodys_answer_along() -> None:
    checks = Slow()
    questions = VetoQuestions(checks, ManualClock())
    gone, stays = (asyncio.create_task(questions.about(frozenset({CASE}))) for _ in range(2))
    out = await checks.question(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    out.set_result({CASE: state(1)})
    assert (await stays).states == {CASE: state(1)}
