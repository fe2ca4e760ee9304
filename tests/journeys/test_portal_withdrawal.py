"""A veto set after a release that was opened, in a real browser: the open page learns of it, the
recipient's worker answers, and the referrer reads the truth."""

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.browser import ADVOCATE, Visitor, looked_at, visitor
from tests.support.hubs import StandaloneHub, hubctl
from tests.support.portal_stage import forbid, outcome, read, refer

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("portal"), pytest.mark.timeout(300)]

IDVA = "northmoor-idva"
MINUTE = 60_000
GONE = "do not act on it"
SAYS_SO = "main a[href^='/deliveries/']"


def opened(hub: StandaloneHub, person: Visitor) -> str:
    """An advocate has a new delivery open; her page's minutes pass when told to."""
    referral: str = refer(hub)["referralId"]
    person.page.clock.install()
    person.sign_in(ADVOCATE)
    new = "#new + table tbody a:has-text('Not opened here yet')"
    person.reload_until("/work", lambda page: page.locator(new).count() == 1)
    person.click(new)
    assert "Marisol" in person.page.inner_text("main")
    return referral


def learns(person: Visitor) -> None:
    """The open page tells by itself, shows nothing more of it, and leads to what says so."""
    for _ in range(50):
        person.page.clock.run_for(MINUTE)
        person.page.wait_for_timeout(200)
        if person.page.locator(SAYS_SO).count():
            break
    assert GONE in person.heading
    assert GONE in person.page.inner_text("#renewal").lower(), "a screen reader hears it"
    assert "Marisol" not in person.page.content()
    looked_at(person)


def reloads(person: Visitor) -> None:
    """A reload says the same in words."""
    person.go(person.path)
    assert person.seen.pages[-1].status == 410
    assert GONE in person.heading
    assert "Page not found" not in person.page.inner_text("main")
    looked_at(person)


def heard(hub: StandaloneHub, referral: str) -> dict[str, Any]:
    """What the referrer reads of the IDVA service."""
    found: list[dict[str, Any]] = read(hub, referral)["outcomes"]
    return next(one for one in found if one["recipient"] == IDVA)


def clean(person: Visitor) -> None:
    """A quiet console, and no name in an address or title."""
    said = " ".join([*person.seen.addresses, *person.seen.titles]).lower()
    assert "marisol" not in said
    assert not person.seen.console
    assert not person.seen.foreign


@pytest.mark.parametrize(
    ("answer", "duty", "words"),
    [
        ("stopped_and_deleted", "", "Stopped and deleted"),
        ("kept_under_duty", "court_order", "Kept under a duty"),
    ],
)
def test_what_was_opened_is_taken_back_and_answered(
    hub: StandaloneHub, browser: Browser, answer: str, duty: str, words: str
) -> None:
    with visitor(browser, hub.url("portal")) as person:
        referral = opened(hub, person)
        forbid(hub, referral, IDVA)
        learns(person)
        reloads(person)
        person.click("text=Read the withdrawal")
        assert "What was read cannot be unread." in person.page.inner_text("main")
        looked_at(person)
        person.click("text=Send answer")
        assert person.page.title().startswith("Error: ")
        looked_at(person)
        assert heard(hub, referral)["answer"] == "awaited"
        person.page.check(f"input[value={answer}]")
        person.page.select_option("#duty", duty)
        person.click("text=Send answer")
        assert words in person.page.inner_text("main")
        looked_at(person)
        clean(person)
    told = heard(hub, referral)
    assert (told["state"], told["answer"], told["duty"] or "") == ("withdrawn", answer, duty)
    said = hubctl(hub, "northmoor-police", "referral", "show", referral)
    assert "taken back" in said.out


def test_a_correction_of_what_was_opened_is_answered(hub: StandaloneHub, browser: Browser) -> None:
    with visitor(browser, hub.url("portal")) as person:
        referral = opened(hub, person)
        forbid(hub, referral, IDVA, "victim_phone")
        learns(person)
        reloads(person)
        person.click("text=Read the correction")
        assert person.page.locator("input[name=answer]").count() == 3
        looked_at(person)
        person.page.check("input[value=corrected]")
        person.click("text=Send answer")
        assert "Your agency has signed for it" in person.page.inner_text("main")
        clean(person)
    assert outcome(hub, referral, IDVA) == "saved"


def test_with_nobody_to_ask_about_vetoes_the_list_says_so_and_keeps_withdrawals(
    hub: StandaloneHub, browser: Browser
) -> None:
    with visitor(browser, hub.url("portal")) as person:
        referral = opened(hub, person)
        open_page = person.path
        forbid(hub, refer(hub)["referralId"], IDVA)
        assert hubctl(hub, "operator", "service", "pause", "referral").status == 0
        try:
            person.go("/work")
            shown = person.page.inner_text("#unchecked")
            assert "Nothing is lost" in shown
            assert "01632 960000" in shown
            assert person.page.locator("tbody tr:has-text('Withdrawal')").count() >= 1
            looked_at(person)
            person.go(open_page)
            assert person.heading == "This delivery cannot be shown now"
            looked_at(person)
            said = hubctl(hub, IDVA, "inbox")
            assert "NOT SHOWN" in said.out
        finally:
            assert hubctl(hub, "operator", "service", "resume", "referral").status == 0
        person.reload_until(open_page, lambda page: page.locator("#safe-contact").count() == 1)
        assert outcome(hub, referral, IDVA) == "released"
