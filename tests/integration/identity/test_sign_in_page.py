"""The sign-in page in a real Chromium: usable, accessible, and its click gets through its own
content security policy."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]
from playwright.async_api import Page, Request, async_playwright

from common.keyring import FileKeyring
from deploy.stack import parts
from hubformats.canonical import b64u
from tests.support.identity_service import Running, running_identity
from tests.support.identity_stage import ASSERTION_TYPE, assertion

pytestmark = pytest.mark.browser
CALLBACK = "http://portal.hub.example.org/sign-in/callback"


@pytest.fixture
async def identity(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_identity(tmp_path) as running:
        yield running


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=parts.chromium(),
            args=parts.chromium_arguments(),
            env={**parts.chromium_environment()},
        )
        yield await browser.new_page(
            viewport={"width": 320, "height": 640}, java_script_enabled=True
        )
        await browser.close()


async def pushed(identity: Running) -> str:
    """A pushed request of the portal."""
    key = FileKeyring(
        identity.folder / "keyring" / "portal", passphrase=None, open_allowed=True
    ).signing_key("service")
    answer = await identity.http.post(
        f"{identity.url}/par",
        data={
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion("portal", key, identity.url),
            "response_type": "code",
            "redirect_uri": CALLBACK,
            "scope": "case.read",
            "state": "st-1",
            "code_challenge": b64u(sha256(b"v" * 50).digest()),
            "code_challenge_method": "S256",
        },
    )
    uri: str = answer.json()["request_uri"]
    return uri


async def test_a_click_signs_in_and_the_page_is_accessible(identity: Running, page: Page) -> None:
    arrived: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on(
        "request", lambda request: _arrive(request, arrived)
    )  # a route would not see the request that follows a redirect
    await page.goto(
        f"{identity.url}/authorize?client_id=portal&request_uri={await pushed(identity)}"
    )
    await page.reload()
    assert await page.title() == "Sign in"
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = await Axe().run(page)
    assert found.response["violations"] == []
    await page.get_by_role("button", name="Amina Yusuf").click()
    answer = parse_qs(urlsplit(await asyncio.wait_for(arrived, 20)).query)
    assert answer["iss"] == [identity.url]
    assert answer["state"] == ["st-1"]
    assert len(answer["code"][0]) >= 43
    assert not [text for text in complaints if "Content Security Policy" in text]


async def test_another_sites_form_cannot_click(identity: Running, page: Page) -> None:
    form = f"""<form method="post" action="{identity.url}/authorize"><input name="client_id" value="portal">
        <input name="request_uri" value="{await pushed(identity)}"><button name="person" value="x">go</button></form>"""
    await page.route(
        "http://evil.example.org/**",
        lambda route: route.fulfill(body=form, content_type="text/html"),
    )
    await page.goto("http://evil.example.org/")
    async with page.expect_response(
        lambda response: response.url == f"{identity.url}/authorize"
    ) as answer:
        await page.get_by_role("button").click()
    assert (await answer.value).status == 403


def _arrive(request: Request, arrived: asyncio.Future[str]) -> None:
    if request.url.startswith(CALLBACK) and not arrived.done():
        arrived.set_result(request.url)
