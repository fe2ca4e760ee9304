"""Emergency release in a real browser: the log is silent, a coordinator lets one go in her own
name, and it says promised, not proven."""

import pytest
from playwright.sync_api import Browser

from tests.support.browser import (
    ADVOCATE,
    COORDINATOR,
    Visitor,
    looked_at,
    visitor,
)
from tests.support.hubs import StandaloneHub, hubctl
from tests.support.portal_stage import outcome, read, refer

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("portal"), pytest.mark.timeout(300)]

REASON = "He is at her door and the log does not answer."


def sign_in_again(person: Visitor, name: str = COORDINATOR) -> None:
    """The second sign-in, which the release asks for."""
    assert person.heading == "Sign in again first"
    looked_at(person)
    person.click("main button")
    person.click(f"text={name}")


def an_advocate_is_told_so(hub: StandaloneHub, browser: Browser) -> None:
    """What came shows as promised, and the release is not hers to make."""
    with visitor(browser, hub.url("portal")) as advocate:
        advocate.sign_in(ADVOCATE)
        advocate.reload_until("/work", lambda page: page.locator("tbody a").count() > 0)
        advocate.click("tbody a >> nth=0")
        shown = advocate.page.inner_text("main")
        assert "Promised." in shown
        assert "It is not proven yet" in shown
        assert advocate.page.locator("nav >> text=Emergency release").count() == 0
        advocate.go("/emergency")
        assert advocate.heading == "You cannot do this"


def its_page_says_when_the_proof_has_come(person: Visitor, path: str) -> None:
    """Not "Nothing waits here": it left, when, and that it is proven now."""
    person.reload_until(
        path, lambda page: page.locator("h1:has-text('Released, and proven now')").count() == 1
    )
    shown = person.page.inner_text("main")
    assert "Proven. It left" in shown
    assert "the whole referral apart from what is shielded" in shown, (
        "the clause's sentence, not its code alone"
    )
    looked_at(person)


def test_a_coordinator_lets_one_go_on_a_promise(hub: StandaloneHub, browser: Browser) -> None:
    assert hubctl(hub, "operator", "service", "pause", "audit").status == 0
    try:
        referral = refer(hub)["referralId"]
        with visitor(browser, hub.url("portal")) as person:
            person.sign_in(COORDINATOR)
            person.click("nav >> text=Emergency release")
            sign_in_again(person)
            assert person.path == "/emergency", "one goes on where one was"
            person.reload_until("/emergency", lambda page: page.locator("tbody tr").count() == 3)
            assert "Marisol" not in person.page.inner_text("main")
            looked_at(person)

            person.click("tbody a:has-text('IDVA')")
            person.click("text=Release now")
            assert person.page.title().startswith("Error: ")
            assert person.page.locator(".govuk-error-summary a").count() == 3
            assert person.page.evaluate("document.activeElement.className") == "govuk-error-summary"
            looked_at(person)
            person.page.check("text=Somebody's life is in danger now")
            person.page.fill("#reason", REASON)
            person.click("text=Release now")
            assert person.page.input_value("#reason") == REASON, "what was typed is kept"
            assert person.page.is_checked("text=Somebody's life is in danger now")
            person.page.check(f"text=I am {COORDINATOR}")
            person.click("text=Release now")

            assert person.heading == "Released on a promise"
            assert "Promised, not proven." in person.page.inner_text("main")
            looked_at(person)
            released = person.path
            person.go("/emergency")
            assert "Promised, not proven (1)" in person.page.inner_text("main")
            assert "Waiting for its audit entry (2)" in person.page.inner_text("main")
            assert person.page.locator("#promised + table tr:has-text('IDVA')").count() == 1
            assert REASON not in person.page.content()
            assert not [address for address in person.seen.addresses if "door" in address]
            assert not person.seen.console

            assert outcome(hub, referral, "northmoor-idva") == "released"
            an_advocate_is_told_so(hub, browser)
            assert hubctl(hub, "operator", "service", "resume", "audit").status == 0
            its_page_says_when_the_proof_has_come(person, released)
    finally:
        assert hubctl(hub, "operator", "service", "resume", "audit").status == 0


def test_what_was_written_waits_for_the_same_person_alone(
    hub: StandaloneHub, browser: Browser
) -> None:
    """She wrote, had to sign in again and finds it; somebody else at her browser does not."""
    delivery = "01932000-0000-7000-8000-00000000ffff"
    with visitor(browser, hub.url("portal")) as person:
        person.sign_in(COORDINATOR)
        person.go(f"/emergency/{delivery}")
        person.page.locator("main form").evaluate(
            "(form, text) => { const field = document.createElement('input');"
            " field.type = 'hidden'; field.name = 'kept.reason'; field.value = text;"
            " form.append(field) }",
            REASON,
        )
        sign_in_again(person, ADVOCATE)
        assert person.path == "/work"
        person.go(f"/emergency/{delivery}")
        assert person.heading == "You cannot do this"
        assert REASON not in person.page.content()


def _the_sender_sees_it(hub: StandaloneHub, referral: str) -> None:
    """By the API and in words, with who can release it."""
    told = {one["recipient"]: one for one in read(hub, referral)["outcomes"]}
    assert told["northmoor-idva"]["state"] == "decided"
    assert told["northmoor-idva"]["waitingSince"]
    said = hubctl(hub, "northmoor-police", "referral", "show", referral)
    assert said.status == 0
    assert "northmoor-idva: may know; waits for its entry in the audit log" in said.out
    assert "URGENT: not everybody was told yet. If somebody is in danger now, call 999" in said.out
    said = hubctl(hub, "northmoor-idva", "inbox")
    assert "WAITING: 1 urgent delivery to your agency has not left, since" in said.out


def test_with_audit_paused_everybody_who_could_act_sees_that_danger_waits(
    hub: StandaloneHub, browser: Browser
) -> None:
    """Sender, adviser's work list, and the coordinator's first page (issue 8, done when)."""
    assert hubctl(hub, "operator", "service", "pause", "audit").status == 0
    try:
        referral = refer(hub, "urgent")["referralId"]
        with (
            visitor(browser, hub.url("portal")) as adviser,
            visitor(browser, hub.url("portal")) as coordinator,
        ):
            adviser.sign_in(ADVOCATE)
            adviser.reload_until("/work", lambda page: page.locator("#delays").count() == 1)
            shown = adviser.page.inner_text("#delays")
            assert "1 urgent delivery to your agency has not left, since" in shown
            assert "01632 960000" in shown
            looked_at(adviser)

            coordinator.sign_in(COORDINATOR)
            assert coordinator.path == "/work", "the first page, without a click"
            shown = coordinator.page.inner_text("#delays")
            assert "urgent" in shown
            assert "of your agency’s referrals ha" in shown
            looked_at(coordinator)
            assert "Pellworth" not in coordinator.page.content()
            _the_sender_sees_it(hub, referral)
            coordinator.click("#delays a")
            assert coordinator.path == "/emergency"

            assert hubctl(hub, "operator", "service", "resume", "audit").status == 0
            for person in (adviser, coordinator):
                person.reload_until("/work", lambda page: page.locator("#delays").count() == 0)
                assert not person.seen.console
    finally:
        assert hubctl(hub, "operator", "service", "resume", "audit").status == 0
