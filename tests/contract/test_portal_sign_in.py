"""The authorization server and the audit trail, as the portal's ports promise them."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import httpx2
import pytest
from sqlalchemy import text

from common import topics
from common.testing import ManualClock
from common.web.frame import Frame, Host
from hubformats.audit_record import Actor, AuditEntry
from identity.bootstrap.model.northmoor import AGENCIES
from portal.shell.model import Draft, Grantings
from portal.shell.ports import Revocation
from portal.sign_in.client import Authorizer
from portal.sign_in.model import Callback, SignInFailed
from portal.sign_in.ports import Authorization
from portal.tables import TABLES
from portal.wiring import TrailRecorder
from portal.work.ports import Recorder
from standalone.bus import EmbeddedBus
from tests.support.port_suites import Held
from tests.support.portal_fakes import ISSUER, MemoryAuthorization, MemoryRecorder
from tests.support.portal_harness import settings_for, signed_in
from tests.support.portal_packages import keyring, keys
from tests.support.portal_services import OAuthServer

PORTS: Final = (
    Held(Authorization, (Authorizer,), MemoryAuthorization),
    Held(Revocation, (Authorizer,), MemoryAuthorization),
    Held(Recorder, (TrailRecorder,), MemoryRecorder),
)


@dataclass
class Server:
    """An authorization server that says yes until told otherwise."""

    port: Authorization
    refuse: Callable[[str], None]
    asked: Callable[[], Mapping[str, str]]
    """What was asked for last."""
    ended: Callable[[], list[str]]
    """The refresh tokens that were ended."""


def _memory() -> Server:
    made = MemoryAuthorization()
    made.grants = Grantings("fresh", "disclosure.read", ISSUER, "demo", 1_795_000_000)

    def refuse(code: str) -> None:
        made.grants, made.against = None, code

    return Server(
        made,
        refuse,
        lambda: made.asked[-1][0],
        lambda: [each.grantings.refresh_token for each in made.revoked],
    )


def _oauth() -> Server:
    made = OAuthServer()

    def refuse(code: str) -> None:
        made.against = code

    return Server(
        made.authorizer(ManualClock()),
        refuse,
        lambda: made.pushed[-1],
        lambda: made.revoked,
    )


@pytest.fixture(params=["memory", "oauth"])
def server(request: pytest.FixtureRequest) -> Server:
    """The fake, or the real client on an OAuth server."""
    return _memory() if request.param == "memory" else _oauth()


async def test_a_sign_in_leads_to_the_issuer_and_keeps_what_was_written(server: Server) -> None:
    draft = Draft("p-1", "/emergency", {"code": "code", "reason": "reason"})
    again = {"scope": "sharing.request", "acr_values": "a b", "max_age": "900"}
    redirect = await server.port.begin(again, draft)
    assert redirect.location.startswith(f"{ISSUER}/authorize")
    assert (redirect.pending.draft, redirect.pending.began) == (draft, ManualClock().now())
    assert redirect.pending.state
    asked = server.asked()
    assert "sharing.request" in asked["scope"].split()
    told = (asked["acr_values"], asked["max_age"], asked["prompt"])
    assert told == ("a b", "900", "login"), "an earlier sign-in does not answer a second one"
    await server.port.begin()
    first = server.asked()
    assert "sharing.request" not in first.get("scope", "").split()
    assert not {"acr_values", "max_age", "prompt"} & first.keys()


async def test_the_code_is_exchanged_for_what_identity_grants(server: Server) -> None:
    pending = (await server.port.begin()).pending
    found = await server.port.complete(pending, Callback("c", pending.state, ISSUER))
    assert found == Grantings("fresh", "disclosure.read", ISSUER, "demo", 1_795_000_000)


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"state": "another"}, "state"), ({"iss": "http://evil.example.org"}, "issuer")],
)
async def test_a_way_back_that_is_not_ours_grants_nothing(
    server: Server, changes: dict[str, str], code: str
) -> None:
    pending = (await server.port.begin()).pending
    back = replace(Callback("c", pending.state, ISSUER), **changes)
    with pytest.raises(SignInFailed) as failed:
        await server.port.complete(pending, back)
    assert failed.value.code == code


@pytest.mark.parametrize("code", ["unauthorized_client", "invalid_grant", "unreachable"])
async def test_a_refusal_is_one_word(server: Server, code: str) -> None:
    pending = (await server.port.begin()).pending
    server.refuse(code)
    with pytest.raises(SignInFailed) as failed:
        await server.port.complete(pending, Callback("c", pending.state, ISSUER))
    assert failed.value.code == code


async def test_a_visit_ends_with_its_tokens_and_ending_never_raises(server: Server) -> None:
    pending = (await server.port.begin()).pending
    session = replace(signed_in(ManualClock()), dpop_jwk=_key(pending.dpop_jwk))
    await server.port.revoke(session)
    assert server.ended() == [session.grantings.refresh_token]
    server.refuse("unreachable")
    await server.port.revoke(session)


def _key(jwk: dict[str, str]) -> dict[str, str]:
    return jwk or keys().sharing.jwk(private=True)


@dataclass
class Trail:
    """Where entries go, and how many are there."""

    port: Recorder
    count: Callable[[], Awaitable[int]]


@pytest.fixture(params=["memory", "sqlite"])
async def trail(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Trail]:
    """An empty audit trail of one kind."""
    if request.param == "memory":
        recorder = MemoryRecorder([])

        async def kept() -> int:
            return len(recorder.entries)

        yield Trail(recorder, kept)
        return
    clock = ManualClock()
    bus = EmbeddedBus(tmp_path / "bus.db", topics.topics(tuple(AGENCIES)), clock=clock)
    ring, http = keyring(keys().folder, "portal"), httpx2.AsyncClient()
    host = Host(settings_for(tmp_path), bus.door("portal"), clock, ring, http)
    frame = Frame("portal", host, TABLES)
    await bus.start()
    await frame.open_database()
    await frame.trail.start()

    async def written() -> int:
        query = text("SELECT count(*) FROM audit_pending")
        return await frame.database.read(
            lambda connection: int(connection.execute(query).scalar_one())
        )

    yield Trail(TrailRecorder(frame), written)
    await frame.trail.stop()
    await frame.database.stop()
    await bus.stop()


async def test_an_entry_is_durable_when_recording_returns(trail: Trail) -> None:
    before = await trail.count()
    actor = Actor(subject="i|p-1", agency="northmoor-idva", role="idva", acr="demo")
    assert trail.port.ready()
    await trail.port.record(
        AuditEntry(operation="consultation", outcome="done", actor=actor, resource_type="delivery")
    )
    assert await trail.count() == before + 1
