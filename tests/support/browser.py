"""A real Chromium on a running hub, and everything it saw: titles, addresses, requests, headers,
console messages."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]  # ships no types
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Frame,
    Page,
    Request,
    Response,
    sync_playwright,
)

from deploy.stack import parts

WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
"""target-size, the rule new in 2.2, runs with the last tag only."""
WIDTHS = (320, 1280)
ADVOCATE, AUDITOR, OPERATOR, SOCIAL_WORKER, SCHOOL_LEAD = (
    "Amina Yusuf",
    "Priya Raman",
    "Sam Whitlow",
    "Daniel Price",
    "Helen Brook",
)
COORDINATOR = "Jess Marlow"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium of the project's own. Raises MissingPart with how to get it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(parts.chromium()),
            args=parts.chromium_arguments(),
            env=dict(parts.chromium_environment()),
        )
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """What a visitor's browser met, all pages together."""

    base: str
    console: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    titles: list[str] = field(default_factory=list)
    pages: list[Response] = field(default_factory=list)
    referers: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Listen from now on."""
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.console.append(str(error)))
        page.on("request", self._asked)
        page.on("response", self._answered)
        page.on("framenavigated", self._moved)

    def _said(self, message: ConsoleMessage) -> None:
        # Chromium notes each page whose status is an error, which is how an error page must come,
        # and each clearing we asked for.
        if not message.text.startswith(
            (
                "Failed to load resource: the server responded with a status of 4",
                "Clear-Site-Data header on",
            )
        ):
            self.console.append(message.text)

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)
        if not request.url.startswith(self.base + "/"):
            self.foreign.append(request.url)
        referer = request.headers.get("referer")
        if referer:
            self.referers.append(f"{referer} → {request.url}")

    def _answered(self, response: Response) -> None:
        if response.request.resource_type == "document":
            self.pages.append(response)

    def _moved(self, frame: Frame) -> None:
        self.addresses.append(frame.url)


@dataclass
class Visitor:
    """One person at one browser profile."""

    context: BrowserContext
    page: Page
    seen: Seen

    @property
    def base(self) -> str:
        """Where the portal is."""
        return self.seen.base

    def go(self, path: str) -> None:
        """Open an address of the portal."""
        self.page.goto(self.base + path)
        self.note()

    def click(self, selector: str) -> None:
        """Click and wait for the page that follows."""
        with self.page.expect_navigation():
            self.page.click(selector)
        self.note()

    def note(self) -> None:
        """Remember the title now."""
        self.seen.titles.append(self.page.title())

    def sign_in(self, name: str) -> None:
        """As a new visitor would: start page, identity's page, a click on a name."""
        self.go("/")
        self.click("main button")
        self.click(f"text={name}")

    @property
    def path(self) -> str:
        """Where the browser is."""
        return urlsplit(self.page.url).path

    @property
    def heading(self) -> str:
        """The page's first heading."""
        return self.page.inner_text("h1")

    def reload_until(self, path: str, there: Callable[[Page], bool], *, tries: int = 150) -> None:
        """Open `path` again until `there`; what comes by event comes when it comes.

        Raises AssertionError when it never does.
        """
        for _ in range(tries):
            self.page.goto(self.base + path)
            if there(self.page):
                self.note()
                return
            self.page.wait_for_timeout(200)
        raise AssertionError(
            f"{path} never showed what was waited for; it "
            f"shows:\n{self.page.inner_text('main')[:2000]}"
        )


@contextmanager
def visitor(
    browser: Browser, base: str, *, width: int = 1280, scripts: bool = True
) -> Iterator[Visitor]:
    """A fresh profile: no cookies, no history."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, java_script_enabled=scripts
    )
    try:
        page = context.new_page()
        seen = Seen(base)
        seen.watch(page)
        yield Visitor(context, page, seen)
    finally:
        context.close()


def accessible(page: Page) -> None:
    """No WCAG 2.2 A or AA violation that a machine can find.

    Raises AssertionError with axe's report.
    """
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": WCAG}})
    assert found.violations_count == 0, f"{page.url}\n{found.generate_report()}"


def fits(page: Page) -> None:
    """Nothing makes the page scroll sideways (WCAG 1.4.10)."""
    wide, screen = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide <= screen, f"{page.url} is {wide} wide on a screen of {screen}"


def looked_at(person: Visitor) -> None:
    """Accessible and without sideways scrolling at both widths."""
    for width in WIDTHS:
        person.page.set_viewport_size({"width": width, "height": 900})
        accessible(person.page)
        fits(person.page)
