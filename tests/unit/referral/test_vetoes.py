"""A veto is set by one and lifted by two; who may do what stands in one table."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from common.attempts import Attempt
from hubformats.audit_record import Account
from hubformats.ids import uuid7
from referral.cases.model.authority import Relation
from referral.cases.use_cases import AgencyUnknown, CaseNotFound, read_referral
from referral.intake import use_cases as intake
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from referral.vetoes.model import (
    NEXT_STATE,
    RIGHTS,
    AlreadyAsked,
    Grounds,
    LiftingNotFound,
    LiftingOver,
    LiftState,
    LiftStep,
    NewVeto,
    NotEntitled,
    Party,
    ReasonUnknown,
    SecondPersonNeeded,
    VetoKind,
    VetoNotFound,
    VetoRefused,
)
from referral.vetoes.schemas import lifting_out, shown_out, vetoes_out
from referral.vetoes.use_cases import asking, setting
from tests.support.referral_fakes import (
    CONTEXT,
    HOUSING,
    POLICE,
    RULES,
    SHARING_CHECKS,
    VETOES,
    FakeTx,
    granted,
    person,
)
from tests.support.referral_forms import full

READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)
NOW = CONTEXT.clock.now()
WORDS = "She said so to Amina, alone."
LIFT = Grounds("no_longer_so", WORDS)
TOM, JESS = person("tom"), person("jess", role="marac_coordinator", scope="case.write")
OWEN = person("owen", "northmoor", "privacy_officer", "case.write")
GRACE = person("grace", "northmoor", "privacy_officer", "case.write")
REASONS = {kind: next(iter(VETOES.rules[0].setting[kind])) for kind in VetoKind}


def new(kind: VetoKind, **changes: Any) -> NewVeto:
    """A veto of that kind as its rules want it."""
    bars = kind in {VetoKind.CONFLICT, VetoKind.EMPLOYEE_SUBJECT}
    agency = HOUSING if bars else "*"
    return replace(NewVeto(kind, Grounds(REASONS[kind], WORDS), agency), **changes)


def sent(tx: FakeTx, agency: str = POLICE) -> UUID:
    """A referral, taken in."""
    read = READ.validate_python(full())
    made = intake.submit_referral(tx, granted(agency), read, Attempt(b"a", b"b"), CONTEXT, RULES)
    return made.referral.referral_id


def asked(tx: FakeTx, kind: VetoKind = VetoKind.MUST_NOT_DISCLOSE) -> tuple[UUID, UUID, UUID]:
    """A referral with a veto that Tom wants lifted: ids of referral, veto and lifting."""
    referral_id = sent(tx)
    veto, _ = setting.set_veto(tx, granted(), referral_id, new(kind), VETOES)
    lifting = asking.ask_lifting(tx, TOM, referral_id, veto.marking_id, LIFT, VETOES)
    return referral_id, veto.marking_id, lifting.id


def in_force(tx: FakeTx) -> set[UUID]:
    """The vetoes of the newest version that was published."""
    return {each.marking_id for each in tx.held.published[-1].markings}


def confirm(tx: FakeTx, who: Any, lifting_id: UUID) -> Any:
    """Confirm as the second person."""
    return asking.settle_lifting(tx, who, lifting_id, LiftStep.CONFIRM, LIFT, VETOES)


@pytest.mark.parametrize("kind", VetoKind)
def test_every_kind_is_set_at_once_by_the_sender_and_said_in_the_record(kind: VetoKind) -> None:
    tx = FakeTx()
    referral_id = sent(tx)
    veto, version = setting.set_veto(tx, granted(), referral_id, new(kind), VETOES)
    assert (version, veto.marking_id in in_force(tx)) == (2, True)
    entry = tx.held.entries[-1]
    word = "hold_set" if kind is VetoKind.LEGAL_HOLD else "alteration"
    assert (entry.operation, entry.field_set) == (word, f"marking.{kind}")
    assert (entry.justification_code, entry.account) == (REASONS[kind], Account(WORDS))


def test_the_same_veto_again_is_the_same_veto_and_no_new_version() -> None:
    tx = FakeTx()
    referral_id = sent(tx)
    wanted = new(VetoKind.INFORMANT)
    first = setting.set_veto(tx, granted(), referral_id, wanted, VETOES)
    again = setting.set_veto(tx, granted(), referral_id, wanted, VETOES)
    assert again == first
    assert (len(tx.held.published), tx.held.entries[-1].reason_code) == (2, "in-force-already")


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        (new(VetoKind.CONFLICT, agency="*"), VetoRefused),
        (new(VetoKind.EMPLOYEE_SUBJECT, category="consent"), VetoRefused),
        (new(VetoKind.LOCATION_SHIELD, agency=HOUSING), VetoRefused),
        (new(VetoKind.LOCATION_SHIELD, role="reporter"), VetoRefused),
        (new(VetoKind.CONFLICT, agency="housin"), AgencyUnknown),
        (new(VetoKind.LEGAL_HOLD, grounds=Grounds("fled", WORDS)), ReasonUnknown),
    ],
)
def test_a_veto_that_says_too_little_or_too_much_is_refused(
    wanted: NewVeto, refused: type[Exception]
) -> None:
    tx = FakeTx()
    referral_id = sent(tx)
    with pytest.raises(refused):
        setting.set_veto(tx, granted(), referral_id, wanted, VETOES)
    assert len(tx.held.published) == 1


def test_another_agency_sets_reads_and_asks_nothing() -> None:
    tx = FakeTx()
    referral_id, veto_id, lifting_id = asked(tx)
    stranger = person("nadia", HOUSING, "marac_coordinator")
    tries: list[Callable[[], object]] = [
        lambda: setting.set_veto(tx, stranger, referral_id, new(VetoKind.INFORMANT), VETOES),
        lambda: setting.vetoes_of(tx, stranger, referral_id, VETOES),
        lambda: asking.ask_lifting(tx, stranger, referral_id, veto_id, LIFT, VETOES),
    ]
    for attempt in tries:
        with pytest.raises(CaseNotFound):
            attempt()
    for wanted in (lifting_id, uuid7()):
        with pytest.raises(LiftingNotFound):
            confirm(tx, stranger, wanted)
        with pytest.raises(LiftingNotFound):
            asking.read_lifting(tx, stranger, wanted, VETOES)
    assert asking.waiting_liftings(tx, stranger, VETOES) == ()


def test_asking_lifts_nothing_and_a_second_person_does() -> None:
    tx = FakeTx()
    _, veto_id, lifting_id = asked(tx)
    assert veto_id in in_force(tx)
    lifting, version = confirm(tx, JESS, lifting_id)
    assert (lifting.state, version) == (LiftState.CONFIRMED, 3)
    assert veto_id not in in_force(tx)
    assert tx.held.looks == [
        ("veto_lifting_asked", "no_longer_so", ("issuer|tom",), NOW),
        ("veto_lifted", "no_longer_so", ("issuer|tom", "issuer|jess"), NOW),
    ], "each step that asked for a fresh sign-in is looked at again"
    entry = tx.held.entries[-1]
    assert (entry.justification_code, entry.reason_code) == ("no_longer_so", "lifting-confirmed")
    assert entry.second is not None
    assert (entry.second.subject, entry.account) == ("issuer|tom", Account(WORDS))
    assert WORDS not in str(replace(entry, account=None)), "sealed apart, and nowhere else"


def test_one_person_lifts_nothing_alone_whatever_role_she_signs_in_with() -> None:
    tx = FakeTx()
    _, veto_id, lifting_id = asked(tx)
    for role in ("marac_coordinator", "idva_manager", "police_officer"):
        with pytest.raises(SecondPersonNeeded):
            confirm(tx, person("tom", role=role, scope="case.write"), lifting_id)
    assert veto_id in in_force(tx)


@pytest.mark.parametrize("kind", [kind for kind in VetoKind if RIGHTS[kind].another_agency])
def test_what_protects_against_an_agency_is_lifted_by_somebody_from_outside(kind: VetoKind) -> None:
    tx = FakeTx()
    _, veto_id, lifting_id = asked(tx, kind)
    with pytest.raises(NotEntitled):
        confirm(tx, JESS, lifting_id)
    assert veto_id in in_force(tx)
    confirm(tx, OWEN, lifting_id)
    assert veto_id not in in_force(tx)


def test_a_lifting_is_settled_once_and_a_replay_finds_it_over() -> None:
    tx = FakeTx()
    *_, lifting_id = asked(tx)
    confirm(tx, JESS, lifting_id)
    for step in LiftStep:
        with pytest.raises(LiftingOver):
            asking.settle_lifting(tx, OWEN, lifting_id, step, Grounds(_code(step), WORDS), VETOES)
    assert len(tx.held.published) == 3


def _code(step: LiftStep) -> str:
    return "no_longer_so" if step is LiftStep.CONFIRM else "still_so"


def test_a_request_lapses_and_can_be_made_again() -> None:
    tx = FakeTx()
    referral_id, veto_id, lifting_id = asked(tx)
    with pytest.raises(AlreadyAsked):
        asking.ask_lifting(tx, TOM, referral_id, veto_id, LIFT, VETOES)
    old = tx.held.liftings[lifting_id]
    tx.held.liftings[lifting_id] = replace(old, lapses_at=NOW - timedelta(seconds=1))
    with pytest.raises(LiftingOver):
        confirm(tx, JESS, lifting_id)
    asking.ask_lifting(tx, TOM, referral_id, veto_id, LIFT, VETOES)
    assert veto_id in in_force(tx)


def lapse(tx: FakeTx, lifting_id: UUID) -> None:
    """Let its time pass."""
    old = tx.held.liftings[lifting_id]
    tx.held.liftings[lifting_id] = replace(old, lapses_at=NOW - timedelta(seconds=1))


def test_what_lapsed_is_an_entry_and_the_asker_reads_of_it_until_they_ask_again() -> None:
    tx = FakeTx()
    referral_id, veto_id, lifting_id = asked(tx)
    assert asking.lapse_liftings(tx, VETOES) == 0
    lapse(tx, lifting_id)
    assert [asking.lapse_liftings(tx, VETOES) for _ in "ab"] == [1, 0]
    entry = tx.held.entries[-1]
    assert (entry.reason_code, entry.resource_id) == ("lifting-lapsed", str(lifting_id))
    assert entry.actor.subject == "svc:referral"
    with pytest.raises(LiftingOver):
        confirm(tx, JESS, lifting_id)
    assert veto_id in in_force(tx)
    (found,) = asking.lapsed_liftings(tx, TOM, VETOES)
    assert (found.lifting.id, found.lifting.state) == (lifting_id, LiftState.LAPSED)
    assert tx.held.entries[-1].operation == "listing"
    for another in (person("nadia", HOUSING), OWEN):
        assert asking.lapsed_liftings(tx, another, VETOES) == ()
    again = asking.ask_lifting(tx, TOM, referral_id, veto_id, LIFT, VETOES)
    assert asking.lapsed_liftings(tx, TOM, VETOES) == ()
    lapse(tx, again.id)
    asking.lapse_liftings(tx, VETOES)
    (found,) = asking.lapsed_liftings(tx, TOM, VETOES)
    assert found.lifting.id == again.id, "the newest one alone"
    old = tx.held.liftings[again.id]
    tx.held.liftings[again.id] = replace(old, lapses_at=NOW - timedelta(days=15))
    assert asking.lapsed_liftings(tx, TOM, VETOES) == ()


def test_refusing_or_taking_back_leaves_the_veto_and_is_not_confirmed_afterwards() -> None:
    for who in (JESS, TOM):
        tx = FakeTx()
        _, veto_id, lifting_id = asked(tx)
        grounds = Grounds("still_so", WORDS)
        asking.settle_lifting(tx, who, lifting_id, LiftStep.REFUSE, grounds, VETOES)
        assert veto_id in in_force(tx)
        with pytest.raises(LiftingOver):
            confirm(tx, OWEN, lifting_id)


def test_what_is_not_in_force_cannot_be_lifted() -> None:
    tx = FakeTx()
    referral_id, veto_id, lifting_id = asked(tx)
    confirm(tx, OWEN, lifting_id)
    for gone in (veto_id, uuid7()):
        with pytest.raises(VetoNotFound):
            asking.ask_lifting(tx, TOM, referral_id, gone, LIFT, VETOES)


def test_the_barred_agency_finds_neither_case_nor_veto_and_others_do() -> None:
    """Housing sent it, and one of the people works there: its whole desk is out of the case."""
    tx = FakeTx()
    referral_id = sent(tx, HOUSING)
    hers = person("nadia", HOUSING, "marac_coordinator")
    veto, _ = setting.set_veto(
        tx, granted(HOUSING), referral_id, new(VetoKind.EMPLOYEE_SUBJECT), VETOES
    )
    with pytest.raises(CaseNotFound):
        setting.vetoes_of(tx, hers, referral_id, VETOES)
    with pytest.raises(CaseNotFound):
        asking.ask_lifting(tx, hers, referral_id, veto.marking_id, LIFT, VETOES)
    with pytest.raises(CaseNotFound):
        read_referral(tx, granted(HOUSING), referral_id, CONTEXT)
    case_id = tx.held.published[-1].case_id
    assert tx.cases.authorised(OWEN, case_id) is not None
    assert tx.cases.authorised(SHARING_CHECKS, case_id) is not None


def test_lifting_a_shield_unshields_the_person_and_a_second_shield_does_not() -> None:
    tx = FakeTx()
    referral_id = sent(tx)
    mine, everybody = (
        setting.set_veto(tx, granted(), referral_id, each, VETOES)[0].marking_id
        for each in (
            new(VetoKind.LOCATION_SHIELD, role="victim"),
            new(VetoKind.LOCATION_SHIELD),
        )
    )
    for veto_id, left in ((mine, {everybody}), (everybody, set())):
        lifting = asking.ask_lifting(tx, TOM, referral_id, veto_id, LIFT, VETOES)
        confirm(tx, OWEN, lifting.id)
        told = tx.held.published[-1]
        shields = {m.marking_id for m in told.markings if m.kind == "location_shield"}
        assert {mine, everybody} & shields == left
    victim = next(each for each in told.subjects if each.role == "victim")
    named = {m.subject for m in told.markings if m.kind == "location_shield"}
    assert victim.address_shielded == (victim.subject_id in named)


def test_the_second_person_reads_who_asked_first_and_why_and_the_read_is_recorded() -> None:
    tx = FakeTx()
    *_, lifting_id = asked(tx)
    (listed,) = asking.waiting_liftings(tx, JESS, VETOES)
    assert (listed.lifting.id, listed.may_settle) == (lifting_id, True)
    shown = asking.read_lifting(tx, JESS, lifting_id, VETOES)
    assert shown.lifting.asked_by == Party("issuer|tom", POLICE, "police_officer")
    assert shown.lifting.grounds.words == WORDS
    assert [entry.operation for entry in tx.held.entries[-2:]] == ["listing", "consultation"]


def test_the_table_of_rights_and_states_is_whole() -> None:
    assert set(RIGHTS) == set(VetoKind)
    for rights in RIGHTS.values():
        assert rights.confirms <= {Relation.SENDER, Relation.PRIVACY_OFFICER}
        assert rights.confirms
    assert {before for before, _ in NEXT_STATE} == {LiftState.ASKED}, "a settled one stays settled"


def test_the_second_person_reads_when_why_and_by_whom_the_veto_was_set() -> None:
    tx = FakeTx()
    _, veto_id, lifting_id = asked(tx, VetoKind.LOCATION_SHIELD)
    shown = shown_out(asking.read_lifting(tx, OWEN, lifting_id, VETOES), OWEN, CONTEXT)
    assert shown.veto is not None
    assert (shown.veto.veto_id, shown.veto.set_by, shown.veto.set_at) == (veto_id, POLICE, NOW)
    assert shown.veto.reason_code == REASONS[VetoKind.LOCATION_SHIELD]
    assert (shown.you_may_settle, shown.you_may_confirm) == (True, True)
    again = shown_out(asking.read_lifting(tx, OWEN, lifting_id, VETOES), OWEN, CONTEXT)
    assert again.number == shown.number
    mine = lifting_out(tx.held.liftings[lifting_id], TOM)
    assert mine.number == shown.number, "both sides say the same on the telephone"
    assert re.fullmatch("L-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}", mine.number)


def test_who_asked_may_take_it_back_and_not_confirm_and_reads_how_it_was_settled() -> None:
    tx = FakeTx()
    referral_id, _, lifting_id = asked(tx)
    own = person("tom", role="marac_coordinator", scope="case.write")
    shown = shown_out(asking.read_lifting(tx, own, lifting_id, VETOES), own, CONTEXT)
    assert (shown.you_may_settle, shown.you_may_confirm, shown.settled_code) == (True, False, None)
    still_so = Grounds("still_so", WORDS)
    asking.settle_lifting(tx, OWEN, lifting_id, LiftStep.REFUSE, still_so, VETOES)
    found = setting.vetoes_of(tx, TOM, referral_id, VETOES)
    (told,) = vetoes_out(found, TOM, CONTEXT).liftings
    assert (told.state, told.settled_code, told.settled_at) == ("refused", "still_so", NOW)
    assert told.settled_by is not None
    assert told.settled_by.role == "privacy_officer"
    assert WORDS not in told.model_dump_json()
