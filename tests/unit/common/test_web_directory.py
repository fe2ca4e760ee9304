"""The copy of the directory: order, freshness, and keys that only their owner's pinned root can
vouch for."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from common.directory import DirectoryKeys, DirectoryState, DirectoryUnreachable, follow
from common.events.identity import (
    AgencyRestored,
    AgencySuspended,
    DirectoryHeartbeat,
    KeyPublished,
    KeyRetired,
)
from common.problems import Problem
from common.testing import ManualClock
from hubformats.bootstrap import sign_key_set
from hubformats.keys import (
    KeyRefused,
    SigningKey,
    generate_opening,
    generate_signing,
    retired_jwk,
)
from tests.support.key_directory import POLICE, Directory

IDVA = "northmoor-idva"


class World:
    """A directory state and a clock to age it by."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.state = DirectoryState(self.clock)

    def beat(self, *suspended: str, epoch: int, ahead: float = 0) -> None:
        at = self.clock.now() + timedelta(seconds=ahead)
        self.state.apply(DirectoryHeartbeat(at=at, state_epoch=epoch, suspended=suspended))

    def suspend(self, agency: str, epoch: int) -> None:
        self.state.apply(
            AgencySuspended(
                agency=agency, reason_code="exercise", state_epoch=epoch, at=self.clock.now()
            )
        )

    def restore(self, agency: str, epoch: int) -> None:
        self.state.apply(AgencyRestored(agency=agency, state_epoch=epoch, at=self.clock.now()))

    def verdict(self, agency: str) -> str:
        try:
            self.state.demand(agency)
        except Problem as refused:
            return refused.code
        return "ok"


@pytest.fixture
def world() -> World:
    """A process that has just started."""
    return World()


def test_before_the_first_heartbeat_everybody_is_denied(world: World) -> None:
    assert world.verdict(POLICE) == "directory-stale"
    world.suspend(POLICE, 1)
    assert world.verdict(POLICE) == "agency-suspended"
    assert world.verdict(IDVA) == "directory-stale", "an announcement is not the whole state"
    world.beat(epoch=2)
    assert (world.verdict(IDVA), world.verdict(POLICE)) == ("ok", "ok"), "the heartbeat is"


def test_a_minute_is_the_limit(world: World) -> None:
    world.beat(epoch=1)
    world.clock.advance(60)
    assert world.verdict(POLICE) == "ok"
    world.clock.advance(0.001)
    assert world.verdict(POLICE) == "directory-stale"


def test_suspension_bites_at_once_and_ends_with_restoration(world: World) -> None:
    world.beat(epoch=1)
    before = world.state.epoch(POLICE)
    world.suspend(POLICE, 2)
    assert (world.verdict(POLICE), world.verdict(IDVA)) == ("agency-suspended", "ok")
    assert world.state.epoch(POLICE) != before, "remembered tokens die with the change"
    world.restore(POLICE, 3)
    assert world.verdict(POLICE) == "ok"


def test_announcements_that_overtake_each_other_end_in_the_same_state(world: World) -> None:
    world.beat(epoch=1)
    world.suspend(IDVA, 3)
    world.suspend(POLICE, 2)
    assert (world.verdict(POLICE), world.verdict(IDVA)) == ("agency-suspended", "agency-suspended")
    world.restore(POLICE, 5)
    world.suspend(POLICE, 4)
    assert world.verdict(POLICE) == "ok"


def test_old_news_changes_nothing(world: World) -> None:
    world.beat(POLICE, epoch=5)
    world.restore(POLICE, 4)
    assert world.verdict(POLICE) == "agency-suspended"
    world.clock.advance(1)
    world.beat(epoch=4)
    assert world.verdict(POLICE) == "agency-suspended", (
        "a replayed heartbeat does not restore anybody"
    )
    world.suspend(IDVA, 6)
    world.beat(POLICE, epoch=5)
    assert world.verdict(IDVA) == "agency-suspended", (
        "a heartbeat older than the announcement does not undo it"
    )


def test_a_replayed_heartbeat_does_not_look_fresh(world: World) -> None:
    old = DirectoryHeartbeat(at=world.clock.now(), state_epoch=1, suspended=())
    world.state.apply(old)
    world.clock.advance(61)
    world.state.apply(old)
    assert world.verdict(POLICE) == "directory-stale"


def test_a_fast_clock_at_the_sender_does_not_prolong_its_word(world: World) -> None:
    world.beat(epoch=1, ahead=3600)
    world.clock.advance(61)
    assert world.verdict(POLICE) == "directory-stale"


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    """A fresh key source."""
    made = Directory()
    yield made
    await made.http.aclose()


def known(directory: Directory, key: SigningKey) -> bool:
    """Whether the source would verify with this key."""
    return known_by(directory.keys, key)


def known_by(keys: DirectoryKeys, key: SigningKey) -> bool:
    """Whether these would."""
    return keys.verification(key.kid) is not None


async def test_the_bootstrap_alone_gives_keys_but_none_of_an_agency_to_believe(
    directory: Directory,
) -> None:
    """It may have been compromised while this process was stopped: identity is asked once first."""
    area = directory.area
    assert not known(directory, area.first)
    for key, owner in (
        (area.service, "svc:sharing"),
        (area.operator, "operator"),
    ):
        found = directory.keys.verification(key.kid)
        assert found is not None
        assert found.owner == owner
    recipient = directory.keys.recipient(POLICE)
    assert recipient is not None
    assert recipient.kid == area.opening.kid
    assert directory.keys.recipient("northmoor-idva") is None
    assert directory.asked == 0
    await directory.keys.refresh()
    assert known(directory, area.first)


async def test_a_key_marked_compromised_stays_so_after_a_restart(directory: Directory) -> None:
    area, since = directory.area, directory.clock.now()
    jwks = (retired_jwk(area.first.jwk(), since, compromised=True), area.opening.public().jwk())
    await directory.serve(sign_key_set(POLICE, jwks, area.root, 200))
    for again in (directory.keys, directory.restarted()):
        await again.refresh()
        found = again.verification(area.first.kid)
        assert found is not None
        assert (found.status, found.compromised_since) == ("revoked", int(since.timestamp()))


async def test_what_was_learnt_outlives_the_process(directory: Directory, tmp_path: Path) -> None:
    place, area = tmp_path / "sharing-directory.json", directory.area
    fresh = generate_opening(POLICE)
    keys = directory.restarted(place)
    directory.served = {"keySets": {POLICE: area.key_set(200, area.first, fresh)}}
    await keys.refresh()
    directory.away = True
    later = directory.restarted(place).recipient(POLICE)
    assert later is not None
    assert later.kid == fresh.kid
    assert not known_by(directory.restarted(place), area.first), "until identity is asked"
    place.write_bytes(b"{half")
    spoilt = directory.restarted(place).recipient(POLICE)
    assert spoilt is not None
    assert spoilt.kid == area.opening.kid


async def test_a_newer_set_of_the_pinned_root_counts_and_old_signatures_still_verify(
    directory: Directory,
) -> None:
    area = directory.area
    second, opening = generate_signing(POLICE), generate_opening(POLICE)
    await directory.serve(area.key_set(200, second, opening))
    assert known(directory, second)
    assert known(directory, area.first), "what it signed must go on verifying"
    recipient = directory.keys.recipient(POLICE)
    assert recipient is not None
    assert recipient.kid == opening.kid


async def test_an_older_set_does_not_come_back(directory: Directory) -> None:
    area = directory.area
    fresh = generate_opening(POLICE)
    await directory.serve(area.key_set(200, area.first, fresh))
    await directory.serve(area.key_set(100, area.first, area.opening))
    recipient = directory.keys.recipient(POLICE)
    assert recipient is not None
    assert recipient.kid == fresh.kid


@pytest.mark.parametrize("defect", ["another root", "another agency", "not a set", "a number"])
async def test_identity_cannot_forge_a_key(
    directory: Directory, defect: str, caplog: pytest.LogCaptureFixture
) -> None:
    forged = generate_signing(POLICE)
    area = directory.area
    sets: dict[str, object] = {
        "another root": area.key_set(200, forged, root=generate_signing(POLICE)),
        "another agency": area.key_set(200, forged, agency=IDVA),
        "not a set": "a.b.c",
        "a number": 7,
    }
    await directory.serve(sets[defect])
    assert not known(directory, forged)
    assert known(directory, area.first)
    assert directory.asked == 1
    assert "refused" in caplog.text or defect == "a number"


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(500),
        httpx2.Response(302, headers={"location": "http://evil.example.org"}),
        [],
        {"a": 1},
    ],
)
async def test_a_failing_directory_is_told_and_leaves_what_we_have(
    directory: Directory, answer: Any
) -> None:
    directory.served = answer
    with pytest.raises(DirectoryUnreachable):
        await directory.keys.refresh()
    assert directory.asked == 1
    recipient = directory.keys.recipient(POLICE)
    assert recipient is not None
    assert recipient.kid == directory.area.opening.kid


async def test_one_question_for_all_who_wait_and_none_for_ten_seconds(directory: Directory) -> None:
    await asyncio.gather(*(directory.keys.refresh() for _ in range(20)))
    await directory.keys.refresh()
    assert directory.asked == 1
    directory.clock.advance(10)
    await directory.keys.refresh()
    assert directory.asked == 2


async def test_all_who_wait_for_one_question_hear_that_it_failed_and_so_do_those_who_come_soon_after(
    directory: Directory,
) -> None:
    directory.away = True
    heard = await asyncio.gather(
        *(directory.keys.refresh() for _ in range(20)), return_exceptions=True
    )
    assert {type(each) for each in heard} == {DirectoryUnreachable}
    with pytest.raises(DirectoryUnreachable) as soon:
        await directory.keys.refresh()
    assert directory.asked == 1, "an identity in trouble is not asked more often"
    assert 0 < soon.value.retry_after <= 10
    directory.away = False
    directory.clock.advance(10)
    await directory.keys.refresh()
    assert directory.asked == 2


async def test_ten_seconds_count_from_the_answer(directory: Directory) -> None:
    directory.takes = 4
    await directory.keys.refresh()
    directory.clock.advance(9.9)
    await directory.keys.refresh()
    assert directory.asked == 1
    directory.clock.advance(0.2)
    await directory.keys.refresh()
    assert directory.asked == 2


async def test_a_key_published_while_we_ask_makes_us_ask_again(directory: Directory) -> None:
    asking = asyncio.create_task(directory.keys.refresh())
    await directory.reached.wait()
    second = generate_signing(POLICE)
    directory.keys.apply(
        KeyPublished(
            owner=POLICE,
            use="sig",
            jwk=second.public().jwk(),
            not_before=directory.clock.now(),
            signed_by_root="ignored",
        )
    )
    await asking
    directory.served = {"keySets": {POLICE: directory.area.key_set(200, second)}}
    await directory.keys.refresh()
    assert known(directory, second)


async def test_a_published_key_lifts_the_wait(directory: Directory) -> None:
    await directory.keys.refresh()
    second = generate_signing(POLICE)
    directory.served = {"keySets": {POLICE: directory.area.key_set(200, second)}}
    directory.keys.apply(
        KeyPublished(
            owner=POLICE,
            use="sig",
            jwk=second.public().jwk(),
            not_before=directory.clock.now(),
            signed_by_root="ignored",
        )
    )
    assert not known(directory, second), "the event itself proves nothing"
    await directory.keys.refresh()
    assert known(directory, second)


async def test_whoever_watches_hears_of_every_key_that_came_or_went_and_a_retired_one_lifts_the_wait_too(
    directory: Directory,
) -> None:
    heard: list[str] = []
    directory.keys.watch(lambda: heard.append("keys"))
    await directory.keys.refresh()
    new = generate_opening(POLICE)
    directory.served = {"keySets": {POLICE: directory.area.key_set(200, directory.area.first, new)}}
    directory.keys.apply(
        KeyRetired(owner=POLICE, kid=directory.area.opening.kid, at=directory.clock.now())
    )
    directory.keys.apply(DirectoryHeartbeat(at=directory.clock.now(), state_epoch=1, suspended=()))
    await directory.keys.refresh()
    found = directory.keys.recipient(POLICE)
    assert (heard, found is not None and found.kid) == (["keys"], new.kid)


async def test_retired_keys_verify_and_compromised_ones_never_again(directory: Directory) -> None:
    area = directory.area
    retired = KeyRetired(owner=POLICE, kid=area.first.kid, at=directory.clock.now())
    signature = area.first.sign(b"x")
    await directory.keys.refresh()
    directory.keys.apply(retired)
    found = directory.keys.verification(area.first.kid)
    assert found is not None
    found.verify(b"x", signature)
    directory.keys.apply(retired.model_copy(update={"compromised": True}))
    directory.keys.apply(retired)
    await directory.serve(area.key_set(200, area.first))
    found = directory.keys.verification(area.first.kid)
    assert found is not None
    with pytest.raises(KeyRefused):
        found.verify(b"x", signature)


async def test_nothing_is_sealed_to_a_retired_key(directory: Directory) -> None:
    directory.keys.apply(
        KeyRetired(owner=POLICE, kid=directory.area.opening.kid, at=directory.clock.now())
    )
    assert directory.keys.recipient(POLICE) is None


class _Inbox:
    """Collects handlers and delivers to them as the real one does: in a unit, calls after the
    commit.
    """

    def __init__(self) -> None:
        self.handlers: dict[type, Any] = {}
        self.after: list[Any] = []

    def on(self, kind: type, handler: Any) -> None:
        self.handlers[kind] = handler

    def after_commit(self, call: Any) -> None:
        self.after.append(call)

    def deliver(self, event: Any, source: str) -> None:
        self.handlers[type(event)](self, SimpleNamespace(source=source), event)


async def test_only_identity_is_followed_and_only_after_the_commit(
    directory: Directory, world: World
) -> None:
    inbox = _Inbox()
    follow(inbox, world.state, directory.keys)
    beat = DirectoryHeartbeat(at=world.clock.now(), state_epoch=1, suspended=())
    inbox.deliver(beat, "svc:referral")
    assert inbox.after == []
    inbox.deliver(beat, "svc:identity")
    assert not world.state.fresh()
    for call in inbox.after:
        call()
    assert world.state.fresh()
