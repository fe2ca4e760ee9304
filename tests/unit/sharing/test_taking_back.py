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
from sharing.disclosures.use_cases.withdrawing import AUDIT_STOPPED
from sharing.inbox.use_cases import answering, receiving, standing
from sharing.inbox.use_cases.receiving import ASKED_LATE, Checked, DeliveryNotFound, Wanted
from tests.support.snapshots import CASE, facts, marking, snapshot
from tests.unit.sharing.test_use_cases import CARE, IDVA, Desk

ALL_TO_IDVA = marking("must_not_disclose", 3, agency=IDVA)


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
    found = [one for one in mine if one.kind == kind]
    return sorted(found, key=lambda one: one.snapshot_version)


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
    assert [one.standing for one in desk.told(AnswerNews)] == ["taken_back", "awaited"]
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


@pytest.mark.parametrize("proven", [False, True], ids=["waits-for-audit", "about-to-leave"])
def test_a_late_receipt_counts_while_the_withdrawal_waits(desk: Desk, *, proven: bool) -> None:
    (gone,) = of(desk, IDVA, "disclosure")
    vetoed(desk, IDVA)
    (made,) = of(desk, IDVA, "withdrawal")
    if proven:
        desk.prove(made)
    receiving.acknowledge(desk.tx, desk.receiving, reader(desk, IDVA), actor(IDVA), gone.id, "idva")
    due = desk.now(made).answer_due
    assert due is not None
    assert desk.told(AnswerNews)[-1].standing == "awaited"
    (asked,) = [one for one in desk.entries("withdrawal") if one.reason_code == ASKED_LATE]
    assert (asked.delivery, asked.answers) == (str(made.id), (made.record_id,))
    made = withdrawn(desk)
    assert made.answer_due == due
    desk.clock.advance(timedelta(days=5).total_seconds())
    assert mark_unanswered(desk.tx, desk.releasing, made.id), "it has its clock like any"


def test_a_late_receipt_for_what_a_correction_replaced_makes_the_correction_ask(desk: Desk) -> None:
    (gone,) = of(desk, IDVA, "disclosure")
    vetoed(desk, IDVA, category="victim_phone")
    (made,) = of(desk, IDVA, "correction")
    desk.prove(made)
    assert desk.release(made, desk.state(version=2)) == "released"
    assert desk.now(made).answer_due is None, "nobody is known to have read it"
    receiving.acknowledge(desk.tx, desk.receiving, reader(desk, IDVA), actor(IDVA), gone.id, "idva")
    assert desk.now(made).answer_due is not None
    assert [one.reason_code for one in desk.entries("correction")] == [ASKED_LATE]


def narrowed_twice(desk: Desk, second: str, *, left: bool = False) -> None:
    """A veto on a category, and a second one before (or after) the correction of the first left."""
    listed(desk, IDVA)
    desk.clock.advance(1)
    vetoed(desk, IDVA, 2, "victim_phone")
    if left:
        (made,) = of(desk, IDVA, "correction")
        desk.prove(made)
        assert desk.release(made, desk.state(version=2)) == "released"
    desk.clock.advance(1)
    both = (
        marking("must_not_disclose", 2, agency=IDVA, category="victim_phone"),
        marking("must_not_disclose", 3, agency=IDVA, category=second),
    )
    take_snapshot(desk.tx, desk.deciding, snapshot(version=3, markings=both))


@pytest.mark.parametrize("left", [False, True], ids=["before-the-correction-left", "after"])
def test_who_holds_an_older_copy_hears_of_a_veto_on_everything(desk: Desk, *, left: bool) -> None:
    narrowed_twice(desk, "*", left=left)
    (wide,) = of(desk, IDVA, "disclosure")
    (correction,) = of(desk, IDVA, "correction")
    assert correction.state is (State.WITHDRAWN if left else State.SUPERSEDED)
    (made,) = of(desk, IDVA, "withdrawal")
    copies = sorted([str(wide.id), *([str(correction.id)] if left else [])])
    said = content(desk, made)
    assert (said["withdraws"], said["answerRequired"]) == (copies, True)
    take_snapshot(desk.tx, desk.deciding, snapshot(version=4, markings=(ALL_TO_IDVA,)))
    assert of(desk, IDVA, "withdrawal") == [made], "it is told once"


def test_a_second_narrowing_before_the_first_correction_left_corrects_what_was_read(
    desk: Desk,
) -> None:
    narrowed_twice(desk, "victim_health")
    first, second = of(desk, IDVA, "correction")
    assert (first.state, second.state) == (State.SUPERSEDED, State.AWAITING_RECEIPT)
    desk.prove(second)
    assert desk.release(second, desk.state(version=3)) == "released"
    assert desk.now(second).answer_due is not None


def test_a_correction_that_says_what_an_older_copy_said_goes_all_the_same(desk: Desk) -> None:
    """Superseded before it left, it is made anew, though the newest copy served says just that."""
    narrow = marking("must_not_disclose", 2, agency=IDVA, category="victim_phone")
    desk.clock.advance(1)
    vetoed(desk, IDVA, 2, "victim_phone")
    desk.clock.advance(1)
    take_snapshot(desk.tx, desk.deciding, snapshot(version=3, markings=(narrow,)))
    first, second = of(desk, IDVA, "correction")
    assert (first.state, second.state) == (State.SUPERSEDED, State.AWAITING_RECEIPT)


def test_a_narrowing_to_what_the_newest_copy_says_tells_who_holds_a_wider_one(desk: Desk) -> None:
    """The facts lost their phone; then a veto on it: nothing new to know, but the old copy stops."""
    (wide,) = listed(desk, IDVA)
    less = tuple(one for one in facts() if one.category != "victim_phone")
    desk.clock.advance(1)
    take_snapshot(desk.tx, desk.deciding, snapshot(version=2, facts=less))
    (newest,) = of(desk, IDVA, "correction")
    desk.prove(newest)
    desk.release(newest, desk.state(version=2))
    desk.clock.advance(1)
    veto = marking("must_not_disclose", 3, agency=IDVA, category="victim_phone")
    take_snapshot(desk.tx, desk.deciding, snapshot(version=3, facts=less, markings=(veto,)))
    assert desk.now(wide).withdrawn
    assert desk.now(newest).left, "what says no more than it may stays readable"
    again = of(desk, IDVA, "correction")[-1]
    assert again.id != newest.id
    desk.prove(again)
    assert desk.release(again, desk.state(version=3)) == "released"
    assert desk.now(again).answer_due is not None


@pytest.mark.parametrize("category", ["*", "victim_phone"])
def test_every_stop_is_in_the_log_and_at_the_referrer_in_the_deciding_transaction(
    desk: Desk, category: str
) -> None:
    """Before the log has answered anything, and whether a withdrawal or a correction follows."""
    (gone,) = of(desk, IDVA, "disclosure")
    vetoed(desk, IDVA, category=category)
    (entry,) = [one for one in desk.entries("blocked") if one.reason_code == AUDIT_STOPPED]
    assert (entry.delivery, entry.recipient) == (str(gone.id), IDVA)
    assert [(one.standing, one.snapshot_version) for one in desk.told(AnswerNews)] == [
        ("taken_back", 2)
    ]


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
