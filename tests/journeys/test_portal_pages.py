"""Every page, seen by a real browser: accessible at two widths and in its error states, silent,
private, and fetching from nobody else."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Response

from tests.support.browser import (
    ADVOCATE,
    AUDITOR,
    OPERATOR,
    SOCIAL_WORKER,
    WIDTHS,
    Seen,
    Visitor,
    accessible,
    chromium,
    fits,
    visitor,
)
from tests.support.hubs import StandaloneHub
from tests.support.leaks import seeded_values
from tests.support.portal_stage import example, refer, running

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("portal"),
    pytest.mark.timeout(300),
]

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src "
    "'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'"
)
Look = Callable[[Page], None]


@dataclass
class Stage:
    """A hub with a full and an urgent delivery, and a browser."""

    hub: StandaloneHub
    browser: Browser


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Both deliveries have arrived when it is given."""
    with running(tmp_path_factory.mktemp("pages")) as hub, chromium() as browser:
        refer(hub)
        refer(hub, "urgent")
        with visitor(browser, hub.url("portal")) as person:
            person.sign_in(ADVOCATE)
            person.reload_until("/work", lambda page: page.locator("tbody a").count() == 2)
        yield Stage(hub, browser)


def as_stranger(person: Visitor, look: Look) -> None:
    """What anybody sees."""
    for path in (
        "/",
        "/accessibility",
        "/hidden",
        "/work",
        "/nowhere",
        "/sign-in/callback?code=x&state=y",
    ):
        person.go(path)
        look(person.page)
    person.go("/")
    person.click("main button")
    look(person.page)  # identity's own page


def as_advocate(person: Visitor, look: Look) -> None:
    """The work list, both deliveries, and one that is not there."""
    person.sign_in(ADVOCATE)
    look(person.page)
    links = [link.get_attribute("href") or "" for link in person.page.locator("tbody a").all()]
    for path in (*links, "/work", "/deliveries/01932000-0000-7000-8000-00000000ffff", "/audit-log"):
        person.go(path)
        look(person.page)


def as_auditor(person: Visitor, look: Look) -> None:
    """Search, its error state, results, an entry."""
    person.sign_in(AUDITOR)
    look(person.page)
    person.click("main button")
    assert person.page.title().startswith("Error: ")
    look(person.page)
    person.page.select_option("#recipient", label="Northmoor IDVA Service")
    person.page.check("text=Check that processing was lawful")
    person.page.fill("#justification", "Routine sample of disclosures")
    person.click("main button")
    look(person.page)
    person.click("tbody a >> nth=0")
    look(person.page)


def as_others(person: Visitor, look: Look) -> None:
    """An agency with its own keys, and a role without screens."""
    person.sign_in(SOCIAL_WORKER)
    person.reload_until("/work", lambda page: page.locator("tbody a").count() > 0)
    look(person.page)
    person.click("tbody a >> nth=0")
    look(person.page)
    person.click("text=Sign out")
    person.sign_in(OPERATOR)
    look(person.page)


WALKS: dict[str, Callable[[Visitor, Look], None]] = {
    "stranger": as_stranger,
    "advocate": as_advocate,
    "auditor": as_auditor,
    "others": as_others,
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("who", WALKS)
def test_every_page_is_accessible_fits_and_keeps_quiet(stage: Stage, who: str, width: int) -> None:
    def look(page: Page) -> None:
        accessible(page)
        fits(page)
        assert page.title().strip()

    with visitor(stage.browser, stage.hub.url("portal"), width=width) as person:
        WALKS[who](person, look)
        quiet_and_private(person.seen)


def quiet_and_private(seen: Seen) -> None:
    """No console message, no stranger asked, no address told, nothing kept, one strict policy, no
    name in titles or URLs.
    """
    assert seen.console == []
    assert seen.foreign == []
    # identity tells itself, on purpose, where its own click came from; nobody else is told
    # anything.
    assert [one for one in seen.referers if one.count("/identity/authorize") != 2] == []
    assert seen.pages
    for page in seen.pages:
        private(page)
    names = {
        value
        for form in (example("full"), example("urgent"))
        for value in seeded_values(form).values()
    }
    names = {
        name for name in names if len(name) > 3 and name != "Northmoor"
    }  # the area's own name stands in every title
    told = " ".join([*seen.titles, *seen.addresses, *seen.requests])
    assert not [name for name in names if name.lower() in told.lower()]
    assert not re.search(
        r"abuse|marac|victim", " ".join([*seen.titles, *seen.addresses]), re.IGNORECASE
    )


def private(page: Response) -> None:
    """One document's headers."""
    headers: dict[str, list[str]] = {}
    for header in page.headers_array():
        headers.setdefault(header["name"].lower(), []).append(header["value"])
    identity = "/identity/" in page.url
    assert headers["cache-control"] == ["no-store"], page.url
    # identity's sign-in page alone: with no-referrer a browser would send "Origin: null" with the
    # click on a persona.
    assert headers["referrer-policy"] == [
        "same-origin" if identity and page.status == 200 else "no-referrer"
    ], page.url
    assert len(headers["content-security-policy"]) == 1, page.url
    if not identity:
        assert headers["content-security-policy"] == [POLICY]
    assert headers["x-content-type-options"] == ["nosniff"]
    assert "unsafe" not in headers["content-security-policy"][0]


def test_the_checks_can_fail(stage: Stage) -> None:
    """A page with a picture nobody can hear, and wider than its screen, passes neither."""
    with visitor(stage.browser, stage.hub.url("portal"), width=320) as person:
        person.page.set_content(
            '<html lang="en"><title>x</title><main><h1>x</h1><img src="data:,"><p style="width: '
            '500px">x</p></main></html>'
        )
        with pytest.raises(AssertionError, match="image-alt"):
            accessible(person.page)
        with pytest.raises(AssertionError, match="wide on a screen"):
            fits(person.page)


def test_print_keeps_what_matters_and_drops_the_rest(stage: Stage) -> None:
    with visitor(stage.browser, stage.hub.url("portal")) as person:
        person.sign_in(ADVOCATE)
        person.click("tbody a >> nth=0")
        person.page.emulate_media(media="print")
        assert person.page.is_visible(".hub-strip")
        assert f"Shown to {ADVOCATE}" in person.page.inner_text("main"), "a copy says whose it is"
        for gone in (".hub-nav", ".hub-hide", ".hub-footer", "main form"):
            assert not person.page.is_visible(gone), gone


def test_forced_colours_keep_every_tag_in_words(stage: Stage) -> None:
    with visitor(stage.browser, stage.hub.url("portal")) as person:
        person.sign_in(ADVOCATE)
        person.page.emulate_media(forced_colors="active")
        assert all(tag.inner_text().strip() for tag in person.page.locator(".govuk-tag").all())


def test_files_are_cached_under_their_version_and_nothing_else_is_served(stage: Stage) -> None:
    base = stage.hub.url("portal")
    page = httpx2.get(f"{base}/").text
    found = re.findall(r'(?:href|src)="(/assets/[^"]+)"', page)
    assert len(found) == 5
    for path in found:
        answer = httpx2.get(base + path)
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert "GDS Transport" not in answer.text
    version = found[0].split("/")[2]
    for path in (
        f"/assets/{version}/LOCK.json",
        f"/assets/{version}/..%2F..%2Fwiring.py",
        "/assets/other/govuk.css",
        f"/assets/{version}/none.css",
    ):
        assert httpx2.get(base + path).status_code == 404
    assert "govuk-header" not in page
    assert "crown" not in page.lower()


def test_no_tab_shows_a_name_once_the_person_left_in_another(stage: Stage) -> None:
    for leaving, place in (("text=Sign out", "/"), ("text=Hide this screen >> nth=-1", "/hidden")):
        with visitor(stage.browser, stage.hub.url("portal")) as person:
            person.sign_in(ADVOCATE)
            other = person.context.new_page()
            other.goto(f"{person.base}/work")
            assert ADVOCATE in other.inner_text("header")
            person.click(leaving)
            other.wait_for_url(person.base + place)
            assert ADVOCATE not in other.content()
            assert not person.seen.console
