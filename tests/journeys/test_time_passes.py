"""Days pass, and the night in which London's clocks go forward: tokens are renewed, a promise falls
due, what was safe is not any more."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx2
import pytest

from common.keyring import FileKeyring
from deploy.stack.postgres import PostgresServer
from hubformats import jws
from hubformats.bootstrap import TOKEN_KEY
from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.ids import opaque
from hubformats.keys import generate_signing
from hubpartner.answers import ProblemAnswer, TokenRefused
from hubpartner.calls import Call
from hubpartner.safe_contact import on_day
from hubpartner.tokens import TokenSource
from tests.support.fresh_hub import fresh_hub
from tests.support.hubs import SERVICES, StackHub, as_agency, hubctl, served_keys, wait_for
from tests.support.moving_clock import LONDON, MovingClock
from tests.support.road import BASE, Road, example, road, until

POLICE, IDVA = "northmoor-police", "northmoor-idva"
EVENING = datetime(2027, 3, 27, 22, 30)  # noqa: DTZ001 - London's wall clock
BEFORE_ONE = datetime(2027, 3, 28, 0, 59, 50)  # noqa: DTZ001
WHY = {"code": "imminent_danger_to_life", "reason": "He is at the door; the log does not answer."}

pytestmark = [pytest.mark.xdist_group("hubs-over-time"), pytest.mark.timeout(600)]


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MovingClock:
    """The evening before the clocks go forward."""
    made = MovingClock(tmp_path)
    made.to_london(EVENING)
    made.follow(monkeypatch)
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Callable[[str], str] | None:
    """A database for each service; None for SQLite in the hub's folder."""
    if request.param == "sqlite":
        return None
    server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
    run = secrets.token_hex(6)
    return lambda service: server.database(f"t{run}_{service}")


def verified_today(moving: MovingClock) -> dict[str, Any]:
    """The full example, safe contact verified on the day of the moving clock."""
    form = example("referral-full", externalReference=f"NP-{opaque()[:12]}")
    form["safeContact"]["lastVerified"] = moving.london().date().isoformat()
    return form


async def test_days_pass_in_one_process(
    tmp_path: Path, moving: MovingClock, database: Callable[[str], str] | None
) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    async with road(folder, database=database) as hub:
        sent = await hub.refer(verified_today(moving))
        (first,) = await hub.received(IDVA)
        assert contact(first.verdict.content) == "safe"
        await the_night_has_no_one_o_clock(hub, moving)
        await a_token_past_its_life_is_renewed(hub, moving)
        assert (await hub.partner(POLICE).read_referral(sent["referralId"]))["decided"]
        await a_promise_falls_due_after_an_hour(hub, moving)
        moving.advance(timedelta(days=31))
        assert contact(first.verdict.content) == "unverified"


async def the_night_has_no_one_o_clock(hub: Road, moving: MovingClock) -> None:
    """Ten real seconds before and after: a token of five minutes goes on counting in seconds."""
    moving.to_london(BEFORE_ONE)
    await recovered(hub)
    source = TokenSource(hub.partner(POLICE).profile, hub.http, SystemClock())
    token = await source.token(f"{BASE}/referral", "referral.read")
    moving.advance(timedelta(seconds=20))
    assert (moving.london().hour, moving.london().minute) == (2, 0)
    assert await source.token(f"{BASE}/referral", "referral.read") == token
    assert await status(hub, source, token) == 200


async def a_token_past_its_life_is_renewed(hub: Road, moving: MovingClock) -> None:
    source = TokenSource(hub.partner(POLICE).profile, hub.http, SystemClock())
    old = await source.token(f"{BASE}/referral", "referral.read")
    assert await status(hub, source, old) == 200
    moving.advance(timedelta(minutes=10))
    await recovered(hub)
    assert await status(hub, source, old) == 401
    new = await source.token(f"{BASE}/referral", "referral.read")
    assert new != old
    assert await status(hub, source, new) == 200


async def a_promise_falls_due_after_an_hour(hub: Road, moving: MovingClock) -> None:
    """The log is silent; a coordinator lets one go, and after an hour the operator is told that its
    proof is overdue. Nobody reads personal data meanwhile: reads could not be accounted for."""
    await hub.services["audit"].pause()
    sent = await hub.refer(example("referral-urgent", externalReference=f"NP-{opaque()[:12]}"))
    await until(lambda: proof(hub, sent, "decided", None), seconds=30)
    call = Call(
        "GET",
        "/v1/disclosures",
        "sharing.request",
        params={"caseReference": sent["caseReference"]},
    )
    listed = await hub.partner(POLICE)._services["sharing"].send(call)
    await release_as_coordinator(hub, listed["items"][0]["deliveryId"])
    await until(lambda: proof(hub, sent, "released", "promised"), seconds=30)
    moving.advance(timedelta(minutes=59))
    await recovered(hub)
    await until(lambda: overdue(hub, 0), seconds=30)
    moving.advance(timedelta(minutes=2))
    await recovered(hub)
    await until(lambda: overdue(hub, 1), seconds=60)
    with pytest.raises(ProblemAnswer, match="audit-backlog"):
        await hub.partner(POLICE).read_referral(sent["referralId"])
    await hub.services["audit"].resume()
    await until(lambda: proof(hub, sent, "released", "proven"), seconds=60)


def contact(content: Any) -> str:
    """The safe-contact status as it stands on the day of the moving clock."""
    found = on_day(content["safeContact"], SystemClock().now().astimezone(LONDON).date())
    assert found is not None
    return str(found["status"])


async def recovered(hub: Road) -> None:
    """Wait until referral and sharing hear from identity again: after a long jump they deny.

    Asked without the client's own retries, which would wait as long as `Retry-After` says.
    """

    async def answer() -> bool:
        source = TokenSource(hub.partner(POLICE).profile, hub.http, SystemClock())
        try:
            tokens = [
                (path, await source.token(f"{BASE}/{path.split('/')[0]}", scope))
                for path, scope in (
                    ("referral/v1/code-lists", "referral.read"),
                    ("sharing/v1/agreements", "directory.read"),
                )
            ]
        except TokenRefused:
            return False
        return {await status(hub, source, token, path) for path, token in tokens} == {200}

    await until(answer, seconds=60)


async def overdue(hub: Road, wanted: int) -> bool:
    """Whether so many promises are past their hour."""
    try:
        found = await hub.partner("operator").stuck()
    except ProblemAnswer:
        return False
    return bool(found["promisesOverdue"] == wanted)


async def status(
    hub: Road, source: TokenSource, token: str, path: str = "referral/v1/code-lists"
) -> int:
    """What a service answers to exactly this token."""
    url = f"{BASE}/{path}"
    headers = {"Authorization": f"DPoP {token}", "DPoP": source.proof("GET", url, token)}
    return (await hub.http.get(url, headers=headers)).status_code


async def proof(hub: Road, sent: dict[str, Any], state: str, wanted: str | None) -> bool:
    """Whether the referrer is told this of what the IDVA service gets."""
    try:
        read = await hub.partner(POLICE).read_referral(sent["referralId"])
    except ProblemAnswer:
        return False
    told = {one["recipient"]: (one["state"], one["proof"]) for one in read["outcomes"]}
    return told.get(IDVA) == (state, wanted)


async def release_as_coordinator(hub: Road, delivery: str) -> None:
    """Emergency release with a token as identity gives one to a person who has just signed in."""
    ring = FileKeyring(hub.folder / "keyring" / "identity", passphrase=None, open_allowed=True)
    me, now = generate_signing("portal"), SystemClock().now()
    claims = {
        "iss": f"{BASE}/identity",
        "sub": "p-jess-marlow",
        "aud": f"{BASE}/sharing",
        "client_id": "portal",
        "agency": POLICE,
        "roles": ["marac_coordinator"],
        "scope": "sharing.request",
        "cnf": {"jkt": me.kid},
        "jti": opaque(),
        "iat": int(now.timestamp()),
        "exp": int(now.timestamp()) + 300,
        "acr": "urn:hub:acr:demo",
        "auth_time": int(now.timestamp()),
    }
    token = jws.sign(claims, ring.signing_key(TOKEN_KEY), typ="at+jwt")
    url = f"{BASE}/sharing/v1/disclosures/{delivery}/emergency-release"
    headers = {
        "Authorization": f"DPoP {token}",
        "DPoP": make_proof(me, "POST", url, at=now, token=token),
    }
    answer = await hub.http.post(url, json=WHY, headers=headers)
    assert answer.status_code == 200, answer.text


@pytest.mark.stack
async def test_days_pass_in_the_stack(
    tmp_path_factory: pytest.TempPathFactory, moving: MovingClock
) -> None:
    """Every process of the production topology and `hubctl` follow the one file."""
    with fresh_hub("stack", tmp_path_factory.mktemp("days"), moving.environment) as hub:
        form = verified_today(moving)
        sent = await as_agency(hub, POLICE, lambda client: client.submit_referral(form))
        inbox = await wait_for(
            lambda: as_agency(hub, IDVA, lambda client: client.inbox()),
            lambda page: len(page.items) == 1,
        )
        delivery = inbox.items[0].delivery_id
        assert "only as follows" in hubctl(hub, IDVA, "inbox", "show", delivery).out
        async with httpx2.AsyncClient(timeout=30.0) as http:
            answer = await http.get(f"{hub.url('portal')}/readyz")
        assert answer.status_code == 200
        moving.to_london(BEFORE_ONE)
        moving.advance(timedelta(seconds=20))
        read = await wait_for(
            lambda: said(hub, POLICE, "referral", "show", sent["referralId"]), bool
        )
        assert "package delivered to its inbox" in read
        moving.advance(timedelta(days=31))
        shown = await wait_for(lambda: said(hub, IDVA, "inbox", "show", delivery), bool)
        assert "DO NOT CONTACT (unverified" in shown
        assert isinstance(hub, StackHub)
        await every_service_has_a_new_key(hub, moving)
        logged = (hub.stack.folder / "processes" / "sharing.log").read_text()
        assert '"time":"2027-0' in logged.replace(" ", "")


async def every_service_has_a_new_key(hub: StackHub, moving: MovingClock) -> None:
    """A month is over: each process makes its next opening key, and the directory serves it."""

    async def served() -> dict[str, int]:
        moving.advance(timedelta(seconds=30))  # they look once a minute
        return served_keys(hub)

    await wait_for(served, lambda found: found == dict.fromkeys(SERVICES, 2))


async def said(hub: Any, agency: str, *words: str) -> str:
    """What `hubctl` prints, or nothing while the hub denies after a jump."""
    done = hubctl(hub, agency, *words)
    return done.out if done.status == 0 else ""
