"""The second look: another person, a clock from dated rules, one outcome, and an alarm for none."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from common.access import Granted, Principal, grant
from common.testing import ManualClock
from hubformats.audit_record import Account, Actor
from hubformats.ids import uuid7
from sharing.context import Context
from sharing.second_look import use_cases
from sharing.second_look.model import (
    NEXT_STATE,
    WAITING,
    Act,
    AnotherMustLook,
    Filed,
    LookNotFound,
    LookOutcome,
    LookOver,
    LookState,
    OutcomeUnknown,
    Said,
    SecondLook,
)
from sharing.second_look.use_cases import LookContext, Verdict
from tests.support.look_fakes import BOOK
from tests.support.sharing_fakes import FakeTx
from tests.support.sharing_harness import Parties
from tests.support.sharing_kept import Kept

WORDS = "Two neighbours had rung before."
HOUR = timedelta(hours=1)
FINE = Verdict(LookOutcome.REASONABLE, "needed", WORDS)


class Desk:
    """One transaction in memory, and what the use cases are given."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.tx = FakeTx(Kept(), self.clock, Parties())
        self.given = LookContext(Context(self.clock, "issuer", b"r" * 32, b"d" * 32), BOOK)

    def filed(self, act: Act = Act.VETO_LIFTED, *people: str) -> SecondLook:
        """An act of these people, to be looked at again."""
        actors = tuple(Actor(f"issuer|{name}", "northmoor-police") for name in people or ("jess",))
        made = Filed(uuid7(), act, "no_longer_so", uuid7(), actors, self.clock.now())
        return self.tx.second_looks.file(made)

    def queue(self, who: Granted, *, waiting: bool = True) -> list[UUID]:
        """What the person is shown."""
        found = use_cases.queue(self.tx, self.given, who, actor(who), waiting=waiting)
        return [each.id for each in found]

    def review(self, who: Granted, look: SecondLook, said: Verdict = FINE) -> SecondLook:
        """Say what came of it."""
        return use_cases.review(self.tx, self.given, who, actor(who), look.id, said)


def officer(name: str = "owen") -> Granted:
    """A privacy officer."""
    roles, scopes = frozenset({"privacy_officer"}), frozenset({"case.read", "case.write"})
    who = Principal("issuer", name, "portal", "person", "northmoor", roles=roles, scopes=scopes)
    now = ManualClock().now()
    return grant(who, scope="case.write", operation="alteration", at=now)


def actor(who: Granted) -> Actor:
    """As the audit log names them."""
    return Actor(f"issuer|{who.principal.subject}", "northmoor", "privacy_officer")


def test_an_item_has_its_clock_from_the_rules_and_names_nobody() -> None:
    desk = Desk()
    for act, minutes in ((Act.VETO_LIFTED, 60), (Act.EMERGENCY_RELEASE, 1440)):
        look = desk.filed(act)
        assert look.due_at == desk.clock.now() + timedelta(minutes=minutes)
        assert "jess" not in repr(look)
    desk.clock.advance(3601)
    assert [look.overdue(desk.clock.now()) for look in desk.tx.kept.looks.items.values()] == [
        True,
        False,
    ]


def test_the_same_act_is_filed_once() -> None:
    desk = Desk()
    look = desk.filed()
    again = Filed(look.id, look.act, "another", look.case_id, (), desk.clock.now())
    assert desk.tx.second_looks.file(again) == look
    assert len(desk.tx.kept.looks.items) == 1


def test_what_is_due_soonest_comes_first_and_the_list_is_one_entry() -> None:
    desk = Desk()
    later, sooner = desk.filed(Act.EMERGENCY_RELEASE), desk.filed(Act.VETO_LIFTED)
    assert desk.queue(officer()) == [sooner.id, later.id]
    (entry,) = desk.tx.kept.records
    assert (entry.operation, entry.resource_type, entry.count) == ("listing", "second-look", 2)
    assert len(entry.case_references) == 2


def test_nobody_looks_at_an_own_act_nor_learns_that_it_stands_there() -> None:
    desk = Desk()
    look = desk.filed(Act.VETO_LIFTED, "tom", "owen")
    owen, grace = officer(), officer("grace")
    assert desk.queue(owen) == []
    tries: list[Callable[[], object]] = [
        lambda: use_cases.read(desk.tx, desk.given, owen, actor(owen), look.id),
        lambda: use_cases.take(desk.tx, desk.given, owen, actor(owen), look.id),
        lambda: desk.review(owen, look),
        lambda: use_cases.read(desk.tx, desk.given, grace, actor(grace), uuid7()),
    ]
    for attempt in tries:
        with pytest.raises(LookNotFound):
            attempt()
    me = BOOK.party(actor(owen))
    with pytest.raises(LookNotFound):
        look.review(Said(LookOutcome.REASONABLE, "needed", HOUR), me, desk.clock.now())
    assert desk.queue(grace) == [look.id]
    assert desk.review(grace, look).state is LookState.REASONABLE


def test_an_outcome_is_given_once_with_a_reason_that_stays_sealed() -> None:
    desk = Desk()
    look = desk.filed()
    closed = desk.review(officer(), look)
    assert (closed.state, closed.outcome_code) == (LookState.REASONABLE, "needed")
    assert (desk.queue(officer()), desk.queue(officer(), waiting=False)) == ([], [look.id])
    entry = desk.tx.kept.records[0]
    assert (entry.operation, entry.justification_code, entry.reason_code) == (
        "review",
        "needed",
        "second-look-reasonable",
    )
    assert entry.account == Account(WORDS)
    assert WORDS not in str(replace(entry, account=None)), "sealed apart, and nowhere else"
    for outcome, code in ((LookOutcome.REASONABLE, "small"), (LookOutcome.ESCALATE, "harm")):
        with pytest.raises(LookOver):
            desk.review(officer("grace"), look, Verdict(outcome, code, WORDS))


def test_asking_the_person_leaves_it_open_and_the_clock_running() -> None:
    desk = Desk()
    look = desk.filed()
    asked = desk.review(officer(), look, Verdict(LookOutcome.ASK_THE_PERSON, "unclear", WORDS))
    assert asked.state in WAITING
    assert asked.due_at == look.due_at
    assert desk.queue(officer()) == [look.id]
    escalated = desk.review(officer(), asked, Verdict(LookOutcome.ESCALATE, "harm", WORDS))
    assert escalated.state is LookState.ESCALATED


HARM = Verdict(LookOutcome.ESCALATE, "harm", WORDS)


def test_an_escalated_one_waits_for_the_next_person_by_a_clock_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    look = desk.filed()
    owen, grace = officer(), officer("grace")
    desk.clock.advance(30 * 60)
    escalated = desk.review(owen, look, HARM)
    assert (escalated.owner, escalated.due_at) == (None, desk.clock.now() + timedelta(days=1))
    assert desk.queue(owen) == desk.queue(grace) == [look.id], "it is not closed"
    me = desk.tx.second_looks.party_of(owen)
    assert escalated.outcomes_for(me) == ()
    tries: list[Callable[[], object]] = [
        lambda: desk.review(owen, escalated),
        lambda: use_cases.take(desk.tx, desk.given, owen, actor(owen), look.id),
    ]
    for attempt in tries:
        with pytest.raises(AnotherMustLook):
            attempt()
    with pytest.raises(LookOver):
        desk.review(grace, escalated, HARM)
    desk.clock.advance(24 * 3600 + 1)
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        assert use_cases.alarm(desk.tx, desk.given) == 1
    acted = Verdict(LookOutcome.ACTED_ON, "undone", WORDS)
    assert desk.review(grace, escalated, acted).state is LookState.ACTED_ON
    assert (desk.queue(grace), desk.queue(owen, waiting=False)) == ([], [look.id])


def test_nobody_acts_on_what_was_not_escalated() -> None:
    desk = Desk()
    look = desk.filed()
    with pytest.raises(LookOver):
        desk.review(officer(), look, Verdict(LookOutcome.ACTED_ON, "undone", WORDS))


def test_each_item_is_told_of_once_when_filed_and_once_when_escalated(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    look = desk.filed()
    desk.filed(Act.EMERGENCY_RELEASE)
    with caplog.at_level(logging.WARNING, "hub.sharing"):
        assert [use_cases.tell(desk.tx, desk.given) for _ in "ab"] == [2, 0]
        desk.review(officer(), look, HARM)
        assert [use_cases.tell(desk.tx, desk.given) for _ in "ab"] == [1, 0]
    said = [(record.__dict__["alarm"], record.__dict__["code"]) for record in caplog.records]
    assert said == [
        ("second-look-filed", "veto_lifted"),
        ("second-look-filed", "emergency_release"),
        ("second-look-escalated", "veto_lifted"),
    ]
    assert "jess" not in caplog.text


def test_a_reason_must_be_one_for_the_outcome() -> None:
    desk = Desk()
    look = desk.filed()
    with pytest.raises(OutcomeUnknown):
        desk.review(officer(), look, Verdict(LookOutcome.REASONABLE, "harm", WORDS))
    assert desk.queue(officer()) == [look.id]


def test_an_officer_takes_an_item_and_another_can_take_it_over() -> None:
    desk = Desk()
    look = desk.filed()
    for who in (officer(), officer(), officer("grace")):
        taken = use_cases.take(desk.tx, desk.given, who, actor(who), look.id)
        assert taken.owner == desk.tx.second_looks.party_of(who).token
    assert len(desk.tx.kept.records) == 2, "taking twice is one act"


def test_what_nobody_looks_at_alarms_and_again_each_hour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    look = desk.filed()
    for minutes, expected in ((60, 0), (1, 1), (30, 0), (31, 1)):
        desk.clock.advance(minutes * 60)
        with caplog.at_level(logging.ERROR, "hub.sharing"):
            assert use_cases.alarm(desk.tx, desk.given) == expected
    said = [(record.__dict__["alarm"], record.__dict__["code"]) for record in caplog.records]
    assert said == [("second-look-overdue", "veto_lifted")] * 2
    desk.review(officer(), look)
    desk.clock.advance(7200)
    assert use_cases.alarm(desk.tx, desk.given) == 0


def test_the_table_ends_what_it_closes_and_every_step_up_act_has_a_clock() -> None:
    assert {LookState.OPEN, LookState.PERSON_ASKED, LookState.ESCALATED} == WAITING
    assert set(NEXT_STATE.values()) == set(LookState) - {LookState.OPEN}
    for rules in BOOK.rules:
        assert set(rules.due) == set(Act)


FILED = {
    "release_in_emergency": Act.EMERGENCY_RELEASE,
    "ask_lifting": Act.VETO_LIFTING_ASKED,
    "ask_case_lifting": Act.VETO_LIFTING_ASKED,
    "confirm_lifting": Act.VETO_LIFTED,
}
"""Which item each act that asks for a fresh sign-in files."""


def test_no_act_that_asks_for_a_fresh_sign_in_goes_unseen() -> None:
    """Whoever gives a permission a `step_up` says here what is filed."""
    root = Path(__file__).parents[3] / "services"
    found = set()
    for service in ("referral", "sharing", "audit", "identity"):
        text = (root / service / "src" / service / "permissions.py").read_text("utf-8")
        for action in text.split('\n    "')[1:]:
            if "step_up=" in action:
                found.add(action.partition('"')[0])
    assert found == set(FILED)
