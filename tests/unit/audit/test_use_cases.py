"""Intake and questions on the ports in memory: what is recorded, and in which order."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from audit.context import Context
from audit.intake.model import LogBusy, Sender
from audit.intake.use_cases import UNSIGNED_LIMIT, Delivery, append_batch
from audit.log.model.entries import LogHalted
from audit.log.use_cases import open_log
from audit.questions.model import Filter, NotEntitled
from audit.questions.use_cases import Asked, Asking, answers, record_opening, record_page
from tests.support.audit_fakes import (
    MemoryHub,
    MemoryLogTx,
    MemoryQuestionTx,
    MemoryQuestionView,
)
from tests.support.audit_log import records
from tests.support.audit_looks import AREA, ENTITLEMENTS, caller, look

CONTEXT = Context(AREA, "issuer", bytes(32))
ASKING = Asking(CONTEXT, ENTITLEMENTS, lambda question: {"id": str(question.id)})


@pytest.fixture
def hub() -> MemoryHub:
    made = MemoryHub(ENTITLEMENTS)
    made.run(lambda rows: open_log(MemoryLogTx(rows), 1_000, b"\x11" * 32))
    return made


def delivery(first: int, last: int, *, now: int = 2_000, **fields: Any) -> Delivery:
    return Delivery(Sender("sharing", "d"), records(first, last, **fields), now, lambda raw: raw)


def test_a_batch_is_appended_and_its_repeat_counted(hub: MemoryHub) -> None:
    sent = delivery(1, 3)
    first = hub.run(lambda rows: append_batch(MemoryLogTx(rows), 0, sent))
    again = hub.run(lambda rows: append_batch(MemoryLogTx(rows), 0, sent))
    assert (first.added, again.added, again.repeated, hub.rows.size) == (3, 0, 3, 4)
    assert hub.rows.wanted == {1, 2, 3}


def test_a_clock_a_minute_behind_stops_the_log_and_writes_nothing(hub: MemoryHub) -> None:
    hub.run(lambda rows: append_batch(MemoryLogTx(rows), 0, delivery(1, 1, now=70_000_000)))
    late = hub.run(lambda rows: append_batch(MemoryLogTx(rows), 0, delivery(2, 2, now=60_000_000)))
    assert late.clock_went_back
    with pytest.raises(LogHalted, match="clock-went-back"):
        hub.run(lambda rows: append_batch(MemoryLogTx(rows), 0, delivery(3, 3, now=1_000)))
    assert (hub.rows.size, hub.rows.entries[-1].leaf.tr) == (3, 70_000_000)


def test_another_fence_and_a_full_backlog_are_refused(hub: MemoryHub) -> None:
    with pytest.raises(LogHalted, match="fence-lost"):
        hub.run(lambda rows: append_batch(MemoryLogTx(rows), 1, delivery(1, 1)))
    state = hub.rows.state
    assert state is not None
    hub.rows.state = replace(state, size=UNSIGNED_LIMIT + 1)
    with pytest.raises(LogBusy):
        hub.run(lambda rows: append_batch(MemoryLogTx(rows), 0, delivery(1, 1)))


def test_a_question_is_recorded_with_its_purpose_and_kept_as_tokens(hub: MemoryHub) -> None:
    asked = Asked(
        "subject_right", "They asked.", Filter(emergency=True), "nm-2026-0001", "someone", uuid4()
    )
    answer = hub.run(lambda rows: ASKING.ask(MemoryQuestionTx(rows), caller("a"), asked))
    (question,) = hub.rows.questions.values()
    (entry,) = hub.rows.recorded
    assert answer.headers["Location"] == f"/v1/queries/{question.id}"
    assert (question.agency, question.size, question.filter.emergency) == ("a", 1, True)
    assert question.filter.actor == CONTEXT.token("actor", "issuer|someone")
    assert question.filter.case is not None
    assert entry.rules == ENTITLEMENTS.rules[0].version
    assert (entry.operation, entry.purpose, entry.resource_type) == (
        "audit_query",
        "subject_right",
        "audit_log",
    )


def test_who_may_see_nothing_asks_nothing(hub: MemoryHub) -> None:
    asked = Asked("subject_right", "They asked.", Filter(emergency=True))
    with pytest.raises(NotEntitled):
        hub.run(lambda rows: ASKING.ask(MemoryQuestionTx(rows), caller("elsewhere"), asked))
    assert not hub.rows.questions
    assert not hub.rows.recorded


def test_pages_are_newest_first_and_end_where_the_question_was_asked(hub: MemoryHub) -> None:
    hub.run(lambda rows: append_batch(MemoryLogTx(rows), 0, delivery(1, 9)))
    seen = look(None, size=6)
    view = MemoryQuestionView(hub.rows, ENTITLEMENTS)
    found, below = answers(view, seen, None, 4)
    assert ([one.index for one in found], below) == ([5, 4, 3, 2], 2)
    found, below = answers(view, seen, below, 4)
    assert ([one.index for one in found], below) == ([1, 0], None)


def test_each_look_is_an_entry_under_the_purpose_of_its_question(hub: MemoryHub) -> None:
    seen = look("a")

    def work(tx: MemoryQuestionTx) -> None:
        record_page(tx, caller("a"), seen, 7)
        record_opening(tx, caller("a"), seen, 3)

    hub.run(lambda rows: work(MemoryQuestionTx(rows)))
    assert [
        (entry.resource_type, entry.resource_version, entry.justification_code, entry.purpose)
        for entry in hub.rows.recorded
    ] == [
        ("audit_log", 7, "page", "verify_lawfulness"),
        ("audit_entry", 3, "entry", "verify_lawfulness"),
    ]
