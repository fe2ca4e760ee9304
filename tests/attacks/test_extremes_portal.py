"""Every form of the portal and every request header of every service, given the extremes of its kind:
never a 500, and what was sent is never sent back."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_from_bytes

import httpx2
import pytest
import pytest_asyncio

from tests.support.inner_hub import POLICE, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.portal_harness import PortalHarness
from tests.support.portal_packages import DELIVERY
from tests.unit.portal.test_vetoes import ASKING, CASE, JESS, LOOKING, OWEN, SETTLING, TOM, at

MARK: Final = b"Zq7-echo-me"
EXTREMES: Final[tuple[bytes, ...]] = (
    b"",
    MARK,
    MARK + b"x" * 8_192,
    MARK + b"\x00\x01\x1b[2J",
    MARK + b"\r\nSet-Cookie: hub=1",
    MARK + b"\xff\xfe\xed\xa0\x80",
    MARK + "\u202e\u2066\ufeff".encode(),
    MARK + b"9" * 400,
    b"-1",
    b"1e999",
    b"9" * 400,
    MARK + b"<script>alert(1)</script>",
    MARK + b"%00%ff{{7*7}}${7*7}",
)
"""Empty, 8 KiB, control characters, invalid UTF-8, direction marks, huge numbers, markup."""
DOUBLED: Final = frozenset({b"", MARK, MARK + b"\xff\xfe\xed\xa0\x80", b"-1"})
"""Those that a header brings twice, too: a repeat is met before its value is read."""

ADVOCATE: Final[dict[str, Any]] = {"scope": "disclosure.read disclosure.acknowledge"}
COORDINATOR: Final[dict[str, Any]] = {
    "agency": "northmoor-police",
    "roles": ("marac_coordinator",),
    "scope": "disclosure.read disclosure.acknowledge sharing.request",
}
AUDITOR: Final[dict[str, Any]] = {
    "agency": "northmoor",
    "roles": ("auditor",),
    "scope": "audit.read directory.read",
}
NEVER_ASKED: Final = ("csrf",)


def forms() -> Iterator[tuple[dict[str, Any], str, str, tuple[str, ...]]]:
    """Who sends it, by which method, where to, and the names of its fields."""
    yield ADVOCATE, "POST", f"/deliveries/{DELIVERY}/accept", NEVER_ASKED
    yield ADVOCATE, "POST", "/stay", NEVER_ASKED
    yield COORDINATOR, "POST", f"/emergency/{DELIVERY}", ("csrf", "code", "reason", "confirm")
    yield (
        AUDITOR,
        "POST",
        "/audit-log",
        (
            *("csrf", "purpose", "justification", "caseReference", "delivery", "recipient"),
            *("operation", "since", "until", "from", "to"),
        ),
    )
    yield ADVOCATE, "POST", f"/deliveries/{DELIVERY}/answer", ("csrf", "answer", "duty")
    yield TOM, "POST", CASE, ("csrf", "answer", "agency", "reason")
    yield JESS, "POST", ASKING, ("csrf", "answer", "reason")
    yield OWEN, "POST", SETTLING, ("csrf", "answer", "reason")
    yield OWEN, "POST", LOOKING, ("csrf", "answer", "reason")
    yield OWEN, "POST", f"{LOOKING}/owner", NEVER_ASKED
    yield OWEN, "POST", "/sign-in/again", ("csrf", "action", "place", "kept.reason")
    yield OWEN, "GET", "/second-looks", ("closed",)
    yield ADVOCATE, "GET", "/work", ("still",)
    yield ADVOCATE, "GET", "/sign-in/callback", ("code", "state", "iss", "error")


async def sent(harness: PortalHarness, method: str, path: str, body: bytes) -> httpx2.Response:
    """One form of our own page with this body, or this query."""
    if method == "GET":
        return await harness.client.get(f"{path}?{body.decode('latin-1')}")
    headers = {
        "Sec-Fetch-Site": "same-origin",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return await harness.client.post(path, content=body, headers=headers)


def bodies(csrf: str, names: tuple[str, ...], field: str) -> Iterator[bytes]:
    """The form with each extreme in one field, the field twice, and the field alone."""
    own = {"csrf": csrf.encode(), "action": b"confirm_lifting", "place": SETTLING.encode()}
    good = {name: own.get(name, b"yes") for name in names}
    for extreme in EXTREMES:
        for encoded in (quote_from_bytes(extreme), "%" + quote_from_bytes(extreme)):
            others = [f"{name}={quote_from_bytes(v)}" for name, v in good.items() if name != field]
            yield "&".join([*others, f"{field}={encoded}"]).encode()
            yield "&".join([*others, f"{field}={encoded}", f"{field}={encoded}"]).encode()
    yield field.encode()
    yield field.encode() + b"=\xff\xfe"
    yield b"&".join(f"{field}{number}=1".encode() for number in range(60))


@pytest.mark.parametrize(
    ("who", "method", "path", "names"), list(forms()), ids=lambda value: str(value)[:24]
)
async def test_no_field_of_a_form_ends_in_a_500_or_comes_back_raw(
    tmp_path: Path, who: dict[str, Any], method: str, path: str, names: tuple[str, ...]
) -> None:
    async with at(tmp_path, who) as harness:
        cookies = dict(harness.client.cookies)
        for field in names:
            for body in bodies(harness.session.csrf, names, field):
                answer = await sent(harness, method, path, body)
                harness.client.cookies.update(cookies)
                await harness.sessions.put("visit", harness.session)
                assert answer.status_code < 500, (field, body[:200], answer.text[:300])
                assert b"<script>alert" not in answer.content
                assert b"\x1b" not in answer.content
                assert "\u202e" not in answer.text
                assert "set-cookie: hub=1" not in str(answer.headers).lower()
                if answer.status_code not in {200, 422}:
                    # A form that is shown again keeps what its own person typed; nothing else does.
                    assert MARK not in answer.content, (field, body[:100])


HEADERS: Final = (
    *("accept", "accept-encoding", "accept-language", "authorization", "cache-control"),
    *("connection", "content-encoding", "content-length", "content-type", "cookie", "date"),
    *("dpop", "expect", "forwarded", "host", "idempotency-key", "if-match", "if-none-match"),
    *("if-modified-since", "origin", "prefer", "range", "referer", "sec-fetch-site"),
    *("traceparent", "tracestate", "transfer-encoding", "upgrade", "user-agent"),
    *("x-correlation-id", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"),
    *("x-http-method-override", "x-unknown"),
)
ROUTES: Final = (
    ("referral", "POST", "/v1/referrals"),
    ("referral", "GET", "/v1/referrals"),
    ("sharing", "GET", "/v1/inbox"),
    ("audit", "POST", "/v1/verifications"),
    ("identity", "POST", "/token"),
    ("identity", "GET", "/authorize"),
    ("portal", "GET", "/work"),
    ("portal", "POST", "/sign-in"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


async def raw(
    hub: InnerHub, service: str, method: str, path: str, headers: list[tuple[bytes, bytes]]
) -> tuple[int, bytes]:
    """One request with exactly these header bytes, past any client that would refuse them."""
    said: list[dict[str, Any]] = []
    prefix = httpx2.URL(hub.url(service)).path.rstrip("/")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(message: Any) -> None:
        said.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": prefix + path,
        "raw_path": (prefix + path).encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 4000),
        "server": ("127.0.0.1", 8000),
    }
    await hub.hub.app(scope, receive, send)
    status = next(one["status"] for one in said if one["type"] == "http.response.start")
    told = next(one["headers"] for one in said if one["type"] == "http.response.start")
    body = b"".join(one.get("body", b"") for one in said if one["type"] == "http.response.body")
    return status, b"\n".join(b": ".join(pair) for pair in told) + b"\n" + body


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("service", "method", "path"), ROUTES)
async def test_no_header_ends_in_a_500_or_comes_back(
    hub: InnerHub, service: str, method: str, path: str
) -> None:
    caller = hub.caller(POLICE)
    good: dict[str, str] = {"host": "127.0.0.1:8000", "content-type": "application/json"}
    if service in {"referral", "sharing"}:
        scope = "disclosure.read" if service == "sharing" else "referral.write"
        token = await caller.tokens.token(hub.url(service), scope)
    for header in HEADERS:
        for extreme in EXTREMES:
            for times in (1, 2) if extreme in DOUBLED else (1,):
                if service in {"referral", "sharing"}:
                    proof = hub.proven(caller.tokens.dpop_key, method, service, path, token)
                    good |= {name.lower(): value for name, value in proof.items()}
                given = [(n.encode(), v.encode()) for n, v in good.items() if n != header]
                given += [(header.encode(), extreme)] * times
                status, said = await raw(hub, service, method, path, given)
                assert status < 500, (header, extreme[:60], said[-300:])
                # The one header that is said again is a correlation id of the right shape.
                assert MARK not in said, (header, extreme[:60], said[-300:])
