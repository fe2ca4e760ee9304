"""What left is taken back when a veto stops it, corrected where less may be known, and answered."""

from datetime import timedelta
from typing import Any

import pytest

from common.access import Granted, Principal, grant
from common.events.sharing import AnswerNews, DisclosureReleased
from hubformats.audit_record import Actor
from hubformats.canonical import parse
from sharing.decisions.use_cases.deciding import take_snapshot
from sharing.decisions.use_cases.redeciding import decide_again
from sharing.decisions.use_cases.taking_back import STAYS, Before, taken_back
from sharing.disclosures.model.answers import Answer, AnswerRefused, NothingToAnswer
from sharing.disclosures.model.disclosure import Disclosure, Hold, State
from sharing.disclosures.use_cases.answers import mark_unanswered
from sharing.inbox.use_cases import answering, receiving, standing
from sharing.inbox.use_cases.receiving import Checked, DeliveryNotFound, Wanted
from tests.support.snapshots import CASE, facts, marking, snapshot
from tests.unit.sharing.test_use_cases import CARE, IDVA, Desk


@pytest.fixture
def desk() -> Desk:
    """A desk of its own, with one case told to three agencies."""
    made = Desk()
    for one in made.take().values():
        made.prove(one)
        made.release(one)
    return made


def reader(desk: Desk, agency: str, kind: Any = "system") -> Granted:
    """A grant of an agency's system, or of a person there."""
    who = Principal("i", "s", "s", kind, agency, scopes=frozenset({"disclosure.read"}))
    return grant(who, scope="disclosure.read", operation="consultation", at=desk.clock.now())


def actor(agency: str) -> Actor:
    return Actor(subject="i|s", agency=agency)


def listed(desk: Desk, agency: str, kind: Any = "system", **state: Any) -> list[Disclosure]:
    """What the agency is shown now."""
    wanted = Wanted(0, 25, Checked(frozenset({CASE}), {CASE: desk.state(**state)}))
    granted = reader(desk, agency, kind)
    page = receiving.read_inbox(desk.tx, desk.receiving, granted, actor(agency), wanted)
    found = [desk.tx.disclosures.get(each.delivery.delivery_id) for each in page.shown]
    return [one for one in found if one is not None]


def vetoed(desk: Desk, agency: str, version: int = 2, category: str = "*") -> None:
    """A must-not-disclose reaches sharing in the next version."""
    marked = marking("must_not_disclose", version, agency=agency, category=category)
    take_snapshot(desk.tx, desk.deciding, snapshot(version=version, markings=(marked,)))


def of(desk: Desk, agency: str, kind: str) -> list[Disclosure]:
    """An agency's disclosures of a kind, oldest first."""
    mine = [one for one in desk.tx.disclosures.of_case(CASE) if one.recipient == agency]
    return [one for one in mine if one.kind == kind]


def withdrawn(desk: Desk, agency: str = IDVA) -> Disclosure:
    """The withdrawal to an agency, released."""
    (made,) = of(desk, agency, "withdrawal")
    desk.prove(made)
    assert desk.release(made, desk.state(version=2)) == "released"
    return desk.now(made)


def answer(desk: Desk, one: Disclosure, said: str, duty: str | None = None) -> Disclosure:
    granted = reader(desk, one.recipient)
    given = (said, duty)
    return answering.answer(desk.tx, desk.receiving, granted, actor(one.recipient), one.id, given)


def content(desk: Desk, one: Disclosure) -> dict[str, Any]:
    """What a package says."""
    made: dict[str, Any] = parse(desk.tx.kept.evidence[one.id].content)
    return made


def test_what_nobody_opened_is_gone_with_the_decision_and_its_withdrawal_asks_nothing(
    desk: Desk,
) -> None:
    vetoed(desk, IDVA)
    (gone,) = of(desk, IDVA, "disclosure")
    assert (gone.state, gone.reason) == (State.WITHDRAWN, Hold.VETO)
    assert listed(desk, IDVA, version=2) == []
    made = withdrawn(desk)
    said = content(desk, made)
    assert (said["withdraws"], said["answerRequired"]) == ([str(gone.id)], False)
    assert (said["sections"], said["clause"]["id"]) == ([], gone.clause), "it carries no fact"
    assert made.answer_due is None
    assert listed(desk, IDVA, version=2) == [desk.now(made)]
    assert [one.state for one in of(desk, CARE, "disclosure")] == [State.RELEASED]
    assert not of(desk, CARE, "withdrawal")


def test_what_was_opened_asks_for_an_answer_by_the_next_working_day(desk: Desk) -> None:
    (seen,) = listed(desk, IDVA)
    assert seen.opened_at == desk.clock.now()
    vetoed(desk, IDVA)
    made = withdrawn(desk)
    rules = desk.deciding.answers.on(desk.clock.now())
    assert made.answer_due == rules.due("withdrawal", made.decided_at)
    assert content(desk, made)["answerRequired"] is True
    told = [(one.standing, one.due) for one in desk.told(AnswerNews)]
    assert told == [("taken_back", made.answer_due)]
    kept = answer(desk, made, "kept_under_duty", "court_order")
    assert (kept.answer, kept.duty) == (Answer.KEPT, "court_order")
    assert answer(desk, made, "kept_under_duty", "court_order") == kept
    last = desk.told(AnswerNews)[-1]
    assert (last.standing, last.answer, last.duty) == ("answered", "kept_under_duty", "court_order")
    (entry,) = desk.entries("acknowledged")
    assert (entry.reason_code, entry.delivery) == ("kept_under_duty", str(made.id))


def test_a_person_who_looks_at_the_list_has_opened_nothing(desk: Desk) -> None:
    (seen,) = listed(desk, IDVA, "person")
    assert not seen.opened
    granted = reader(desk, IDVA, "person")
    checked = Checked(frozenset({CASE}), {CASE: desk.state()})
    receiving.read_delivery(desk.tx, desk.receiving, granted, actor(IDVA), seen.id, checked)
    assert desk.now(seen).opened


def test_a_withdrawal_waits_for_its_entry_and_for_no_veto(desk: Desk) -> None:
    vetoed(desk, IDVA)
    (made,) = of(desk, IDVA, "withdrawal")
    assert made.state is State.AWAITING_RECEIPT
    assert desk.release(made) == "gone", "its own entry is not in the log yet"
    before = len(desk.told(DisclosureReleased))
    desk.prove(made)
    assert desk.release(made, None) == "released"
    assert len(desk.told(DisclosureReleased)) == before, "nobody was told a fact"


def test_less_for_a_category_is_a_correction_and_the_old_is_not_served(desk: Desk) -> None:
    (seen,) = listed(desk, IDVA)
    vetoed(desk, IDVA, category="victim_phone")
    assert desk.now(seen).withdrawn
    assert not of(desk, IDVA, "withdrawal")
    (made,) = of(desk, IDVA, "correction")
    desk.prove(made)
    assert desk.release(made, desk.state(version=2)) == "released"
    made = desk.now(made)
    assert made.answer_due is not None, "what it changes had been opened"
    assert [one.standing for one in desk.told(AnswerNews)] == ["awaited"]
    receiving.acknowledge(desk.tx, desk.receiving, reader(desk, IDVA), actor(IDVA), made.id, "idva")
    assert desk.now(made).answer is Answer.CORRECTED


def test_a_correction_of_what_nobody_opened_asks_nothing(desk: Desk) -> None:
    told = tuple(
        one.model_copy(update={"value": "Medium"}) if one.path == "risk.level" else one
        for one in facts()
    )
    take_snapshot(desk.tx, desk.deciding, snapshot(version=2, facts=told))
    (made,) = of(desk, IDVA, "correction")
    desk.prove(made)
    desk.release(made, desk.state(version=2))
    assert desk.now(made).answer_due is None
    assert len(listed(desk, IDVA, version=2)) == 2, "without a veto the older stays readable"


def test_permitted_again_it_is_told_anew(desk: Desk) -> None:
    vetoed(desk, IDVA)
    take_snapshot(desk.tx, desk.deciding, snapshot(version=3))
    first, again = of(desk, IDVA, "disclosure")
    assert (first.state, again.state) == (State.WITHDRAWN, State.AWAITING_RECEIPT)
    (waits,) = of(desk, IDVA, "withdrawal")
    assert waits.on_its_way, "permit, withdraw, permit is three events"


def test_a_suspension_takes_nothing_back(desk: Desk) -> None:
    desk.parties.suspended.add(IDVA)
    take_snapshot(desk.tx, desk.deciding, snapshot(version=2))
    assert [one.state for one in of(desk, IDVA, "disclosure")] == [State.RELEASED]


def test_a_veto_takes_back_though_the_agency_is_suspended_as_well(desk: Desk) -> None:
    desk.parties.suspended.add(IDVA)
    vetoed(desk, IDVA)
    assert [one.state for one in of(desk, IDVA, "disclosure")] == [State.WITHDRAWN]


@pytest.mark.parametrize("reason", sorted(STAYS))
def test_a_veto_takes_back_whatever_reason_stands_first(desk: Desk, reason: str) -> None:
    (told,) = of(desk, IDVA, "disclosure")
    veto = marking("must_not_disclose", 9, agency=IDVA)
    for since, taken in ((2, [(told,)]), (1, [])):
        before = Before(
            snapshot(version=2, markings=(veto,)), {veto.marking_id: since}, (told,), everybody=True
        )
        found = [one.disclosures for one in taken_back(before, {}, {IDVA: reason})]
        assert found == taken


def test_a_withdrawal_that_the_log_refused_is_made_anew(desk: Desk) -> None:
    vetoed(desk, IDVA)
    (made,) = of(desk, IDVA, "withdrawal")
    desk.tx.disclosures.replace(made, made.block(Hold.AUDIT_REJECTED))
    decide_again(desk.tx, desk.deciding, CASE)
    made_anew = {one.state for one in of(desk, IDVA, "withdrawal")}
    assert made_anew == {State.SUPERSEDED, State.AWAITING_RECEIPT}
    decide_again(desk.tx, desk.deciding, CASE)
    assert len(of(desk, IDVA, "withdrawal")) == 2


def test_an_answer_that_does_not_come_is_told_once(desk: Desk) -> None:
    listed(desk, IDVA)
    vetoed(desk, IDVA)
    made = withdrawn(desk)
    assert not mark_unanswered(desk.tx, desk.releasing, made.id)
    desk.clock.advance(timedelta(days=5).total_seconds())
    assert desk.tx.disclosures.unanswered(desk.clock.now(), None, 10) == (made.id,)
    assert mark_unanswered(desk.tx, desk.releasing, made.id)
    assert not mark_unanswered(desk.tx, desk.releasing, made.id)
    assert desk.told(AnswerNews)[-1].standing == "overdue"
    assert desk.tx.disclosures.overdue_answers(desk.clock.now()) == 1
    answer(desk, made, "stopped_and_deleted")
    assert desk.tx.disclosures.overdue_answers(desk.clock.now()) == 0


def test_a_receipt_for_what_was_taken_back_unread_asks_for_an_answer_after_all(
    desk: Desk,
) -> None:
    (gone,) = of(desk, IDVA, "disclosure")
    vetoed(desk, IDVA)
    made = withdrawn(desk)
    receiving.acknowledge(desk.tx, desk.receiving, reader(desk, IDVA), actor(IDVA), gone.id, "idva")
    assert desk.now(made).answer_due is not None
    assert desk.told(AnswerNews)[-1].standing == "awaited"


@pytest.mark.parametrize(
    ("said", "duty", "field"),
    [
        ("corrected", None, "answer"),
        ("burned", None, "answer"),
        ("kept_under_duty", None, "duty"),
        ("kept_under_duty", "because", "duty"),
        ("stopped_and_deleted", "court_order", "duty"),
    ],
)
def test_an_answer_that_is_none_is_refused(
    desk: Desk, said: str, duty: str | None, field: str
) -> None:
    vetoed(desk, IDVA)
    made = withdrawn(desk)
    with pytest.raises(AnswerRefused) as refused:
        answer(desk, made, said, duty)
    assert refused.value.field == field
    assert desk.now(made).answered_at is None


def test_only_the_recipient_answers_and_only_what_asks(desk: Desk) -> None:
    (plain,) = of(desk, IDVA, "disclosure")
    with pytest.raises(NothingToAnswer):
        answer(desk, plain, "stopped_and_deleted")
    vetoed(desk, IDVA)
    made = withdrawn(desk)
    given = ("stopped_and_deleted", None)
    with pytest.raises(DeliveryNotFound):
        answering.answer(desk.tx, desk.receiving, reader(desk, CARE), actor(CARE), made.id, given)


def test_a_withdrawal_never_leaves_on_a_promise(desk: Desk) -> None:
    vetoed(desk, IDVA)
    (made,) = of(desk, IDVA, "withdrawal")
    assert made.id not in {
        one.disclosure.id for one in desk.tx.disclosures.unproven(desk.referrer(), 100)
    }


def how(desk: Desk, one: Disclosure, agency: str = IDVA, **state: Any) -> standing.Standing:
    """What the agency hears when it asks whether it stands."""
    checked = Checked(frozenset({CASE}), {CASE: desk.state(**state)})
    return standing.standing(desk.tx, desk.receiving, reader(desk, agency), one.id, checked)


def test_who_has_it_open_hears_that_it_was_taken_back_and_by_what(desk: Desk) -> None:
    (seen,) = listed(desk, IDVA)
    looks = len(desk.entries("consultation"))
    assert how(desk, seen) == standing.Standing(stands=True)
    veto = marking("must_not_disclose", 2, agency=IDVA, category="*")
    assert how(desk, seen, vetoes=(veto,)) == standing.Standing(stands=False)
    vetoed(desk, IDVA)
    at = desk.now(seen).withdrawn_at
    assert how(desk, seen, version=2) == standing.Standing(stands=False, taken_back_at=at)
    made = withdrawn(desk)
    assert how(desk, seen, version=2).said_by == made.id
    assert how(desk, made, version=2).stands
    assert len(desk.entries("consultation")) == looks, "to ask is no look"
    with pytest.raises(DeliveryNotFound):
        how(desk, seen, CARE)


def test_what_a_correction_replaces_names_it(desk: Desk) -> None:
    (seen,) = listed(desk, IDVA)
    vetoed(desk, IDVA, category="risk_summary")
    (made,) = of(desk, IDVA, "correction")
    found = how(desk, seen, version=2)
    assert (found.stands, found.replaced, found.said_by) == (False, True, None)
    desk.prove(made)
    desk.release(made, desk.state(version=2))
    assert how(desk, seen, version=2).said_by == made.id
