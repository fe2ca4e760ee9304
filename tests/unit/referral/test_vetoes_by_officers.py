"""A privacy officer asks where a sender cannot, and another officer confirms.

What a recipient or an officer knows of people and links, they set themselves.
"""

from uuid import UUID

import pytest

from hubformats.audit_record import Account
from hubformats.ids import uuid7
from referral.cases.model.outcome import Outcome, OutcomeState
from referral.cases.use_cases import CaseNotFound, read_referral
from referral.vetoes.model import (
    LiftingNotFound,
    NewVeto,
    NotEntitled,
    OfficersCase,
    ReceivedCase,
    SecondPersonNeeded,
    VetoKind,
    VetoNotFound,
    VetoRefused,
)
from referral.vetoes.use_cases import asking, setting
from tests.support.referral_fakes import CONTEXT, HOUSING, POLICE, VETOES, FakeTx, granted, person
from tests.unit.referral.test_vetoes import (
    GRACE,
    JESS,
    LIFT,
    NOW,
    OWEN,
    TOM,
    WORDS,
    confirm,
    in_force,
    new,
)
from tests.unit.referral.test_vetoes import sent as sent_by

BARS = (VetoKind.CONFLICT, VetoKind.EMPLOYEE_SUBJECT)


def barred(tx: FakeTx, kind: VetoKind = VetoKind.CONFLICT) -> tuple[OfficersCase, UUID]:
    """Housing's own referral, from which housing barred itself: the case, and the veto's id."""
    referral_id = sent_by(tx, HOUSING)
    veto, _ = setting.set_veto(tx, granted(HOUSING), referral_id, new(kind), VETOES)
    return OfficersCase(referral_id), veto.marking_id


@pytest.mark.parametrize("kind", BARS)
def test_a_sender_that_barred_itself_is_let_back_in_by_two_officers(kind: VetoKind) -> None:
    tx = FakeTx()
    case, veto_id = barred(tx, kind)
    referral_id = case.referral_id
    assert referral_id is not None
    with pytest.raises(CaseNotFound):
        read_referral(tx, granted(HOUSING), referral_id, CONTEXT)
    shown = setting.vetoes_of(tx, OWEN, case, VETOES)
    assert veto_id in {each.marking_id for each in shown.outline.markings}
    assert tx.held.entries[-1].operation == "consultation"
    lifting = asking.ask_lifting(tx, OWEN, case, veto_id, LIFT, VETOES)
    with pytest.raises(SecondPersonNeeded):
        confirm(tx, OWEN, lifting.id)
    assert veto_id in in_force(tx)
    assert [each.lifting.id for each in asking.waiting_liftings(tx, GRACE, VETOES)] == [lifting.id]
    confirm(tx, GRACE, lifting.id)
    assert veto_id not in in_force(tx)
    assert read_referral(tx, granted(HOUSING), referral_id, CONTEXT).outline.version == 3
    assert tx.held.looks == [
        ("veto_lifting_asked", "no_longer_so", ("issuer|owen",), NOW),
        ("veto_lifted", "no_longer_so", ("issuer|owen", "issuer|grace"), NOW),
    ]
    entry = tx.held.entries[-2]
    assert (entry.reason_code, entry.account) == ("lifting-confirmed", Account(WORDS))


def test_nobody_but_an_officer_goes_by_the_officers_road() -> None:
    tx = FakeTx()
    case, veto_id = barred(tx)
    for who in (granted(), granted(HOUSING), person("jess", role="marac_coordinator")):
        with pytest.raises(CaseNotFound):
            setting.vetoes_of(tx, who, case, VETOES)
        with pytest.raises(CaseNotFound):
            asking.ask_lifting(tx, who, case, veto_id, LIFT, VETOES)
    with pytest.raises(CaseNotFound):
        setting.vetoes_of(tx, OWEN, OfficersCase(uuid7()), VETOES)


def test_an_officer_of_the_sender_asks_as_its_sender_and_one_of_a_barred_agency_not_at_all() -> (
    None
):
    tx = FakeTx()
    referral_id = sent_by(tx)
    veto, _ = setting.set_veto(tx, granted(), referral_id, new(VetoKind.CONFLICT), VETOES)
    case = OfficersCase(referral_id)
    insider = person("ida", POLICE, "privacy_officer", "case.write")
    with pytest.raises(NotEntitled):
        asking.ask_lifting(tx, insider, case, veto.marking_id, LIFT, VETOES)
    outsider = person("hal", HOUSING, "privacy_officer", "case.write")
    with pytest.raises(CaseNotFound):
        asking.ask_lifting(tx, outsider, case, veto.marking_id, LIFT, VETOES)
    lifting = asking.ask_lifting(tx, OWEN, case, veto.marking_id, LIFT, VETOES)
    with pytest.raises(LiftingNotFound):
        confirm(tx, outsider, lifting.id)
    assert veto.marking_id in in_force(tx)


def told(tx: FakeTx, state: OutcomeState = OutcomeState.RELEASED) -> tuple[UUID, ReceivedCase]:
    """A referral of the police's of which housing was told: its id, and housing's name for it."""
    referral_id = sent_by(tx)
    case_id = tx.held.referrals[referral_id].case_id
    tx.outcomes.add(case_id, Outcome(HOUSING, 1, state, NOW, NOW))
    return referral_id, ReceivedCase(CONTEXT.reference(HOUSING, case_id))


@pytest.mark.parametrize("kind", [*BARS, VetoKind.LEGAL_HOLD])
def test_a_recipient_keeps_itself_out_and_two_officers_let_it_back(kind: VetoKind) -> None:
    tx = FakeTx()
    referral_id, case = told(tx)
    wanted = new(kind, agency=HOUSING)
    veto, _ = setting.set_veto(tx, granted(HOUSING), case, wanted, VETOES)
    assert veto.marking_id in in_force(tx)
    entry = tx.held.entries[-1]
    assert (entry.justification_code, entry.account) == (wanted.grounds.code, Account(WORDS))
    assert (entry.resource_type, entry.resource_id) == ("case", case.reference)
    if kind in BARS:
        with pytest.raises(CaseNotFound):
            setting.set_veto(tx, granted(HOUSING), case, wanted, VETOES)
    officers = OfficersCase(None, HOUSING, case.reference)
    lifting = asking.ask_lifting(tx, OWEN, officers, veto.marking_id, LIFT, VETOES)
    confirm(tx, GRACE, lifting.id)
    assert veto.marking_id not in in_force(tx)
    assert setting.vetoes_of(tx, OWEN, OfficersCase(referral_id), VETOES).outline.version == 3


def test_the_sender_reads_nothing_of_what_another_has_set_nor_lifts_it() -> None:
    """That a person of the case works for housing is housing's word, not the sender's."""
    tx = FakeTx()
    referral_id, case = told(tx)
    wanted = new(VetoKind.EMPLOYEE_SUBJECT)
    theirs, _ = setting.set_veto(tx, granted(HOUSING), case, wanted, VETOES)
    mine, _ = setting.set_veto(tx, granted(), referral_id, wanted, VETOES)
    assert mine.marking_id != theirs.marking_id, "each has its own, and lifts its own"
    officers = OfficersCase(referral_id)
    lifting = asking.ask_lifting(tx, OWEN, officers, theirs.marking_id, LIFT, VETOES)
    seen = setting.vetoes_of(tx, granted(), referral_id, VETOES)
    assert theirs.marking_id not in {each.marking_id for each in seen.outline.markings}
    assert (mine.marking_id in {m.marking_id for m in seen.outline.markings}, seen.liftings) == (
        True,
        (),
    )
    with pytest.raises(VetoNotFound):
        asking.ask_lifting(tx, TOM, referral_id, theirs.marking_id, LIFT, VETOES)
    with pytest.raises(LiftingNotFound):
        asking.read_lifting(tx, JESS, lifting.id, VETOES)
    confirm(tx, GRACE, lifting.id)
    assert setting.vetoes_of(tx, granted(), referral_id, VETOES).liftings == ()
    assert mine.marking_id in in_force(tx)


@pytest.mark.parametrize(
    ("wanted", "refused"),
    [
        (new(VetoKind.CONFLICT, agency=POLICE), VetoRefused),
        (new(VetoKind.LEGAL_HOLD), VetoRefused),
        (new(VetoKind.LEGAL_HOLD, agency=HOUSING, category="consent"), VetoRefused),
        (new(VetoKind.MUST_NOT_DISCLOSE, agency=HOUSING), NotEntitled),
        (new(VetoKind.LOCATION_SHIELD), NotEntitled),
        (new(VetoKind.INFORMANT), NotEntitled),
    ],
)
def test_a_recipient_narrows_its_own_part_and_nobody_elses(
    wanted: NewVeto, refused: type[Exception]
) -> None:
    tx = FakeTx()
    _, case = told(tx)
    with pytest.raises(refused):
        setting.set_veto(tx, granted(HOUSING), case, wanted, VETOES)
    assert len(tx.held.published) == 1


def test_who_was_not_told_finds_no_case_by_a_reference() -> None:
    for state, who in ((OutcomeState.WITHHELD, HOUSING), (OutcomeState.RELEASED, POLICE)):
        tx = FakeTx()
        _, case = told(tx, state)
        wanted = new(VetoKind.CONFLICT, agency=who)
        with pytest.raises(CaseNotFound):
            setting.set_veto(tx, granted(who), case, wanted, VETOES)
        with pytest.raises(CaseNotFound):
            setting.vetoes_of(tx, granted(who), OfficersCase(None, who, case.reference), VETOES)


def test_an_officer_sets_what_was_declared_to_him() -> None:
    tx = FakeTx()
    referral_id, _ = told(tx)
    for kind in (*BARS, VetoKind.LEGAL_HOLD):
        veto, _ = setting.set_veto(tx, OWEN, OfficersCase(referral_id), new(kind), VETOES)
        assert veto.marking_id in in_force(tx)
    for kind in (VetoKind.MUST_NOT_DISCLOSE, VetoKind.LOCATION_SHIELD, VetoKind.INFORMANT):
        with pytest.raises(NotEntitled):
            setting.set_veto(tx, OWEN, OfficersCase(referral_id), new(kind), VETOES)
