"""A privacy officer asks where a sender cannot, and another officer confirms."""

from uuid import UUID

import pytest

from hubformats.audit_record import Account
from hubformats.ids import uuid7
from referral.cases.use_cases import CaseNotFound, read_referral
from referral.vetoes import use_cases
from referral.vetoes.model import (
    LiftingNotFound,
    NotEntitled,
    OfficersCase,
    SecondPersonNeeded,
    VetoKind,
)
from tests.support.referral_fakes import CONTEXT, HOUSING, POLICE, VETOES, FakeTx, granted, person
from tests.unit.referral.test_vetoes import GRACE, LIFT, NOW, OWEN, WORDS, confirm, in_force, new
from tests.unit.referral.test_vetoes import sent as sent_by

BARS = (VetoKind.CONFLICT, VetoKind.EMPLOYEE_SUBJECT)


def barred(tx: FakeTx, kind: VetoKind = VetoKind.CONFLICT) -> tuple[OfficersCase, UUID]:
    """Housing's own referral, from which housing barred itself: the case, and the veto's id."""
    referral_id = sent_by(tx, HOUSING)
    veto, _ = use_cases.set_veto(tx, granted(HOUSING), referral_id, new(kind), VETOES)
    return OfficersCase(referral_id), veto.marking_id


@pytest.mark.parametrize("kind", BARS)
def test_a_sender_that_barred_itself_is_let_back_in_by_two_officers(kind: VetoKind) -> None:
    tx = FakeTx()
    case, veto_id = barred(tx, kind)
    with pytest.raises(CaseNotFound):
        read_referral(tx, granted(HOUSING), case.referral_id, CONTEXT)
    shown = use_cases.vetoes_of(tx, OWEN, case, VETOES)
    assert veto_id in {each.marking_id for each in shown.outline.markings}
    assert tx.held.entries[-1].operation == "consultation"
    lifting = use_cases.ask_lifting(tx, OWEN, case, veto_id, LIFT, VETOES)
    with pytest.raises(SecondPersonNeeded):
        confirm(tx, OWEN, lifting.id)
    assert veto_id in in_force(tx)
    assert [each.lifting.id for each in use_cases.waiting_liftings(tx, GRACE, VETOES)] == [
        lifting.id
    ]
    confirm(tx, GRACE, lifting.id)
    assert veto_id not in in_force(tx)
    assert read_referral(tx, granted(HOUSING), case.referral_id, CONTEXT).outline.version == 3
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
            use_cases.vetoes_of(tx, who, case, VETOES)
        with pytest.raises(CaseNotFound):
            use_cases.ask_lifting(tx, who, case, veto_id, LIFT, VETOES)
    with pytest.raises(CaseNotFound):
        use_cases.vetoes_of(tx, OWEN, OfficersCase(uuid7()), VETOES)


def test_an_officer_of_the_sender_asks_as_its_sender_and_one_of_a_barred_agency_not_at_all() -> (
    None
):
    tx = FakeTx()
    referral_id = sent_by(tx)
    veto, _ = use_cases.set_veto(tx, granted(), referral_id, new(VetoKind.CONFLICT), VETOES)
    case = OfficersCase(referral_id)
    insider = person("ida", POLICE, "privacy_officer", "case.write")
    with pytest.raises(NotEntitled):
        use_cases.ask_lifting(tx, insider, case, veto.marking_id, LIFT, VETOES)
    outsider = person("hal", HOUSING, "privacy_officer", "case.write")
    with pytest.raises(CaseNotFound):
        use_cases.ask_lifting(tx, outsider, case, veto.marking_id, LIFT, VETOES)
    lifting = use_cases.ask_lifting(tx, OWEN, case, veto.marking_id, LIFT, VETOES)
    with pytest.raises(LiftingNotFound):
        confirm(tx, outsider, lifting.id)
    assert veto.marking_id in in_force(tx)
