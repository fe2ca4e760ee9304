"""Calls between services: tokens kept and renewed, only safe things repeated, problems as
exceptions."""

import asyncio
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import parse_qs

import httpx2
import pytest

from common.testing import ManualClock
from common.web import client as client_module
from common.web import correlation
from common.web.client import ServiceClient, TokenSource
from hubformats.answers import CallFailed, ProblemAnswer, TokenRefused
from hubformats.canonical import parse, unb64u
from hubformats.dpop import check_proof
from hubformats.keys import SigningKey, generate_signing
from tests.support.web_harness import ISSUER, MARKER, SERVICE, Harness, running


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """A running service with one good caller."""
    async with running(tmp_path) as made:
        yield made


class Endpoint:
    """An issuer's token endpoint that checks what it is sent and mints tokens for the harness's
    service.
    """

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.asked: list[dict[str, str]] = []
        self.refuse = ""
        self.signing = generate_signing("svc:referral")
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.source = TokenSource(
            ISSUER,
            "police-rms",
            signing=self.signing,
            dpop_key=harness.client_key,
            http=self.http,
            clock=harness.clock,
        )

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path != "/token":
            return self.harness._issuer(request)
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        self.asked.append(form)
        proof = check_proof(
            request.headers["dpop"],
            method="POST",
            url=f"{ISSUER}/token",
            now=self.harness.clock.now(),
        )
        head, body, signature = form["client_assertion"].split(".")
        self.signing.public().verify(f"{head}.{body}".encode(), unb64u(signature))
        claims = parse(unb64u(body))
        assert (claims["iss"], claims["sub"], claims["aud"]) == ("police-rms", "police-rms", ISSUER)
        if self.refuse:
            return httpx2.Response(400, json={"error": self.refuse, "error_description": MARKER})
        token = self.harness.token(
            aud=form["resource"], scope=form["scope"], cnf={"jkt": proof.jkt}
        )
        return httpx2.Response(
            200, json={"access_token": token, "token_type": "DPoP", "expires_in": 300}
        )


@pytest.fixture
async def endpoint(harness: Harness) -> AsyncIterator[Endpoint]:
    """A token endpoint for the harness."""
    made = Endpoint(harness)
    yield made
    await made.http.aclose()


async def test_a_token_is_kept_until_shortly_before_it_expires(endpoint: Endpoint) -> None:
    tokens = await asyncio.gather(
        *(endpoint.source.token(SERVICE, "referral.read") for _ in range(10))
    )
    assert (len(set(tokens)), len(endpoint.asked)) == (1, 1), "one question for all who wait"
    endpoint.harness.clock.advance(269)
    await endpoint.source.token(SERVICE, "referral.read")
    assert len(endpoint.asked) == 1
    endpoint.harness.clock.advance(2)
    await endpoint.source.token(SERVICE, "referral.read")
    await endpoint.source.token(SERVICE, "referral.write")
    assert len(endpoint.asked) == 3
    assert len({form["client_assertion"] for form in endpoint.asked}) == 3, (
        "an assertion is used once"
    )


async def test_a_refusal_is_one_word(endpoint: Endpoint) -> None:
    endpoint.refuse = "invalid_scope"
    with pytest.raises(TokenRefused) as refused:
        await endpoint.source.token(SERVICE, "everything")
    assert (refused.value.code, str(refused.value)) == ("invalid_scope", "invalid_scope")


async def test_an_issuer_that_is_not_itself_gets_no_assertion(endpoint: Endpoint) -> None:
    source = TokenSource(
        "http://127.0.0.1:9",
        "police-rms",
        signing=endpoint.signing,
        dpop_key=endpoint.signing,
        http=endpoint.http,
        clock=endpoint.harness.clock,
    )
    with pytest.raises(TokenRefused):
        await source.token(SERVICE, "referral.read")
    assert endpoint.asked == []


def service_client(endpoint: Endpoint) -> ServiceClient:
    """A client of the harness's service, in process."""
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(endpoint.harness.app))
    return ServiceClient(SERVICE, endpoint.source, http=http, clock=endpoint.harness.clock)


async def test_a_call_arrives_with_everything_it_needs(endpoint: Endpoint) -> None:
    correlation.set_current("0191d0ba-0000-7000-8000-00000000000a")
    answer = await service_client(endpoint).call(
        "GET", "/v1/things", scope="referral.read", params={"limit": 3}
    )
    assert len(answer.json()["items"]) == 3
    assert answer.headers["x-correlation-id"] == "0191d0ba-0000-7000-8000-00000000000a"
    made = await service_client(endpoint).call(
        "POST", "/v1/things", scope="referral.write", json={"people": []}, idempotency_key="k" * 20
    )
    assert made.status_code == 201


async def test_a_refusal_becomes_an_exception_with_its_places(endpoint: Endpoint) -> None:
    with pytest.raises(ProblemAnswer) as refused:
        await service_client(endpoint).call(
            "POST",
            "/v1/things",
            scope="referral.write",
            json={"people": MARKER},
            idempotency_key="k" * 20,
        )
    assert (refused.value.status, refused.value.code, refused.value.errors[0]["pointer"]) == (
        422,
        "validation-failed",
        "/people",
    )
    assert MARKER not in str(refused.value)


async def test_a_token_the_service_no_longer_takes_is_renewed_once(endpoint: Endpoint) -> None:
    calls = service_client(endpoint)
    await calls.call("GET", "/v1/things", scope="referral.read")
    endpoint.harness.issuer_key = generate_signing("svc:identity")
    endpoint.harness.published[:] = [endpoint.harness.issuer_key]
    endpoint.harness.clock.advance(11)
    endpoint.harness.app = endpoint.harness.build()
    answer = await service_client(endpoint).call("GET", "/v1/things", scope="referral.read")
    assert answer.status_code == 200
    assert len(endpoint.asked) == 2


class FixedTokens:
    """Always the same token."""

    def __init__(self) -> None:
        self.dpop_key: SigningKey = generate_signing("x")
        self.forgotten = 0

    async def token(self, audience: str, scope: str) -> str:
        return "t"

    def forget(self, audience: str, scope: str) -> None:
        self.forgotten += 1


class Script:
    """A service that gives the planned answers; the last one repeats."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.seen: list[httpx2.Request] = []
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.client = ServiceClient(SERVICE, FixedTokens(), http=http, clock=ManualClock())

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.seen.append(httpx2.Request(request.method, request.url, headers=request.headers))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_PAUSE_SECONDS", 0)


Answers = Callable[[], list[httpx2.Response | Exception]]

TROUBLE: dict[str, Answers] = {
    "lost": lambda: [httpx2.ReadTimeout(MARKER), httpx2.Response(200)],
    "no connection": lambda: [httpx2.ConnectError(MARKER), httpx2.Response(200)],
    "unavailable": lambda: [httpx2.Response(503), httpx2.Response(200)],
    "rate limited": lambda: [httpx2.Response(429), httpx2.Response(200)],
    "in flight": lambda: [
        httpx2.Response(409, json={"code": "idempotency-in-flight"}),
        httpx2.Response(200),
    ],
}


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_what_is_safe_to_repeat_is_repeated_with_a_fresh_proof(trouble: str) -> None:
    script = Script(*TROUBLE[trouble]())
    await script.client.call("GET", "/x", scope="s")
    assert len({request.headers["dpop"] for request in script.seen}) == 2
    script = Script(*TROUBLE[trouble]())
    await script.client.call("POST", "/x", scope="s", json={}, idempotency_key="k" * 16)
    assert [request.headers["idempotency-key"] for request in script.seen] == ["k" * 16] * 2


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_a_post_without_a_key_is_sent_once(trouble: str) -> None:
    script = Script(*TROUBLE[trouble]())
    with pytest.raises((CallFailed, ProblemAnswer)) as failed:
        await script.client.call("POST", "/x", scope="s", json={})
    assert len(script.seen) == 1
    assert MARKER not in str(failed.value)


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 422, 500])
async def test_a_decided_answer_is_not_asked_for_again(status: int) -> None:
    script = Script(httpx2.Response(status))
    with pytest.raises(ProblemAnswer) as refused:
        await script.client.call("GET", "/x", scope="s")
    assert (len(script.seen), refused.value.status, refused.value.code) == (1, status, "unknown")


async def test_repetition_ends() -> None:
    script = Script(httpx2.ConnectError(MARKER))
    with pytest.raises(CallFailed, match="ConnectError"):
        await script.client.call("GET", "/x", scope="s")
    assert len(script.seen) == 4


async def test_a_pause_the_service_asks_for_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "_PAUSE_SECONDS", 60)
    started = time.monotonic()
    script = Script(httpx2.Response(503, headers={"Retry-After": "1"}), httpx2.Response(200))
    await script.client.call("GET", "/x", scope="s")
    assert len(script.seen) == 2
    assert 1 <= time.monotonic() - started < 20


@pytest.mark.parametrize("told", ["3", "60", "999999"])
async def test_a_service_that_wants_long_to_itself_is_not_asked_again(told: str) -> None:
    script = Script(httpx2.Response(503, headers={"Retry-After": told}), httpx2.Response(200))
    with pytest.raises(ProblemAnswer) as refused:
        await script.client.call("GET", "/x", scope="s")
    assert (len(script.seen), refused.value.retry_after) == (1, int(told))


@pytest.mark.parametrize("told", ["soon", "-1", "1.5", "Sun, 29 Nov 2026 20:00:00 GMT"])
async def test_a_pause_in_words_is_no_pause_of_seconds(told: str) -> None:
    script = Script(httpx2.Response(503, headers={"Retry-After": told}), httpx2.Response(200))
    await script.client.call("GET", "/x", scope="s")
    assert len(script.seen) == 2


async def test_a_retry_leaves_no_text_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    script = Script(httpx2.ConnectError(MARKER), httpx2.Response(200))
    with caplog.at_level(logging.DEBUG):
        await script.client.call("GET", "/x", scope="s")
    assert MARKER not in "".join(str(record.__dict__) for record in caplog.records)


async def test_a_redirect_is_not_followed_with_a_token() -> None:
    script = Script(httpx2.Response(302, headers={"location": "http://evil.example.org/"}))
    answer = await script.client.call("GET", "/x", scope="s")
    assert (answer.status_code, len(script.seen)) == (302, 1)


async def test_a_call_without_a_request_around_it_has_a_correlation_id() -> None:
    script = Script(httpx2.Response(200))
    await script.client.call("GET", "/x", scope="s")
    assert re.fullmatch(r"[0-9a-f-]{36}", script.seen[0].headers["x-correlation-id"])
