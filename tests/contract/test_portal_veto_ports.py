"""Vetoes and second looks as the portal's ports promise them: in memory, and over HTTP."""

from dataclasses import dataclass, replace
from typing import Final

import pytest

from portal.second_look.client import SharingLooks
from portal.second_look.ports import Looks
from portal.shell.model import CallRefused
from portal.vetoes.client import ReferralVetoes
from portal.vetoes.model import Sent
from portal.vetoes.ports import Vetoes
from tests.support.port_suites import Held
from tests.support.portal_veto_fakes import LOOK_REASONS, REASONS, MemoryLooks, MemoryVetoes
from tests.support.portal_veto_services import VetoServices, allowed
from tests.unit.portal.test_vetoes import ASKED, ITEM, LIFTING, LOOK, REFERRAL, VETO

PORTS: Final = (
    Held(Vetoes, (ReferralVetoes,), MemoryVetoes),
    Held(Looks, (SharingLooks,), MemoryLooks),
)
ONE = Sent(REFERRAL, "NM-7F3K-9QXA-2C4T", "stalking", "2026-11-21T01:00:00Z", "NP-2026-1")
NEWER = replace(ONE, referral_id=VETO, changed_at="2026-11-21T02:00:00Z")
OUTCOMES = {"northmoor-housing": "saved", "northmoor-idva": "withdrawn"}
WORDS = "She said so herself."


@dataclass
class Behind:
    """The ports, and what stands behind them."""

    vetoes: Vetoes
    looks: Looks
    held: VetoServices


@pytest.fixture(params=["memory", "http"])
def behind(request: pytest.FixtureRequest) -> Behind:
    """The fakes, or the real clients on services that answer from them."""
    held = VetoServices()
    held.vetoes.referrals = [NEWER, ONE]
    held.vetoes.in_force = [ASKED.veto] if ASKED.veto else []
    held.vetoes.liftings = [ASKED]
    held.vetoes.outcomes = OUTCOMES
    held.looks.items = [ITEM]
    if request.param == "memory":
        return Behind(held.vetoes, held.looks, held)
    calls = held.calls()
    return Behind(ReferralVetoes(calls), SharingLooks(calls), held)


async def test_referrals_are_listed_whole_with_the_newest_change_first(behind: Behind) -> None:
    assert list(await behind.vetoes.sent(allowed("see_vetoes"))) == [NEWER, ONE]


async def test_a_cases_vetoes_come_with_what_was_asked(behind: Behind) -> None:
    found = await behind.vetoes.of_referral(allowed("see_vetoes"), REFERRAL)
    assert (found.case_reference, list(found.vetoes)) == (ONE.case_reference, [ASKED.veto])
    assert (found.own_reference, found.outcomes) == ("NP-2026-1", OUTCOMES)
    waiting = found.waiting(VETO)
    assert waiting is not None
    assert (waiting.lifting_id, waiting.role) == (LIFTING, "police_officer")
    with pytest.raises(CallRefused, match="404"):
        await behind.vetoes.of_referral(allowed("see_vetoes"), LOOK)


async def test_the_reasons_are_those_in_force(behind: Behind) -> None:
    assert await behind.vetoes.reasons() == REASONS
    assert await behind.looks.reasons(allowed("see_second_looks")) == LOOK_REASONS


async def test_what_lapsed_is_listed_for_who_asked(behind: Behind) -> None:
    behind.held.vetoes.liftings = [ASKED, replace(ASKED, lifting_id=LOOK, state="lapsed")]
    (gone,) = await behind.vetoes.lapsed(allowed("see_vetoes"))
    assert (gone.lifting_id, gone.state) == (LOOK, "lapsed")
    both = await behind.vetoes.waiting(allowed("see_liftings"))
    assert [each.state for each in both] == ["asked", "lapsed"]


async def test_a_veto_is_set_asked_about_and_settled(behind: Behind) -> None:
    vetoes = behind.vetoes
    choice = "conflict/declared"
    made = await vetoes.set(allowed("set_veto"), REFERRAL, choice, "northmoor-housing", WORDS)
    assert made == VETO
    await vetoes.ask(allowed("ask_lifting"), REFERRAL, VETO, "no_longer_so", WORDS)
    listed = await vetoes.waiting(allowed("see_liftings"))
    assert [each.lifting_id for each in listed] == [LIFTING]
    assert await vetoes.lifting(allowed("see_liftings"), LIFTING) == ASKED
    await vetoes.settle(allowed("confirm_lifting"), LIFTING, "confirm/no_longer_so", WORDS)
    assert list(await vetoes.waiting(allowed("see_liftings"))) == []
    assert behind.held.vetoes.done == [
        "set conflict/declared on northmoor-housing",
        "asked no_longer_so",
        "settled confirm/no_longer_so",
    ]
    behind.held.vetoes.against = CallRefused(403, "second-person-needed")
    with pytest.raises(CallRefused, match="second-person-needed"):
        await vetoes.settle(allowed("confirm_lifting"), LIFTING, "refuse/still_so", WORDS)


async def test_a_second_look_is_read_taken_and_answered_once(behind: Behind) -> None:
    looks, see, review = behind.looks, allowed("see_second_looks"), allowed("review_second_look")
    assert list(await looks.listed(see, closed=False)) == [ITEM]
    await looks.take(review, LOOK)
    assert (await looks.one(see, LOOK)).owner == "you"
    await looks.answer(review, LOOK, "reasonable", "needed", WORDS)
    assert [each.look_id for each in await looks.listed(see, closed=True)] == [LOOK]
    assert list(await looks.listed(see, closed=False)) == []
    with pytest.raises(CallRefused, match="409"):
        await looks.answer(review, LOOK, "escalate", "harm", WORDS)
    with pytest.raises(CallRefused, match="404"):
        await looks.one(see, REFERRAL)
