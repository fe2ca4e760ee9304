"""A veto set after a release bites: what nobody opened is listed and served to nobody any more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from common import topics
from common.bus import Outgoing
from common.directory import DirectoryKeys
from common.web.frame import Frame
from hubformats.agency_events import DisclosureAnswered
from hubformats.clock import SystemClock
from hubformats.envelope import Message, peek, routing_headers, seal
from hubformats.ids import uuid7
from hubpartner.answers import ProblemAnswer
from hubpartner.delivery import Delivery
from sharing.wiring import Parts
from tests.support.modes import Mode
from tests.support.road import Road, example, road, until

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Road]:
    """One hub for the whole module."""
    async with road(tmp_path_factory.mktemp("taken-back"), mode=mode) as made:
        yield made


def frame(hub: Road, service: str) -> Frame:
    """What consumes and relays for a service."""
    found = hub.services[service].app.frame
    assert found is not None
    return found


def consuming(hub: Road, *, on: bool) -> None:
    """Hold what sharing consumes, or let it go on."""
    for one in frame(hub, "sharing").inbox._consumptions:
        if on:
            one.resume()
        else:
            one.pause()


async def referred(hub: Road, reference: str) -> dict[str, Any]:
    """A referral whose three disclosures have left."""
    made = await hub.refer(example("referral-full", externalReference=reference))

    async def told() -> bool:
        read = await hub.partner(POLICE).read_referral(made["referralId"])
        return [one["state"] for one in read["outcomes"]] == ["released"] * 3

    await until(told)
    return made


async def forbid(hub: Road, referral: dict[str, Any], agency: str, category: str = "*") -> None:
    """A must-not-disclose; when it returns, the 201 has been given."""
    await hub.partner(POLICE).forbid_disclosure(
        referral["referralId"], agency=agency, category=category, reason="She asked for it."
    )


async def listed(hub: Road, agency: str, cursor: str | None = None) -> list[str]:
    """Disclosures an agency sees behind a place.

    A veto on the IDVA service in another test corrects what others must do on that case.
    """
    page = await hub.partner(agency).inbox(cursor=cursor, limit=100)
    return [item.delivery_id for item in page.items if item.kind == "disclosure"]


async def test_a_veto_bites_from_its_201_on_before_sharing_has_heard_of_it(hub: Road) -> None:
    """Sharing takes in no event, so that only the question at the moment of reading can bite."""
    start = (await hub.partner(IDVA).inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-1")
    (delivery,) = await listed(hub, IDVA, start)
    consuming(hub, on=False)
    try:
        waits = asyncio.create_task(hub.partner(CARE).inbox(wait=1))
        await forbid(hub, referral, IDVA)
        assert await listed(hub, IDVA, start) == []
        with pytest.raises(ProblemAnswer) as refused:
            await hub.partner(IDVA).delivery(delivery)
        assert (refused.value.status, refused.value.code) == (404, "not-found")
        found = await hub.partner(IDVA).standing(delivery)
        assert (found["stands"], found["takenBackAt"]) == (False, None), "not decided yet"
        held = await hub.partner(IDVA).inbox(cursor=start, wait=1)
        assert (held.items, held.cursor) == ((), start), "no long poll wakes for it"
        assert (await waits).items, "another agency's is as it was"
    finally:
        consuming(hub, on=True)


async def test_without_an_answer_about_vetoes_nothing_is_shown(hub: Road) -> None:
    start = (await hub.partner(CARE).inbox(limit=100)).cursor
    await referred(hub, "NP-2026-bite-2")
    (delivery,) = await listed(hub, CARE, start)
    await hub.services["referral"].pause()
    try:
        for look in (
            lambda: hub.partner(CARE).inbox(cursor=start),
            lambda: hub.partner(CARE).delivery(delivery),
        ):
            with pytest.raises(ProblemAnswer) as refused:
                await look()
            assert (refused.value.status, refused.value.code) == (503, "deliveries-unchecked")
            assert "Nothing is lost" in refused.value.detail
        assert (await hub.partner("northmoor-housing").inbox()).items == ()
    finally:
        await hub.services["referral"].resume()
    assert await listed(hub, CARE, start) == [delivery]


async def test_a_veto_that_comes_while_a_look_is_written_bites_too(
    hub: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its 201 comes between the look's question about vetoes and its answer: nothing is served."""
    start = (await hub.partner(IDVA).inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-while-written")
    (delivery,) = await listed(hub, IDVA, start)
    consuming(hub, on=False)
    store = hub.sharing(Parts).store
    asked, given, write = asyncio.Event(), asyncio.Event(), store.write

    async def held(work: Any) -> Any:
        asked.set()
        await given.wait()
        return await write(work)

    monkeypatch.setattr(store, "write", held)
    try:
        lists = asyncio.create_task(hub.partner(IDVA).inbox(cursor=start, limit=100))
        await asked.wait()
        reads = asyncio.create_task(hub.partner(IDVA).delivery(delivery))
        await asyncio.sleep(0.3)  # its question is answered by then, too
        await forbid(hub, referral, IDVA)
        given.set()
        page = await lists
        assert page.items == ()
        with pytest.raises(ProblemAnswer) as refused:
            await reads
        assert (refused.value.status, refused.value.code) == (404, "not-found")
        assert (await hub.partner(IDVA).inbox(cursor=page.cursor)).items == ()
    finally:
        consuming(hub, on=True)


async def test_a_veto_that_touches_nothing_of_hers_shows_it_again(hub: Road) -> None:
    """What the next decision lets stand is listed where it was: no cursor has jumped over it."""
    start = (await hub.partner(SUPPORT).inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-3")
    (delivery,) = await listed(hub, SUPPORT, start)
    consuming(hub, on=False)
    try:
        await forbid(hub, referral, SUPPORT, "child_school")
        held = await hub.partner(SUPPORT).inbox(cursor=start)
        assert delivery not in {item.delivery_id for item in held.items}
    finally:
        consuming(hub, on=True)

    async def again() -> bool:
        return await listed(hub, SUPPORT, held.cursor) == [delivery]

    await until(again)


async def status(hub: Road, referral: dict[str, Any], agency: str) -> dict[str, Any]:
    """What the referrer hears of one recipient."""
    read = await hub.partner(POLICE).read_referral(referral["referralId"])
    return next(one for one in read["outcomes"] if one["recipient"] == agency)


async def withdrawal(hub: Road, agency: str, start: str) -> Delivery:
    """The withdrawal behind a place, opened and checked by the agency's own means."""
    found: list[Delivery] = []

    async def came() -> bool:
        page = await hub.partner(agency).inbox(cursor=start, limit=100)
        found[:] = [hub.open(agency, item.envelope) for item in page.items]
        return [one.package.kind for one in found] == ["withdrawal"]

    await until(came)
    return found[0]


async def test_what_was_opened_is_withdrawn_and_answered_by_api(hub: Road) -> None:
    """Recipient, referrer and log read the same: withdrawn, awaited, kept under a named duty."""
    start = (await hub.partner(IDVA).inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-4")
    (opened,) = await listed(hub, IDVA, start)
    await forbid(hub, referral, IDVA)
    told = await withdrawal(hub, IDVA, start)
    content = told.verdict.content
    assert told.verdict.standing == "proven", "its own entry was in the log first"
    assert (content["withdraws"], content["answerRequired"]) == ([opened], True)
    assert (content["sections"], "safeContact" in content) == ([], False)
    heard = await status(hub, referral, IDVA)
    assert (heard["state"], heard["answer"]) == ("withdrawn", "awaited")
    assert (await status(hub, referral, CARE))["answer"] is None
    partner = hub.partner(IDVA)
    found = await partner.standing(opened)
    assert (found["stands"], found["replaced"], found["saidBy"]) == (False, False, told.delivery_id)
    assert found["takenBackAt"]
    assert (await partner.standing(told.delivery_id))["stands"]
    with pytest.raises(ProblemAnswer, match="not-found"):
        await hub.partner(CARE).standing(opened)
    with pytest.raises(ProblemAnswer) as refused:
        await partner.answer(told.delivery_id, "kept_under_duty")
    assert (refused.value.status, refused.value.code) == (422, "validation-failed")
    said = await partner.answer(told.delivery_id, "kept_under_duty", "court_order")
    assert (said["answer"], said["duty"]) == ("kept_under_duty", "court_order")

    async def known() -> bool:
        heard = await status(hub, referral, IDVA)
        return (heard["answer"], heard["duty"]) == ("kept_under_duty", "court_order")

    await until(known)


async def test_an_answer_by_topic_is_taken_in_and_anothers_is_not(hub: Road) -> None:
    start = (await hub.partner(SUPPORT).inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-5")
    await listed(hub, SUPPORT, start)
    await forbid(hub, referral, SUPPORT)
    told = await withdrawal(hub, SUPPORT, start)
    event = DisclosureAnswered(
        delivery_id=UUID(told.delivery_id),
        answer="stopped_and_deleted",
        answered_at=SystemClock().now(),
    )
    await speak(hub, CARE, event, 1)
    await speak(hub, SUPPORT, event, 1)

    async def known() -> bool:
        heard = await status(hub, referral, SUPPORT)
        return str(heard["answer"]) == "stopped_and_deleted"

    await until(known)
    with pytest.raises(ProblemAnswer) as refused:
        await hub.partner(CARE).answer(told.delivery_id, "stopped_and_deleted")
    assert refused.value.status == 404


async def speak(hub: Road, agency: str, event: DisclosureAnswered, seq: int) -> None:
    """An agency's own signed event on its own topic."""
    profile = hub.partner(agency).profile
    sharing = hub.sharing(DirectoryKeys).recipient("svc:sharing")
    assert sharing is not None
    message = Message(
        type=event.TYPE,
        version=event.VERSION,
        data=event.data(),
        stream=agency,
        seq=seq,
        id=uuid7(),
        issued_at=SystemClock().now(),
    )
    envelope = seal(message, sender=profile.signing, recipients=[sharing])
    headers = routing_headers(peek(envelope))
    await hub.bus.publish([Outgoing(topics.inbound(agency), agency.encode(), envelope, headers)])


async def test_the_topic_copy_is_followed_by_a_withdrawal_that_asks_nothing(hub: Road) -> None:
    """Nobody opened it by the API, so its withdrawal needs no answer, and may be answered."""
    start = (await hub.partner(CARE).inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-6")
    await forbid(hub, referral, CARE)
    told = await withdrawal(hub, CARE, start)
    assert told.verdict.content["answerRequired"] is False
    heard = await status(hub, referral, CARE)
    assert (heard["state"], heard["answer"]) == ("withdrawn", None)
    said = await hub.partner(CARE).answer(told.delivery_id, "stopped_and_deleted")
    assert said["answer"] == "stopped_and_deleted"


async def test_withdrawals_are_served_while_nobody_can_be_asked(hub: Road) -> None:
    """They carry no fact: listed alone and read one by one, each look still in the log first."""
    partner = hub.partner(IDVA)
    start = (await partner.inbox(limit=100)).cursor
    referral = await referred(hub, "NP-2026-bite-7")
    await listed(hub, IDVA, start)
    await forbid(hub, referral, IDVA)
    told = await withdrawal(hub, IDVA, start)
    await hub.services["referral"].pause()
    try:
        with pytest.raises(ProblemAnswer, match="deliveries-unchecked"):
            await partner.inbox(cursor=start)
        page = await partner.inbox(limit=100, withdrawals=True)
        assert told.delivery_id in [item.delivery_id for item in page.items]
        assert {item.kind for item in page.items} == {"withdrawal"}
        assert (await partner.inbox(cursor=page.cursor, withdrawals=True)).items == ()
        assert (await partner.delivery(told.delivery_id)).kind == "withdrawal"
        (gone,) = told.verdict.content["withdraws"]
        assert (await partner.standing(gone))["saidBy"] == told.delivery_id
        assert (await hub.partner("northmoor-housing").inbox(withdrawals=True)).items == ()
    finally:
        await hub.services["referral"].resume()
    for cursor, alone in ((page.cursor, False), (start, True)):
        with pytest.raises(ProblemAnswer, match="invalid-cursor"):
            await partner.inbox(cursor=cursor, withdrawals=alone)
