"""Suspension, heartbeat and sign-in on the ports in memory."""

from pathlib import Path
from typing import Any

import pytest

from common.access import Granted, Principal, grant
from common.directory import DirectoryState
from common.events.identity import AgencyRestored, AgencySuspended, DirectoryHeartbeat
from common.testing import ManualClock
from hubformats.bootstrap import SERVICES, read_bootstrap
from hubformats.keys import generate_signing
from identity.agencies.model import NoSuchAgency
from identity.agencies.use_cases import Change, beat, enrol, restore, suspend
from identity.agencies.worker import Pulse
from identity.bootstrap.use_cases.create import create
from identity.oauth.model import REQUEST_LIFE, Pushed, digest
from identity.oauth.use_cases.authority import Authority, authority_from
from identity.oauth.use_cases.pushing import URN
from identity.people.model import SignInGone, SignInRefused
from identity.people.repository import DemoClick, NoWayIn
from identity.people.use_cases import cancel, complete, waiting
from tests.support.identity_fakes import MemoryIdentity

POLICE = "northmoor-police"
URLS = {name: f"http://{name}.hub.example.org" for name in SERVICES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("hub")
    create(made, URLS)
    return made


@pytest.fixture
async def store(folder: Path) -> MemoryIdentity:
    made = MemoryIdentity(ManualClock())
    await made.write(lambda tx: enrol(tx, read_bootstrap(folder)))
    return made


def operator(store: MemoryIdentity) -> Granted:
    who = Principal(
        "issuer", "operator", "operator", "system", "northmoor", scopes=frozenset({"agency.manage"})
    )
    return grant(who, scope="agency.manage", operation="operation", at=store.clock.now())


def authority(folder: Path, store: MemoryIdentity, *, demo: bool = True) -> Authority:
    bootstrap = read_bootstrap(folder)
    return authority_from(
        bootstrap,
        issuer=URLS["identity"],
        urls=URLS,
        token_key=generate_signing("svc:identity"),
        clock=store.clock,
        authenticator=DemoClick(bootstrap.people) if demo else NoWayIn(),
    )


async def test_a_suspension_ends_access_is_recorded_and_told_once(store: MemoryIdentity) -> None:
    change = Change(POLICE, "exercise", "Somebody's own words.")
    for _ in "ab":
        state = await store.write(lambda tx: suspend(tx, operator(store), change))
        assert state.suspended_at == store.clock.now()
    (event,), (entry,) = store.rows.published, store.rows.recorded
    assert isinstance(event, AgencySuspended)
    assert (event.agency, event.state_epoch) == (POLICE, 1)
    assert (entry.field_set, entry.recipient, entry.reason_code) == (
        "suspension",
        POLICE,
        "exercise",
    )
    assert entry.detail == {"note": "Somebody's own words."}


async def test_a_restored_agency_may_act_again(store: MemoryIdentity) -> None:
    await store.write(lambda tx: suspend(tx, operator(store), Change(POLICE, "exercise")))
    state = await store.write(lambda tx: restore(tx, operator(store), Change(POLICE, "resolved")))
    assert state.suspended_at is None
    assert isinstance(store.rows.published[-1], AgencyRestored)
    assert store.rows.epoch == 2


@pytest.mark.parametrize("act", [suspend, restore])
async def test_an_agency_that_is_not_there_is_said_so(store: MemoryIdentity, act: Any) -> None:
    with pytest.raises(NoSuchAgency):
        await store.write(lambda tx: act(tx, operator(store), Change("x", "exercise")))
    assert not store.rows.recorded


async def test_each_beat_says_who_is_suspended_and_the_old_ones_go(
    store: MemoryIdentity, folder: Path
) -> None:
    await store.write(lambda tx: suspend(tx, operator(store), Change(POLICE, "exercise")))
    woken: list[int] = []
    directory = DirectoryState(store.clock)
    pulse = Pulse(store, directory, read_bootstrap(folder), store.clock, lambda _: woken.append(1))
    told = await pulse.beat()
    assert (told.suspended, told.state_epoch, woken) == ((POLICE,), 1, [1])
    clock = store.clock
    assert isinstance(clock, ManualClock)
    clock.advance(61.0)
    await pulse.beat()
    beats = [event for event in store.rows.published if isinstance(event, DirectoryHeartbeat)]
    assert [event.at for event in beats] == [clock.now()]


async def pushed(store: MemoryIdentity) -> dict[str, str]:
    """A request that a portal pushed, as the sign-in page names it."""
    parameters = {
        "client_id": "portal",
        "response_type": "code",
        "redirect_uri": f"{URLS['portal']}/sign-in/callback",
        "scope": "case.read disclosure.read",
        "state": "st-1",
        "code_challenge": "c" * 43,
        "code_challenge_method": "S256",
    }
    expires = store.clock.now() + REQUEST_LIFE
    kept = Pushed(digest("handle"), "portal", parameters, "", expires)
    await store.write(lambda tx: tx.requests.save(kept))
    return {"client_id": "portal", "request_uri": f"{URN}handle"}


async def test_a_person_completes_a_request_once(store: MemoryIdentity, folder: Path) -> None:
    ours, place = authority(folder, store), await pushed(store)
    person = next(one for one in ours.people.values() if "idva" in one.roles)
    seen = await store.read(lambda tx: waiting(tx, place["client_id"], place["request_uri"]))
    assert seen.client_id == "portal"
    answer = await store.write(lambda tx: complete(ours, tx, **place, form={"person": person.id}))
    assert answer.status == 303
    assert all(part in answer.location for part in ("code=", "state=st-1", "iss="))
    (code,) = store.rows.codes.values()
    assert (code.subject, code.scope) == (person.id, "case.read disclosure.read")
    with pytest.raises(SignInGone):
        await store.write(lambda tx: complete(ours, tx, **place, form={"person": person.id}))


async def test_where_no_demonstration_runs_nobody_clicks_in(
    store: MemoryIdentity, folder: Path
) -> None:
    ours, place = authority(folder, store, demo=False), await pushed(store)
    with pytest.raises(SignInRefused):
        await store.write(lambda tx: complete(ours, tx, **place, form={"person": "per-1"}))
    assert not store.rows.codes


async def test_a_cancelled_request_is_gone(store: MemoryIdentity, folder: Path) -> None:
    ours, place = authority(folder, store), await pushed(store)
    answer = await store.write(lambda tx: cancel(ours, tx, **place))
    assert "error=access_denied" in answer.location
    with pytest.raises(SignInGone):
        await store.write(lambda tx: cancel(ours, tx, **place))


async def test_an_agency_enrolled_before_stays_as_it_was_changed(
    store: MemoryIdentity, folder: Path
) -> None:
    await store.write(lambda tx: suspend(tx, operator(store), Change(POLICE, "exercise")))
    assert await store.write(lambda tx: enrol(tx, read_bootstrap(folder))) == 0
    assert (await store.write(lambda tx: beat(tx, store.clock))).suspended == (POLICE,)
