"""A veto set and lifted by two people in a real browser, and looked at again by a third."""

import pytest
from playwright.sync_api import Browser

from tests.support.browser import ADVOCATE, Visitor, looked_at, visitor
from tests.support.hubs import StandaloneHub
from tests.support.portal_stage import refer

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("portal"), pytest.mark.timeout(300)]

OFFICER, POLICE_OFFICER, DEPUTY, SUPERVISOR = (
    "Owen Bright",
    "Tom Hallam",
    "Grace Amadi",
    "Jess Marlow",
)
LINKED = "A worker at that desk is his cousin."
MOVED = "The worker has left that desk."
SEEN = "I have rung the desk and heard it myself."


def clean(person: Visitor) -> None:
    """No name, word or reason in an address or a title, and a quiet console."""
    said = " ".join([*person.seen.addresses, *person.seen.titles]).lower()
    hidden = ("cousin", "desk", "marisol", "vexley", "housing", "conflict")
    assert not [word for word in hidden if word in said]
    assert not person.seen.console
    assert not person.seen.foreign


def a_police_officer_sets_one_and_asks_to_lift_it(
    hub: StandaloneHub, browser: Browser, referral: str
) -> None:
    with visitor(browser, hub.url("portal")) as person:
        person.sign_in(POLICE_OFFICER)
        person.click("nav >> text=Vetoes")
        looked_at(person)
        person.click("tbody a >> nth=0")
        assert person.path == f"/vetoes/{referral}"
        assert person.page.input_value("#agency") == "", "nobody by default"
        person.click("text=Set the veto")
        assert person.page.title().startswith("Error: ")
        assert person.page.locator(".govuk-error-summary a").count() == 2
        looked_at(person)
        person.page.check("text=Conflict of interest: a worker there has declared a link")
        person.page.select_option("#agency", "northmoor-housing")
        person.page.fill("#reason", LINKED)
        person.click("text=Set the veto")
        row = "tbody tr:has-text('Conflict of interest')"
        assert "Northmoor Housing" in person.page.inner_text(row)
        assert "it holds since" in person.page.inner_text("[role=alert]")
        looked_at(person)
        person.click(f"{row} >> a")
        assert "A worker there has declared a link" in person.page.inner_text("main")
        assert person.heading == "Ask to lift a veto", "signed in a moment ago"
        looked_at(person)
        person.page.check("text=What it was for has ended")
        person.page.fill("#reason", MOVED)
        person.click("text=Ask for it")
        shown = person.page.inner_text(row)
        assert "Asked for by you" in shown
        assert "It holds until a second person has confirmed" in shown
        assert LINKED not in person.page.content()
        clean(person)


def a_supervisor_of_the_same_agency_cannot(hub: StandaloneHub, browser: Browser) -> None:
    with visitor(browser, hub.url("portal")) as person:
        person.sign_in(SUPERVISOR)
        person.click("nav >> text=Liftings")
        person.click("tbody a >> nth=0")
        assert "somebody of another agency must decide" in person.page.inner_text("main")
        assert person.page.locator("main form").count() == 0
        looked_at(person)


def an_officer_lifts_it(hub: StandaloneHub, browser: Browser) -> None:
    with visitor(browser, hub.url("portal")) as person:
        person.sign_in(OFFICER)
        assert person.path == "/second-looks", "the queue is where an officer begins"
        person.click("nav >> text=Liftings")
        looked_at(person)
        person.click("tbody a >> nth=0")
        shown = person.page.inner_text("main")
        for words in (
            "Who asked first",
            "Police officer, Northmoor Police",
            MOVED,
            "Lifting number",
            "Set by",
            "A worker there has declared a link",
        ):
            assert words in shown
        looked_at(person)
        person.click("text=Decide in my own name")
        assert person.page.title().startswith("Error: ")
        person.page.check("text=Lift it: what it was for has ended")
        person.page.fill("#reason", SEEN)
        person.click("text=Decide in my own name")
        assert (person.path, "Nothing waits" in person.page.inner_text("main")) == (
            "/liftings",
            True,
        )
        person.reload_until("/second-looks", lambda page: page.locator("tbody tr").count() == 1)
        listed = person.page.inner_text("main")
        assert "Lifting of a veto asked for" in listed
        assert "Veto lifted" not in listed, "one's own act is somebody else's to look at"
        clean(person)


def the_deputy_looks_again(hub: StandaloneHub, browser: Browser) -> None:
    with visitor(browser, hub.url("portal")) as person:
        person.sign_in(DEPUTY)
        person.reload_until("/second-looks", lambda page: page.locator("tbody tr").count() == 2)
        looked_at(person)
        person.click("tbody a:has-text('Veto lifted')")
        assert "Privacy officer, Northmoor" in person.page.inner_text("main")
        looked_at(person)
        person.click("text=I will look at it")
        person.click("text=Keep this")
        assert person.page.locator(".govuk-error-summary a").count() == 2
        person.page.check("text=Reasonable: it was needed, and said why")
        person.page.fill("#reason", SEEN)
        person.click("text=Keep this")
        assert person.page.locator("tbody tr").count() == 1
        person.click("text=What was closed")
        assert "Veto lifted" in person.page.inner_text("tbody")
        looked_at(person)
        clean(person)


def test_two_people_lift_a_veto_and_a_third_looks_again(
    hub: StandaloneHub, browser: Browser
) -> None:
    referral = refer(hub)["referralId"]
    a_police_officer_sets_one_and_asks_to_lift_it(hub, browser, referral)
    a_supervisor_of_the_same_agency_cannot(hub, browser)
    an_officer_lifts_it(hub, browser)
    the_deputy_looks_again(hub, browser)


def test_others_do_not_come_near_the_queue(hub: StandaloneHub, browser: Browser) -> None:
    with visitor(browser, hub.url("portal")) as person:
        person.sign_in(ADVOCATE)
        assert person.page.locator("nav >> text=Second looks").count() == 0
        for path in ("/second-looks", "/liftings"):
            person.go(path)
            assert person.heading == "You cannot do this"
