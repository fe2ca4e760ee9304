"""An authentic sender on the right topic with the wrong thing to say: an agency's key opens that
agency's mouth and no other door."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from common import topics
from common.events import ALL
from common.events.case import SubjectErased
from common.events.routes import SHARED, carried, strays
from common.events.sharing import DisclosureReleased
from hubformats.canonical import canonical
from hubformats.ids import opaque, uuid7
from hubformats.keys import SigningKey
from tests.support.bus_attacks import (
    CLOCK,
    Sent,
    case_of,
    last_snapshot,
    opened_snapshot,
    released,
    sealed,
    set_aside,
    until,
)
from tests.support.inner_hub import FULL, POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]
HOUSING = "northmoor-housing"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def stolen(hub: InnerHub) -> SigningKey:
    """Housing's own key, in the hands of somebody who can also read the broker's clear keys."""
    return hub.caller(HOUSING).tokens._signing


def kept(hub: InnerHub, case_id: UUID) -> int:
    """How many bytes sharing holds of the case."""
    return int(
        hub.rows(
            "sharing", "SELECT length(snapshot_ct) FROM case_file WHERE case_id = ?", case_id.hex
        )[0][0]
    )


async def test_an_agencys_key_erases_no_case(hub: InnerHub) -> None:
    case_id = case_of(hub, await released(hub))
    before = kept(hub, case_id)
    assert before > 0
    subject = UUID(
        opened_snapshot(hub, await last_snapshot(hub, case_id))["subjects"][0]["subjectId"]
    )
    said = SubjectErased(subject_id=subject, case_ids=(case_id,), erased_at=CLOCK.now())
    forged = sealed(hub, stolen(hub), said.data(), type_=SubjectErased.TYPE)
    await set_aside(
        hub,
        Sent("sharing", topics.inbound(HOUSING), forged, str(case_id).encode()),
        "wrong-topic",
        holds=True,
    )
    assert kept(hub, case_id) == before


@pytest.mark.parametrize("type_", ["hub.case-snapshot", "hub.not-invented-yet"])
async def test_an_agencys_key_holds_no_case_but_its_own_words(hub: InnerHub, type_: str) -> None:
    referral = await released(hub)
    case_id = case_of(hub, referral)
    data = opened_snapshot(hub, await last_snapshot(hub, case_id))
    forged = sealed(hub, stolen(hub), data, type_=type_)
    reason = "wrong-topic" if type_ == "hub.case-snapshot" else "event-unknown"
    await set_aside(
        hub,
        Sent("sharing", topics.inbound(HOUSING), forged, str(case_id).encode()),
        reason,
        holds=True,
    )
    # New facts of that very case leave all the same.
    body = {**FULL, "externalReference": f"T-{opaque(9)}", "completes": referral}
    assert (await hub.submit(body)).status_code == 201
    query = (
        "SELECT count(*) FROM disclosure WHERE case_id = ? AND snapshot_version = 2 AND state "
        "= 'released'"
    )
    await until(
        lambda: hub.rows("sharing", query, case_id.hex)[0][0] == 3, "three corrections left"
    )


async def test_referral_believes_sharing_alone(hub: InnerHub) -> None:
    referral = await released(hub)
    case_id = case_of(hub, referral)
    said = DisclosureReleased(
        case_id=case_id,
        snapshot_version=9,
        delivery_id=uuid7(),
        recipient=HOUSING,
        clause="NM-1",
        released_at=CLOCK.now(),
        proof="proven",
    )
    forged = sealed(hub, stolen(hub), said.data(), to="referral", type_=DisclosureReleased.TYPE)
    await set_aside(
        hub,
        Sent("referral", topics.SHARING, forged, str(case_id).encode()),
        "wrong-source",
        holds=False,
    )
    read = await hub.call(
        POLICE, "GET", "referral", f"/v1/referrals/{referral}", scope="referral.read"
    )
    assert HOUSING not in canonical(read.json()["outcomes"]).decode()


async def test_every_event_has_its_topics_and_strays_on_all_others() -> None:
    places = (*SHARED, topics.inbound(HOUSING), topics.disclosure(HOUSING))
    for event in ALL:
        own = [place for place in places if event in (carried(place) or ())]
        assert own, event.TYPE
        assert [place for place in places if not strays(event, place)] == own
