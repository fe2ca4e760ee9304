"""A thief's messages that the hub had used before the key was retired are found, listed and told to
its agency; nothing of them is undone."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

import pytest
import pytest_asyncio

from common import topics
from common.bus import Outgoing
from hubformats.agency_events import CompromisedKeyUsed
from hubformats.canonical import parse
from hubformats.clock import SystemClock
from hubformats.keys import SigningKey, generate_signing, signing_from_jwk
from hubformats.package_proof import PackageRefused
from hubpartner.client import HubClient
from hubpartner.delivery import Delivery, saved_receipt
from hubpartner.key_retirement import Wanted, retire
from tests.support.bus_attacks import released, sealed
from tests.support.inner_hub import FULL, POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]
CARE, SUPPORT = "northmoor-social-care", "northmoor-victim-support"
BY_CHANNEL = {"hub.saved-receipt": "api", "hub.delivery-acknowledged": "topic"}
T = TypeVar("T")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


async def until(ask: Callable[[], Awaitable[T]], right: Callable[[T], bool]) -> T:
    """The first answer that is right, within ten seconds; else the last one."""
    for _ in range(200):
        if right(found := await ask()):
            break
        await asyncio.sleep(0.05)
    assert right(found)
    return found


async def delivered(client: HubClient) -> list[Delivery]:
    """Everything in the agency's inbox, opened."""
    return [client.open(item) async for page in client.inbox_pages() for item in page.items]


def with_key(hub: InnerHub, agency: str, key: SigningKey) -> HubClient:
    """The agency's client with another signing key."""
    profile = replace(hub.client(agency).profile, signing=key)
    return HubClient(profile, hub.http)


async def retired(
    hub: InnerHub, client: HubClient, kid: str, since: datetime | None = None
) -> HubClient:
    """The agency retires a key, as compromised since then; its client with a key that lives."""
    agency = client.profile.agency
    root = parse((hub.folder / "demo/keys" / f"{agency}.json").read_bytes())["root"]
    made = generate_signing(agency)
    profile = hub.folder / "demo" / f"{agency}.toml"
    wanted = Wanted(kid, SystemClock().now(), since, made, profile)
    added = await retire(client, signing_from_jwk(root, agency), wanted)
    return with_key(hub, agency, made) if added else client


async def known(hub: InnerHub, kid: str) -> bool:
    """Whether sharing has heard of a key; it asks the directory again ten seconds after an answer
    at the earliest, unless identity said that there is something new.
    """
    keys = hub.frame("sharing").keys
    await keys.refresh()
    return keys.verification(kid) is not None


async def told(hub: InnerHub, client: HubClient) -> list[CompromisedKeyUsed]:
    """What the agency reads of it on its own topic."""
    found = []
    for record in await hub.hub.bus.read(topics.disclosure(client.profile.agency)):
        with suppress(PackageRefused):  # a delivery
            notice = client.open_notice(record.value)
            assert isinstance(notice, CompromisedKeyUsed)
            found.append(notice)
    return found


async def used_by_thief(hub: InnerHub, thief: HubClient) -> Delivery:
    """A thief saves a delivery by the API and takes it up by the topic; the hub takes both in."""
    first, *_ = await delivered(thief)
    await thief.send_receipt(first, "a thief's system")
    said = {
        "deliveryId": first.delivery_id,
        "acknowledgedAt": SystemClock().now().isoformat(),
        "role": "social_worker",
    }
    taken_up = sealed(hub, thief.profile.signing, said, type_="hub.delivery-acknowledged")
    await hub.hub.bus.publish([Outgoing(topics.inbound(CARE), b"k", taken_up, ())])
    saying = "SELECT count(*) FROM signed_message WHERE agency = ?"

    async def noted() -> int:
        return int(hub.rows("sharing", saying, CARE)[0][0])

    await until(noted, lambda count: count == 2)
    return first


async def test_what_had_been_used_is_listed_alarmed_and_told(hub: InnerHub) -> None:
    since = SystemClock().now().replace(microsecond=0)
    await released(hub, FULL)
    thief = hub.client(CARE)
    first = await used_by_thief(hub, thief)
    hub.said()
    agency = await retired(hub, thief, thief.profile.signing.kid, since)
    (event,) = await until(lambda: told(hub, agency), bool)
    used, kid = event.used, thief.profile.signing.kid
    assert (used.key_id, used.messages, used.older, used.cases) == (kid, 2, 0, 0)
    assert {item.kind for item in used.items} == set(BY_CHANNEL)
    reference = first.verdict.content["caseReference"]
    assert {(str(item.delivery_id), item.case_reference) for item in used.items} == {
        (first.delivery_id, reference)
    }
    (notice,) = await agency.notices()
    assert (notice["advice"], notice["used"]["messages"]) == ("judge-each", 2)
    listed = await hub.client("operator").key_uses(CARE)
    assert {one["kind"]: one["channel"] for one in listed} == BY_CHANNEL
    assert {one["caseReference"] for one in listed} == {reference}
    assert await hub.client("operator").key_uses(POLICE) == []
    said = hub.said()
    assert said.count('"compromised-key-used"') == 1
    assert first.delivery_id not in said.split('"compromised-key-used"')[1].split("\n")[0]
    entries = hub.rows("audit", "SELECT record FROM entry WHERE idx = ?", event.log_index)
    assert all(word in str(entries[0][0]) for word in ('"review"', "key-compromised", CARE))
    shown = [one.delivery_id for one in await delivered(agency)]
    assert first.delivery_id in shown, "nothing is undone by itself"


async def test_a_receipt_under_another_key_than_its_envelope_counts_under_its_own(
    hub: InnerHub,
) -> None:
    """The envelope's key may be sound while what it carries was signed by the stolen one."""
    thief = hub.client(SUPPORT)
    stolen = thief.profile.signing
    await released(hub, FULL)
    (delivery, *_) = await delivered(thief)
    since = SystemClock().now().replace(microsecond=0)
    agency = await retired(hub, thief, stolen.kid)
    await until(lambda: known(hub, agency.profile.signing.kid), bool)
    receipt = saved_receipt(delivery, signer=stolen, system="a thief's system")
    value = sealed(hub, agency.profile.signing, {"receipt": receipt}, type_="hub.saved-receipt")
    await hub.hub.bus.publish([Outgoing(topics.inbound(SUPPORT), b"k", value, ())])
    keys = "SELECT key_id FROM signed_message WHERE agency = ?"

    async def noted() -> set[str]:
        return {str(row[0]) for row in hub.rows("sharing", keys, SUPPORT)}

    both = {stolen.kid, agency.profile.signing.kid}
    assert await until(noted, lambda found: len(found) == 2) == both
    assert await hub.client("operator").key_uses(SUPPORT) == [], "retired in good order"
    await retired(hub, agency, stolen.kid, since)
    listed = await until(lambda: hub.client("operator").key_uses(SUPPORT), bool)
    messages = [one for one in listed if one["kind"] != "case"]
    assert [(one["keyId"], one["eventId"], one["deliveryId"]) for one in messages] == [
        (stolen.kid, None, delivery.delivery_id)
    ]


async def test_cases_that_were_referred_in_its_name_are_named_to_judge(hub: InnerHub) -> None:
    since = SystemClock().now().replace(microsecond=0)
    before = {one["caseReference"] for one in await hub.client(POLICE).sent_referrals()}
    await released(hub)
    police = hub.client(POLICE)
    agency = await retired(hub, police, police.profile.signing.kid, since)
    (notice,) = await until(agency.notices, bool)
    mine = {one["caseReference"] for one in await agency.sent_referrals()} - before
    items = notice["used"]["items"]
    assert (notice["used"]["messages"], notice["used"]["cases"]) == (0, 1)
    assert {(one["kind"], one["certain"], one["caseReference"]) for one in items} == {
        ("case", False, reference) for reference in mine
    }
    listed = await hub.client("operator").key_uses(POLICE)
    assert {one["caseReference"] for one in listed} == mine
