"""The life of a disclosure: what may follow what, and that its words stand in one place."""

import ast
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

import sharing
from deploy.disclosure_states import PLACE, page
from sharing.cases.model import ALLOWED, Opens, Reason, Relation
from sharing.disclosures.model.answers import Answer
from sharing.disclosures.model.disclosure import (
    BLOCKED,
    PROMISED,
    READY,
    SENT,
    SUPERSEDED,
    TRANSITIONS,
    UNPROVABLE,
    WAITING,
    WITHDRAWN,
    AuthorisedDisclosure,
    Disclosure,
    Hold,
    Phase,
    Standing,
    State,
    Step,
    WrongState,
)

NOW = datetime(2026, 11, 21, 2, tzinfo=UTC)
DUE = NOW + timedelta(hours=1)
PHASES = (WAITING, READY, BLOCKED, SUPERSEDED, SENT, PROMISED, UNPROVABLE, WITHDRAWN)
STEPS = {
    Step.PROVE: lambda one: one.prove(NOW),
    Step.RELEASE: lambda one: one.release(NOW, "kid"),
    Step.PROMISE: lambda one: one.promise(NOW, DUE, "kid"),
    Step.KEEP_PROMISE: lambda one: one.keep_promise("kid"),
    Step.BREAK_PROMISE: lambda one: one.break_promise(Hold.ERASED),
    Step.MARK_OVERDUE: lambda one: one.mark_overdue(),
    Step.SEAL_AGAIN: lambda one: one.seal_again("new"),
    Step.POSTPONE: lambda one: one.postpone(Hold.NO_ANSWER, NOW),
    Step.BLOCK: lambda one: one.block(Hold.VETO),
    Step.SUPERSEDE: lambda one: one.supersede(),
    Step.SAVE: lambda one: one.save(NOW),
    Step.ACKNOWLEDGE: lambda one: one.acknowledge(NOW),
    Step.OPEN: lambda one: one.open(NOW),
    Step.WITHDRAW: lambda one: one.withdraw(NOW, Hold.VETO),
    Step.ASK: lambda one: one.ask(DUE),
    Step.ANSWER: lambda one: one.say(NOW, Answer.KEPT, "court_order"),
    Step.MARK_UNANSWERED: lambda one: one.mark_unanswered(NOW),
}


def disclosure(phase: Phase = WAITING) -> Disclosure:
    """An invented disclosure that stands there."""
    return Disclosure(
        id=UUID(int=1),
        decision_id=UUID(int=2),
        case_id=UUID(int=3),
        snapshot_version=1,
        recipient="northmoor-idva",
        kind="disclosure",
        clause="NM-2",
        record_id=UUID(int=4),
        commitment="c",
        fingerprint="f",
        decided_at=NOW,
        state=phase.state,
        standing=phase.standing,
    )


def test_every_step_is_tried() -> None:
    assert set(STEPS) == set(Step)


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("phase", PHASES, ids=lambda phase: f"{phase.state}-{phase.standing}")
def test_a_step_leads_where_the_table_says_or_is_refused(phase: Phase, step: Step) -> None:
    before = disclosure(phase)
    to = TRANSITIONS.get((phase, step))
    assert before.can(step) is (to is not None)
    if to is None:
        with pytest.raises(WrongState):
            STEPS[step](before)
    else:
        assert STEPS[step](before).phase == to
        assert before.phase == phase, "the old value stays"


def test_it_leaves_once_with_its_proof() -> None:
    sent = disclosure().prove(NOW).release(NOW, "kid")
    assert (sent.state, sent.standing, sent.proof) == (State.RELEASED, Standing.PROVEN, "proven")
    assert (sent.attempts, sent.next_at, sent.released_at, sent.sealed_to) == (1, None, NOW, "kid")
    for step in (Step.RELEASE, Step.BLOCK, Step.SUPERSEDE, Step.POSTPONE):
        assert not sent.can(step)


def test_a_promise_is_due_until_it_is_kept_or_broken() -> None:
    promised = disclosure().promise(NOW, DUE, "kid")
    assert (promised.proof, promised.proof_due) == ("promised", DUE)
    late = promised.mark_overdue()
    assert late.reason is Hold.OVERDUE
    kept, broken = late.keep_promise("kid"), late.break_promise(Hold.AUDIT_REJECTED)
    assert (kept.standing, kept.reason, kept.proof_due) == (Standing.PROVEN, None, None)
    assert (broken.standing, broken.reason, broken.proof_due) == (None, Hold.AUDIT_REJECTED, None)


def test_waiting_grows_with_each_try() -> None:
    once = disclosure(READY).postpone(Hold.NO_ANSWER, NOW)
    twice = once.postpone(Hold.NO_ANSWER, NOW)
    assert (once.attempts, twice.attempts) == (1, 2)
    assert once.next_at is not None
    assert twice.next_at is not None
    assert twice.next_at - NOW == 2 * (once.next_at - NOW)


def test_the_first_to_say_so_counts() -> None:
    saved = disclosure(SENT).save(NOW).acknowledge(NOW)
    later = saved.save(DUE).acknowledge(DUE)
    assert (later.saved_at, later.acknowledged_at) == (NOW, NOW)


def test_nobody_makes_the_proof_of_authority_by_hand() -> None:
    with pytest.raises(TypeError):
        AuthorisedDisclosure(disclosure(), None, None, object())  # type: ignore[arg-type]


def test_a_recipient_gets_its_envelope_and_own_work_one_thing_for_each_reason() -> None:
    assert ALLOWED[(Relation.RECIPIENT, None)] == {Opens.ENVELOPE}
    assert {
        reason: parts for (one, reason), parts in ALLOWED.items() if one is Relation.OWN_WORK
    } == {
        Reason.DECIDE: {Opens.SNAPSHOT},
        Reason.DECIDE_AGAIN: {Opens.SNAPSHOT},
        Reason.RELEASE: {Opens.EVIDENCE},
        Reason.KEEP_PROMISE: {Opens.EVIDENCE},
        Reason.SEAL_AGAIN: {Opens.EVIDENCE},
        Reason.WITHDRAW: {Opens.EVIDENCE},
    }


def test_the_diagram_is_the_tables() -> None:
    assert PLACE.read_text("utf-8") == page(), "run python -m deploy.disclosure_states"


WORDS = {each.value for words in (State, Standing, Hold) for each in words}


def test_no_other_module_writes_a_state_word() -> None:
    package = Path(sharing.__file__).parent
    model = package / "disclosures" / "model" / "disclosure.py"
    found = [
        f"{path.relative_to(package)}:{node.lineno}: {node.value}"
        for path in sorted(package.rglob("*.py"))
        if path != model and "migrations" not in path.parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in WORDS
    ]
    assert not found, "name the enum's member"
