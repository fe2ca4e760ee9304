"""An authentic sender whose envelope is set aside hears of it on its own topic, logged first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
import pytest_asyncio

from common import topics
from common.bus import Outgoing
from hubformats.agency_events import EnvelopeSetAside
from hubformats.envelope import EnvelopeRefused, digest, peek
from hubformats.keys import SigningKey
from hubformats.package_proof import PackageRefused
from tests.support.bus_attacks import Sent, released, sealed, set_aside, settled, until
from tests.support.inner_hub import POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]
HOUSING = "northmoor-housing"
BAD: dict[str, Any] = {"receipt": "x" * 40}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def key_of(hub: InnerHub, agency: str) -> SigningKey:
    """The agency's own signing key."""
    return hub.caller(agency).tokens._signing


def bad_receipt(hub: InnerHub, agency: str, **changes: Any) -> bytes:
    """An authentic envelope that cannot be applied."""
    return sealed(hub, key_of(hub, agency), BAD, type_="hub.saved-receipt", **changes)


async def heard(hub: InnerHub, agency: str) -> list[EnvelopeSetAside]:
    """The notices on the agency's topic, opened by its own means."""
    found = []
    for record in await hub.hub.bus.read(topics.disclosure(agency)):
        with suppress(PackageRefused):  # a delivery
            notice = hub.client(agency).open_notice(record.value)
            assert isinstance(notice, EnvelopeSetAside)
            found.append(notice)
    return found


async def until_heard(hub: InnerHub, agency: str, count: int) -> list[EnvelopeSetAside]:
    """Its notices, once there are so many."""
    for _ in range(200):
        found = await heard(hub, agency)
        if len(found) >= count:
            break
        await asyncio.sleep(0.05)
    assert len(found) == count
    return found


async def test_the_sender_hears_why_and_what_to_do(hub: InnerHub) -> None:
    value = bad_receipt(hub, HOUSING)
    await set_aside(
        hub, Sent("sharing", topics.inbound(HOUSING), value, b"k"), "receipt-malformed", holds=True
    )
    (notice,) = await until_heard(hub, HOUSING, 1)
    clear = peek(value)
    assert (notice.event_id, notice.digest) == (clear.id, digest(value))
    assert (notice.reason_code, notice.advice) == ("receipt-malformed", "correct-and-send-anew")
    entries = hub.rows("audit", "SELECT record FROM entry WHERE idx = ?", notice.log_index)
    said = str(entries[0][0])
    assert all(word in said for word in ('"denied"', "inbound-envelope", HOUSING, "receipt-malf"))
    listed = await hub.client(HOUSING).notices()
    assert [one["eventId"] for one in listed] == [str(clear.id)]
    assert listed[0]["reason"] == "the receipt cannot be read"
    assert listed[0]["whatToDo"].startswith("Correct it and send it anew")
    assert await hub.client(POLICE).notices() == []


async def test_a_notice_waits_for_its_entry_in_the_log(hub: InnerHub) -> None:
    before = len(await heard(hub, POLICE))
    await hub.client("operator").switch("audit", "pause")
    try:
        value = bad_receipt(hub, POLICE)
        await set_aside(
            hub,
            Sent("sharing", topics.inbound(POLICE), value, b"p"),
            "receipt-malformed",
            holds=True,
        )
        await until(
            lambda: hub.rows("sharing", "SELECT id FROM notice WHERE agency = ?", POLICE), "kept"
        )
        await settled(hub, ["notice", "outbox"])
        assert len(await heard(hub, POLICE)) == before, "nothing leaves before its entry is there"
    finally:
        await hub.client("operator").switch("audit", "resume")
    await until_heard(hub, POLICE, before + 1)


async def test_the_same_envelope_again_is_told_of_once(hub: InnerHub) -> None:
    before = len(await heard(hub, HOUSING))
    value = bad_receipt(hub, HOUSING)
    await set_aside(
        hub, Sent("sharing", topics.inbound(HOUSING), value, b"a"), "receipt-malformed", holds=True
    )
    await until_heard(hub, HOUSING, before + 1)
    await hub.hub.bus.publish([Outgoing(topics.inbound(HOUSING), b"a", value, ())])
    await hub.frame("sharing").inbox.replay_quarantine(
        hub.frame("sharing").bus, topics.inbound(HOUSING)
    )
    await settled(hub, ["notice", "outbox"])
    assert len(await heard(hub, HOUSING)) == before + 1


async def test_nobody_is_told_of_what_nobody_vouches_for(hub: InnerHub) -> None:
    """A forger must not make the hub write to an agency."""
    counts = {agency: len(await heard(hub, agency)) for agency in (HOUSING, POLICE)}
    value = bad_receipt(hub, POLICE)
    await set_aside(
        hub, Sent("sharing", topics.inbound(HOUSING), value, b"f"), "wrong-source", holds=False
    )
    await set_aside(
        hub,
        Sent("sharing", topics.inbound(HOUSING), b"no envelope", b"f"),
        "malformed",
        holds=False,
    )
    await settled(hub, ["notice", "outbox"])
    assert {agency: len(await heard(hub, agency)) for agency in (HOUSING, POLICE)} == counts
    await released(hub)


async def test_a_notice_opens_for_its_agency_alone(hub: InnerHub) -> None:
    for record in await hub.hub.bus.read(topics.disclosure(HOUSING)):
        with pytest.raises(EnvelopeRefused):
            hub.client(POLICE).open_notice(record.value)
