"""What people do in the portal, in a real browser: an advocate accepts a delivery, an auditor
checks its entry, a screen is hidden."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser

from hubformats.tlog import Verifier, verify_proof
from tests.support.browser import (
    ADVOCATE,
    AUDITOR,
    OPERATOR,
    SCHOOL_LEAD,
    SOCIAL_WORKER,
    Visitor,
    accessible,
    visitor,
)
from tests.support.hubs import StandaloneHub, hubctl
from tests.support.portal_stage import outcome, refer

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("portal"), pytest.mark.timeout(300)]

REFERENCE = re.compile(r"NM(-[0-9A-Z]{4}){3}")


@pytest.fixture
def person(hub: StandaloneHub, browser: Browser) -> Iterator[Visitor]:
    """A fresh visitor."""
    with visitor(browser, hub.url("portal")) as made:
        yield made


def open_most_pressing(person: Visitor) -> str:
    """Open the delivery that presses most of those nobody has opened; its case reference."""
    person.reload_until("/work", lambda page: page.locator("text=Not opened here yet").count() > 0)
    person.click("th a:has-text('Not opened here yet') >> nth=0")
    return person.page.inner_text(".govuk-caption-l").removeprefix("Case ")


def test_an_advocate_accepts_a_delivery(hub: StandaloneHub, person: Visitor) -> None:
    referral = refer(hub)["referralId"]
    person.sign_in(ADVOCATE)
    assert person.path == "/work"
    person.reload_until("/work", lambda page: page.locator("tbody a").count() > 0)
    listed = person.page.inner_text("body")
    assert not [
        value
        for value in ("Marisol", "Quenby", "Mari", "07700 900461", "Dorian")
        if value in listed
    ]

    reference = open_most_pressing(person)
    assert REFERENCE.fullmatch(reference)
    text = person.page.inner_text("main")
    order = [
        text.index(part)
        for part in (
            "Contact only as follows",
            "Proven.",
            "What you must do",
            "Marisol",
            "Why you were told",
            "NM-2 of the Northmoor",
        )
    ]
    assert order == sorted(order), "the safe-contact strip comes first, then the verdict"
    assert "01632 960283" in text
    assert re.search(r"Do not use: Text message 07700 900461", text)
    assert re.search(r"on record\s+07700 900461 Do not use", text), (
        "an unsafe number is marked wherever it stands"
    )
    assert "Safeguarding vulnerable individuals" in text
    assert "6ea_safeguarding" not in text, "the law by its name, without our code"
    assert "shielded" in text.split("Why you were told")[0], (
        "that accounts may be held back is said"
    )
    assert "Larkspur" not in text, "a shielded address leaves to nobody"
    assert outcome(hub, referral, "northmoor-idva") == "released"

    person.click("text=Accept this delivery")
    assert person.page.locator(".govuk-tag:has-text('Accepted')").count() == 1
    assert person.page.locator("text=Accept this delivery").count() == 0
    _until(lambda: outcome(hub, referral, "northmoor-idva") == "saved", person)

    person.go("/work")
    row = person.page.inner_text(f"tr:has-text('{reference}')")
    assert "Accepted" in row, "the list knows the case once it was opened"
    assert not person.seen.console


def test_an_auditor_finds_the_entry_and_proves_it(
    hub: StandaloneHub, browser: Browser, person: Visitor, tmp_path: Path
) -> None:
    refer(hub)
    with visitor(browser, hub.url("portal")) as advocate:
        advocate.sign_in(ADVOCATE)
        reference = open_most_pressing(advocate)

    person.sign_in(AUDITOR)
    assert person.path == "/audit-log"
    person.page.fill("#caseReference", reference)
    person.click("main button")
    assert person.page.title().startswith("Error: ")
    assert person.page.evaluate("document.activeElement.className") == "govuk-error-summary"
    assert person.page.input_value("#caseReference") == reference, "what was typed is kept"
    person.page.click(".govuk-error-summary a >> nth=0")
    assert person.page.evaluate("document.activeElement.name") == "purpose"

    person.page.check("text=Check that processing was lawful")
    person.page.fill("#justification", "Routine sample of disclosures")
    person.click("main button")
    assert person.path.startswith("/audit-log/queries/")
    assert reference not in person.page.url
    person.click("tr:has-text('Sent to an agency'):has-text('IDVA') a")
    shown = person.page.inner_text("main")
    assert "Verified." in shown
    assert "Safeguarding vulnerable individuals" in shown
    assert "Marisol" not in shown

    with person.page.expect_download() as download:
        person.page.click("text=Take the proof as a file")
    file = tmp_path / "entry.tlog-proof"
    download.value.save_as(file)
    index = int(person.path.rsplit("/", 1)[1])
    assert download.value.suggested_filename == f"entry-{index}.tlog-proof"
    log = Verifier.parse(httpx2.get(f"{hub.url('audit')}/log/vkey").text.strip())
    bundle = _leaves(hub, index)
    proven = verify_proof(file.read_text("utf-8"), bundle, log)
    assert proven.index == index

    _own_question_is_logged(person, reference)
    assert not person.seen.console


def _own_question_is_logged(person: Visitor, reference: str) -> None:
    """The first question is an entry that a second one about the same case finds."""
    person.go("/audit-log")
    person.page.fill("#caseReference", reference)
    person.page.check("text=Check that processing was lawful")
    person.page.fill("#justification", "Who has looked at this case before me")
    person.click("main button")
    assert person.page.locator("tr:has-text('The log was searched')").count() >= 1, (
        person.page.inner_text("main")
    )


def _leaves(hub: StandaloneHub, index: int) -> bytes:
    """The leaf at an index, read from the public log by somebody who trusts no service of ours."""
    size = int(httpx2.get(f"{hub.url('audit')}/log/checkpoint").text.splitlines()[1])
    number, within = divmod(index, 256)
    assert number < 1000
    partial = "" if (number + 1) * 256 <= size else f".p/{size % 256}"
    data = httpx2.get(f"{hub.url('audit')}/log/tile/entries/{number:03}{partial}").content
    for _ in range(within):
        data = data[2 + int.from_bytes(data[:2], "big") :]
    return data[2 : 2 + int.from_bytes(data[:2], "big")]


def test_an_open_work_list_shows_what_comes_without_being_touched(
    hub: StandaloneHub, person: Visitor
) -> None:
    person.page.clock.install()
    person.sign_in(ADVOCATE)
    before = person.page.locator("tbody a").count()
    refer(hub, "urgent")
    for _ in range(10):
        person.page.clock.fast_forward(60_000)
        person.page.wait_for_timeout(500)
        if person.page.locator("tbody a").count() > before:
            break
    assert person.page.locator("tbody a").count() > before
    assert person.page.locator(".govuk-tag:has-text('Urgent')").count() >= 1
    assert person.page.inner_text("#renewal") == "The work list has changed", "a listener is told"
    assert person.path == "/work"
    by = person.page.locator(".hub-work--by td:nth-child(4)").first
    rows = by.evaluate(
        "cell => { const all = document.createRange(); all.selectNodeContents(cell);"
        " return new Set([...all.getClientRects()].map((one) => Math.round(one.top))).size; }"
    )
    assert 1 <= rows <= 2, "a date takes two lines at most"
    assert not person.seen.console


def _until(there: Any, person: Visitor) -> None:
    for _ in range(100):
        if there():
            return
        person.page.wait_for_timeout(200)
    raise AssertionError("never came")


def test_hide_this_screen_ends_the_visit_on_the_server(hub: StandaloneHub, person: Visitor) -> None:
    refer(hub)
    person.sign_in(ADVOCATE)
    open_most_pressing(person)
    hidden, cookie = person.page.url, person.context.cookies()
    person.click(".hub-hide")
    assert person.path == "/hidden"
    assert person.context.cookies() == []
    person.page.go_back()
    person.page.wait_for_load_state()
    assert person.heading == "Sign in again"
    assert "Marisol" not in person.page.content()
    again = httpx2.get(hidden, cookies={cookie[0]["name"]: cookie[0]["value"]})
    assert again.status_code == 401, "a copy of the cookie is worth nothing"


def test_shift_three_times_hides_the_screen_and_escape_does_not(
    hub: StandaloneHub, person: Visitor
) -> None:
    refer(hub)
    person.sign_in(ADVOCATE)
    open_most_pressing(person)
    for key in ("Escape", "Escape", "Escape", "Shift", "Shift", "a", "Shift"):
        person.page.keyboard.press(key)
    assert person.path.startswith("/deliveries/")
    with person.page.expect_navigation():
        for _ in range(3):
            person.page.keyboard.press("Shift")
    assert person.path == "/hidden"
    person.go("/work")
    assert person.heading == "Sign in again"


def test_a_visit_about_to_end_says_so_and_can_be_kept(hub: StandaloneHub, person: Visitor) -> None:
    refer(hub)
    person.sign_in(ADVOCATE)
    open_most_pressing(person)
    person.page.clock.install()
    person.page.reload()
    dialog = person.page.locator("dialog")
    person.page.clock.fast_forward("12:50")
    assert not dialog.is_visible()
    person.page.clock.fast_forward("00:20")
    assert dialog.is_visible()
    assert "2 minutes" in dialog.inner_text()
    accessible(person.page)
    with person.page.expect_response(lambda answer: answer.url.endswith("/stay")) as stayed:
        person.page.click("dialog button")
    assert stayed.value.status == 204
    dialog.wait_for(state="hidden")
    person.page.clock.fast_forward("13:10")
    assert dialog.is_visible()
    with person.page.expect_response(lambda answer: answer.url.endswith("/stay")):
        person.page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    assert person.path.startswith("/deliveries/"), (
        "Escape keeps the visit; it never throws anybody out"
    )
    with person.page.expect_navigation():
        person.page.clock.fast_forward("15:10")
    assert not person.path.startswith("/deliveries/"), "nothing stays on a screen nobody looks at"
    assert not person.seen.console


def test_everything_works_without_scripts(hub: StandaloneHub, browser: Browser) -> None:
    refer(hub)
    with visitor(browser, hub.url("portal"), scripts=False) as person:
        person.sign_in(ADVOCATE)
        open_most_pressing(person)
        assert "Contact only as follows" in person.page.inner_text("main")
        person.click("text=Accept this delivery")
        assert person.page.locator(".govuk-tag:has-text('Accepted')").count() == 1
        person.click(".hub-hide")
        assert person.path == "/hidden"
        person.go("/work")
        assert person.heading == "Sign in again"


def test_an_agency_with_its_own_keys_is_told_where_to_read(
    hub: StandaloneHub, person: Visitor
) -> None:
    refer(hub)
    person.sign_in(SOCIAL_WORKER)
    person.reload_until("/work", lambda page: page.locator("tbody a").count() > 0)
    assert "Your agency keeps its own keys" in person.page.inner_text("main")
    person.click("tbody a >> nth=0")
    assert person.heading == "Open this in your own system"
    assert "Ottoline" not in person.page.content()


def test_another_agencys_delivery_is_no_different_from_none(
    hub: StandaloneHub, browser: Browser, person: Visitor
) -> None:
    refer(hub)
    with visitor(browser, hub.url("portal")) as advocate:
        advocate.sign_in(ADVOCATE)
        open_most_pressing(advocate)
        theirs = advocate.path
    person.sign_in(SCHOOL_LEAD)
    pages = []
    for path in (
        theirs,
        "/deliveries/01932000-0000-7000-8000-00000000ffff",
        "/deliveries/not-an-id",
    ):
        answer = person.page.goto(person.base + path)
        assert answer is not None
        assert answer.status == 404
        pages.append(re.sub(r'name="csrf" value="[^"]*"', "", person.page.content()))
    assert pages[0] == pages[1] == pages[2]


def test_a_role_without_screens_gets_a_plain_page(person: Visitor) -> None:
    person.sign_in(OPERATOR)
    assert person.heading == "There are no screens for your role here"
    person.go("/work")
    assert person.heading == "You cannot do this"
    person.go("/audit-log")
    assert person.heading == "You cannot do this"


def test_posts_from_elsewhere_or_without_the_forms_token_are_refused(
    hub: StandaloneHub, person: Visitor
) -> None:
    referral = refer(hub)["referralId"]
    person.sign_in(ADVOCATE)
    open_most_pressing(person)
    token = person.page.input_value("main input[name=csrf]")
    cookies = {one["name"]: one["value"] for one in person.context.cookies() if "name" in one}
    target = f"{person.page.url}/accept"
    attempts = [
        ({"Sec-Fetch-Site": "cross-site"}, {"csrf": token}),
        ({"Sec-Fetch-Site": "same-site"}, {"csrf": token}),
        ({"Origin": "https://elsewhere.example.org"}, {"csrf": token}),
        ({}, {"csrf": token}),
        ({"Sec-Fetch-Site": "same-origin"}, {}),
        ({"Sec-Fetch-Site": "same-origin"}, {"csrf": token.swapcase()}),
    ]
    for headers, form in attempts:
        answer = httpx2.post(target, data=form, headers=headers, cookies=cookies)
        assert answer.status_code == 403, (headers, list(form))
        assert "You cannot do this" in answer.text
    assert outcome(hub, referral, "northmoor-idva") == "released"
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {}):
        assert httpx2.post(f"{hub.url('portal')}/sign-in", headers=headers).status_code == 403
    person.page.reload()
    person.click("text=Accept this delivery")
    assert person.page.locator(".govuk-tag:has-text('Accepted')").count() == 1


@pytest.mark.parametrize("paused", ["sharing", "portal"])
def test_a_paused_service_shows_a_plain_page(
    hub: StandaloneHub, person: Visitor, paused: str
) -> None:
    person.sign_in(ADVOCATE)
    assert hubctl(hub, "operator", "service", "pause", paused).status == 0
    try:
        person.go("/work")
        assert person.heading == "The service is not available now"
        assert "call 999" in person.page.inner_text("main")
    finally:
        assert hubctl(hub, "operator", "service", "resume", paused).status == 0
    person.reload_until("/work", lambda page: page.inner_text("h1") == "Work list")
