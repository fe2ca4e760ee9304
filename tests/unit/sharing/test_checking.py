"""Looks that nobody can check are refused, and a person is paged: at once, then once a minute."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from common.testing import ManualClock
from sharing.disclosures.ports import CaseState
from sharing.disclosures.use_cases.last_look import CheckUnanswered
from sharing.inbox.use_cases.checking import AGAIN, VetoQuestions
from tests.support.snapshots import CASE


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
