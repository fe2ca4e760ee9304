"""Calls of the hub by its client library: signed, repeated only where that is safe, and no faster
than the hub asks."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from hubformats.clock import SystemClock
from hubformats.dpop import check_proof
from hubformats.jws import verify
from hubpartner.answers import CallFailed, ProblemAnswer, TokenRefused
from hubpartner.calls import Call, Service
from hubpartner.profile import Profile, read_profile
from hubpartner.tokens import TokenSource
from tests.support.packages import Parties
from tests.support.partner_harness import BASE, profile_file

CLOCK = SystemClock()
URL = f"{BASE}/sharing"
READ = Call("GET", "/v1/inbox", "disclosure.read")
WRITE = Call("POST", "/v1/things", "referral.write", json={})
AGAIN = Call("POST", "/v1/things", "referral.write", json={}, idempotency_key="k" * 20)


class Hub:
    """Gives tokens, counts what is asked, and answers from a list; the last answer stays."""

    def __init__(self, profile: Profile, *answers: httpx2.Response | Exception) -> None:
        self.profile = profile
        self.answers = list(answers)
        self.asked: list[httpx2.Request] = []
        self.tokens = 0
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.source = TokenSource(profile, self.http, CLOCK)
        self.service = Service(URL, self.source, self.http)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        if "well-known" in request.url.path:
            return httpx2.Response(
                200, json={"issuer": self.profile.issuer, "token_endpoint": f"{BASE}/token"}
            )
        if request.url.path == "/token":
            return self._token(request)
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer.status_code, content=answer.content, headers=answer.headers)

    def _token(self, request: httpx2.Request) -> httpx2.Response:
        form = httpx2.QueryParams(request.content.decode())
        claims = verify(form["client_assertion"], self.profile.signing.public(), typ="JWT")
        assert (claims["aud"], claims["exp"] - claims["iat"]) == (self.profile.issuer, 60)
        proof = check_proof(
            request.headers["dpop"], method="POST", url=f"{BASE}/token", now=CLOCK.now()
        )
        assert proof.jkt == self.profile.dpop.kid
        self.tokens += 1
        return httpx2.Response(
            200,
            json={"access_token": f"t{self.tokens}", "token_type": "DPoP", "expires_in": 300},
        )


@pytest.fixture
def profile(tmp_path: Path) -> Profile:
    return read_profile(profile_file(tmp_path, Parties()))


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds waited between tries; none of them passes."""
    found: list[float] = []

    async def sleep(seconds: float) -> None:
        found.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return found


def answer(status: int, code: str = "", **headers: str) -> httpx2.Response:
    body: dict[str, Any] = {"code": code} if code else {"items": []}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, content=json.dumps(body).encode(), headers=named)


async def test_a_call_carries_token_proof_and_ids(profile: Profile) -> None:
    hub = Hub(profile, answer(200))
    assert await hub.service.send(AGAIN) == {"items": []}
    (request,) = hub.asked
    assert request.headers["authorization"] == "DPoP t1"
    assert request.headers["idempotency-key"] == "k" * 20
    assert len(request.headers["x-correlation-id"]) == 36
    check_proof(
        request.headers["dpop"], method="POST", url=f"{URL}/v1/things", now=CLOCK.now(), token="t1"
    )


async def test_what_may_be_repeated_is_repeated_and_signed_anew(
    profile: Profile, pauses: list[float]
) -> None:
    for call in (READ, AGAIN):
        hub = Hub(profile, httpx2.ConnectError("x"), answer(503), answer(502), answer(200))
        assert await hub.service.send(call) == {"items": []}
        assert len(hub.asked) == 4
        assert len({request.headers["dpop"] for request in hub.asked}) == 4
        assert len({request.headers.get("idempotency-key") for request in hub.asked}) == 1
    assert len(pauses) == 6
    assert max(pauses) < 1


async def test_what_may_not_be_repeated_is_sent_once(profile: Profile, pauses: list[float]) -> None:
    hub = Hub(profile, answer(503, "paused"))
    with pytest.raises(ProblemAnswer, match="503 paused"):
        await hub.service.send(WRITE)
    hub.answers = [httpx2.ReadTimeout("x")]
    with pytest.raises(CallFailed, match="ReadTimeout"):
        await hub.service.send(WRITE)
    assert (len(hub.asked), pauses) == (2, [])


async def test_the_last_refusal_is_told(profile: Profile, pauses: list[float]) -> None:
    hub = Hub(profile, answer(503, "paused"))
    with pytest.raises(ProblemAnswer, match="503 paused"):
        await hub.service.send(READ)
    assert (len(hub.asked), len(pauses)) == (4, 3)


async def test_a_pause_the_hub_asks_for_is_kept_exactly(
    profile: Profile, pauses: list[float]
) -> None:
    hub = Hub(profile, answer(429, "rate-limited", retry_after="7"), answer(200))
    await hub.service.send(READ)
    assert pauses == [7.0]


async def test_a_pause_too_long_is_the_callers_to_decide(
    profile: Profile, pauses: list[float]
) -> None:
    hub = Hub(profile, answer(429, "rate-limited", retry_after="3600"))
    with pytest.raises(ProblemAnswer) as refused:
        await hub.service.send(READ)
    assert (refused.value.retry_after, len(hub.asked), pauses) == (3600.0, 1, [])


@pytest.mark.parametrize("said", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "", "1e9"])
async def test_a_pause_that_is_no_number_of_seconds_counts_as_none(
    profile: Profile, pauses: list[float], said: str
) -> None:
    hub = Hub(profile, answer(503, "paused", retry_after=said), answer(200))
    await hub.service.send(READ)
    assert 0 < pauses[0] < 1


async def test_a_conflict_ends_by_itself_only_while_the_first_try_is_handled(
    profile: Profile, pauses: list[float]
) -> None:
    hub = Hub(profile, answer(409, "idempotency-in-flight"), answer(200))
    await hub.service.send(AGAIN)
    hub.answers = [answer(409, "external-reference-exists")]
    with pytest.raises(ProblemAnswer, match="409"):
        await hub.service.send(AGAIN)
    assert (len(hub.asked), len(pauses)) == (3, 1)


async def test_a_refused_token_is_replaced_once(profile: Profile, pauses: list[float]) -> None:
    hub = Hub(profile, answer(401), answer(200))
    await hub.service.send(WRITE)
    assert [request.headers["authorization"] for request in hub.asked] == ["DPoP t1", "DPoP t2"]
    hub.answers = [answer(401, "unauthorized")]
    with pytest.raises(ProblemAnswer, match="401"):
        await hub.service.send(READ)
    assert (len(hub.asked), pauses) == (4, [])


async def test_one_token_serves_all_who_wait(profile: Profile) -> None:
    hub = Hub(profile, answer(200))
    await asyncio.gather(*(hub.service.send(READ) for _ in range(8)))
    assert (hub.tokens, len(hub.asked)) == (1, 8)


async def test_another_issuers_metadata_gets_no_assertion(profile: Profile) -> None:
    hub = Hub(profile, answer(200))
    hub.http = httpx2.AsyncClient(
        transport=httpx2.MockTransport(
            lambda _: httpx2.Response(
                200, json={"issuer": "http://mallory.example", "token_endpoint": f"{BASE}/token"}
            )
        )
    )
    with pytest.raises(TokenRefused, match="unreachable"):
        await TokenSource(profile, hub.http, CLOCK).token(URL, "disclosure.read")


async def test_an_answer_that_is_no_json_is_no_answer(
    profile: Profile, pauses: list[float]
) -> None:
    hub = Hub(profile, httpx2.Response(200, content=b"<html>"))
    with pytest.raises(CallFailed, match="not JSON"):
        await hub.service.send(WRITE)
    assert not pauses
