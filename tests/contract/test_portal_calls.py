"""The portal's calls to other services, in memory and over HTTP: one person's token for each, what
is repeated and what is not, and how a call fails."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import pytest

from common.testing import ManualClock
from hubformats import answers
from portal.shell.client import PersonCalls
from portal.shell.model import CallRefused, NoAnswer, TokenRefused
from portal.shell.ports import Calls
from tests.support.port_suites import Held
from tests.support.portal_fakes import Asked, MemoryCalls, Said
from tests.support.portal_services import URLS, StillTokens

PORTS: Final = (Held(Calls, (PersonCalls,), MemoryCalls),)


@dataclass
class Other:
    """Another service, which says what it was told to say; `asked` is what came."""

    calls: Calls
    says: list[Said]
    asked: list[Asked]
    no_token: set[str]
    """Scopes for which identity gives no token."""


@dataclass
class SomeTokens(StillTokens):
    """Refuses tokens for some scopes."""

    refused: set[str] = field(default_factory=set)

    async def token(self, audience: str, scope: str) -> str:
        if scope in self.refused:
            raise answers.TokenRefused("invalid_scope")
        return await super().token(audience, scope)


def _over_http() -> Other:
    says, asked, tokens = list[Said](), list[Asked](), SomeTokens()

    async def answer(request: httpx2.Request) -> httpx2.Response:
        audience, scope = request.headers["authorization"].removeprefix("DPoP ").split("|")
        assert str(request.url).startswith(audience), "a token is for the service it is sent to"
        service = next(name for name, url in URLS.items() if url == audience)
        told = json.loads(request.content) if request.content else dict(request.url.params)
        key = request.headers.get("idempotency-key")
        asked.append(Asked(request.method, service, request.url.path, scope, told, key))
        status, body = says.pop(0)
        if status == 0:
            raise httpx2.ConnectError("nobody")
        content = b"" if body is None else json.dumps(body).encode()
        return httpx2.Response(status, content=content)

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    calls = PersonCalls(URLS, tokens, http=http, clock=ManualClock())
    return Other(calls, says, asked, tokens.refused)


def _in_memory() -> Other:
    calls = MemoryCalls()
    return Other(calls, calls.says, calls.asked, calls.no_token)


@pytest.fixture(params=[_in_memory, _over_http], ids=["memory", "http"])
def other(request: pytest.FixtureRequest) -> Other:
    """The calls of one kind."""
    made: Other = request.param()
    return made


def refused(status: int, code: str) -> Said:
    """A problem, as a service says it."""
    return status, {"code": code, "status": status}


AWAY: Final[Said] = (0, None)
BUSY: Final = refused(503, "unavailable")


async def test_what_is_read_comes_back_as_it_was_said(other: Other) -> None:
    other.says += [(200, {"items": [1]}), (204, None)]
    assert await other.calls.get("sharing", "/v1/inbox", "disclosure.read", {"limit": 3}) == {
        "items": [1]
    }
    assert await other.calls.get("audit", "/v1/x", "audit.read") is None
    assert [(one.method, one.service, one.path, one.scope) for one in other.asked] == [
        ("GET", "sharing", "/v1/inbox", "disclosure.read"),
        ("GET", "audit", "/v1/x", "audit.read"),
    ]
    assert {name: str(value) for name, value in other.asked[0].told.items()} == {"limit": "3"}


async def test_what_is_safe_to_repeat_is_repeated_under_one_key(other: Other) -> None:
    other.says += [BUSY, AWAY, (200, {"done": True})]
    answer = await other.calls.post("sharing", "/v1/x", "disclosure.acknowledge", {"role": "idva"})
    assert answer == {"done": True}
    assert [one.told for one in other.asked] == [{"role": "idva"}] * 3
    (key,) = {one.key for one in other.asked}
    assert key
    other.says += [(200, {})]
    await other.calls.post("sharing", "/v1/x", "disclosure.acknowledge", {"role": "idva"})
    assert other.asked[-1].key not in {key, None}, "another act has another key"


@pytest.mark.parametrize("first", [BUSY, AWAY])
async def test_what_a_person_repeats_is_sent_once(other: Other, first: Said) -> None:
    other.says += [first, (200, {})]
    with pytest.raises((CallRefused, NoAnswer)):
        await other.calls.post_once("sharing", "/v1/x", "sharing.request", {"reason": "r"})
    assert [one.key for one in other.asked] == [None]


@pytest.mark.parametrize(("status", "code"), [(404, "not-found"), (403, "not-allowed"), (409, "x")])
async def test_a_refusal_is_its_status_and_one_word(other: Other, status: int, code: str) -> None:
    other.says += [refused(status, code)] * 3
    body: Mapping[str, Any] = {}
    for work in (
        other.calls.get("sharing", "/v1/x", "s"),
        other.calls.post("sharing", "/v1/x", "s", body),
        other.calls.post_once("sharing", "/v1/x", "s", body),
    ):
        with pytest.raises(CallRefused) as found:
            await work
        assert (found.value.status, found.value.code) == (status, code)


async def test_no_answer_and_no_token_are_said_apart(other: Other) -> None:
    other.says += [AWAY] * 4
    with pytest.raises(NoAnswer):
        await other.calls.get("sharing", "/v1/x", "s")
    assert len(other.asked) == 4, "reading is safe to repeat"
    other.no_token.add("s")
    with pytest.raises(TokenRefused) as found:
        await other.calls.get("sharing", "/v1/x", "s")
    assert found.value.code == "invalid_scope"
    assert len(other.asked) == 4
