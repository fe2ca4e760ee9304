"""Inbox, receipts and acknowledgements: only one's own, only for exactly what was given, once."""

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from common.access import Granted, Principal, grant
from common.events.sharing import DisclosureSaved
from common.inbox import Refused, Transient
from hubformats.agency_events import DeliveryAcknowledged, SavedReceipt
from hubformats.audit_record import Actor
from hubformats.canonical import b64u, canonical
from hubformats.ids import uuid7
from hubformats.keys import generate_signing
from sharing.inbox.model import ReceiptRefused, Shown, check_receipt, delivery_of
from sharing.inbox.use_cases import receiving
from sharing.inbox.use_cases.receiving import DeliveryNotFound
from tests.support.sharing_harness import SharingHarness
from tests.support.snapshots import snapshot

IDVA, CARE = "northmoor-idva", "northmoor-social-care"


def reader(harness: SharingHarness, agency: str) -> Granted:
    """An agency's system that reads its inbox."""
    who = Principal(
        "issuer",
        f"{agency}-system",
        f"{agency}-system",
        "system",
        agency,
        scopes=frozenset({"disclosure.read"}),
    )
    return grant(who, scope="disclosure.read", operation="consultation", at=harness.clock.now())


def actor(agency: str) -> Actor:
    return Actor(subject=f"issuer|{agency}-system", agency=agency)


async def delivered(harness: SharingHarness) -> dict[str, UUID]:
    """Everything of a plain case, released."""
    made = await harness.take(snapshot())
    for each in made.values():
        await harness.receipt(each.record_id)
    await harness.releases.step()
    return {name: each.id for name, each in made.items()}


async def inbox(
    harness: SharingHarness, agency: str, after: int = 0, limit: int = 25
) -> tuple[Shown, ...]:
    now = harness.clock.now()
    cases = await harness.store.read(lambda view: view.inbox.waiting(agency, after, limit, now))
    wanted = receiving.Wanted(after, limit, await harness.checked(cases or frozenset()))
    page = await harness.store.write(
        lambda tx: receiving.read_inbox(
            tx, harness.receiving, reader(harness, agency), actor(agency), wanted
        )
    )
    return page.shown


async def one(harness: SharingHarness, agency: str, delivery: UUID) -> Shown:
    case_id = await harness.store.read(lambda view: view.inbox.case_of(agency, delivery))
    checked = await harness.checked(frozenset({case_id} if case_id else ()))
    return await harness.store.write(
        lambda tx: receiving.read_delivery(
            tx, harness.receiving, reader(harness, agency), actor(agency), delivery, checked
        )
    )


async def envelope(harness: SharingHarness, agency: str, delivery: UUID) -> bytes:
    return (await harness.envelopes(agency, delivery))[-1].delivery.envelope


async def save(harness: SharingHarness, agency: str, delivery: UUID, receipt: str) -> Any:
    return await harness.store.write(
        lambda tx: receiving.save(
            tx, harness.receiving, reader(harness, agency), actor(agency), delivery, receipt
        )
    )


async def test_an_agency_sees_its_own_deliveries_and_each_look_is_recorded(
    harness: SharingHarness,
) -> None:
    ids = await delivered(harness)
    before = len(await harness.records())
    assert [each.delivery.delivery_id for each in await inbox(harness, IDVA)] == [ids[IDVA]]
    looked = (await harness.records())[before:]
    assert [(r["op"], r["n"], r["dl"], r["rcp"]) for r in looked] == [
        ("consultation", 1, str(ids[IDVA]), IDVA)
    ]
    assert await inbox(harness, "northmoor-housing") == ()
    assert len(await harness.records()) == before + 1, "a look that shows nothing is no disclosure"


async def test_every_delivery_and_case_that_was_shown_can_be_searched_for(
    harness: SharingHarness,
) -> None:
    """By the delivery, and by either name of its case; also when a look shows more than one entry's
    index takes.
    """
    ids = {snapshot().case_id: (await delivered(harness))[IDVA]}
    for number in range(1, 35):
        case = UUID(int=snapshot().case_id.int + 0x100 * number)
        made = await harness.take(snapshot(case_id=case))
        await harness.receipt(made[IDVA].record_id)
        ids[case] = made[IDVA].id
    while await harness.releases.step():
        pass
    assert len(await inbox(harness, IDVA, limit=100)) == 35
    for case, delivery in ids.items():
        for kind, value in (
            ("delivery", str(delivery)),
            ("case", harness.deciding.reference(IDVA, case)),
            ("case", harness.deciding.reference("northmoor-police", case)),
        ):
            looks = [
                each for each in await harness.found(kind, value) if each["op"] == "consultation"
            ]
            assert len(looks) == 1, kind
    entries = [each for each in await harness.records() if each["op"] == "consultation"]
    assert sum(each["n"] for each in entries) == 35
    await one(harness, IDVA, ids[snapshot().case_id])
    name = harness.deciding.reference(IDVA, snapshot().case_id)
    assert [each["op"] for each in await harness.found("case", name)].count("consultation") == 2


async def test_places_go_up_by_one_and_paging_misses_nothing(harness: SharingHarness) -> None:
    await delivered(harness)
    for number in range(2, 6):
        case = UUID(int=snapshot().case_id.int + number)
        made = await harness.take(snapshot(case_id=case))
        await harness.receipt(made[IDVA].record_id)
    await harness.releases.step()
    seen: list[int] = []
    while page := await inbox(harness, IDVA, after=seen[-1] if seen else 0, limit=2):
        seen += [each.delivery.position for each in page]
    assert seen == [1, 2, 3, 4, 5]


async def test_a_delivery_that_may_not_be_seen_yet_holds_back_those_behind_it(
    harness: SharingHarness,
) -> None:
    """Sends are spread at random; a reader's place must not jump over one that becomes visible
    later.
    """
    ids = await delivered(harness)
    disclosure = await harness.state(ids[IDVA])
    package = (await harness.packages(IDVA))[0]
    soon = harness.clock.now().replace(microsecond=900_000)
    await harness.store.write(
        lambda tx: tx.inbox.send(disclosure, package, kind="notice", not_before=soon)
    )
    await harness.store.write(
        lambda tx: tx.inbox.send(disclosure, package, kind="notice", not_before=None)
    )
    assert [each.delivery.position for each in await inbox(harness, IDVA)] == [1]
    harness.clock.advance(1)
    assert [each.delivery.position for each in await inbox(harness, IDVA)] == [1, 2, 3]


async def test_one_delivery_by_id(harness: SharingHarness) -> None:
    ids = await delivered(harness)

    assert (await one(harness, IDVA, ids[IDVA])).delivery.delivery_id == ids[IDVA]
    for agency, delivery in ((CARE, ids[IDVA]), (IDVA, UUID(int=5))):
        with pytest.raises(DeliveryNotFound):
            await one(harness, agency, delivery)


async def test_a_signed_receipt_saves_once(harness: SharingHarness) -> None:
    ids = await delivered(harness)
    receipt = harness.saved_receipt(IDVA, ids[IDVA], await envelope(harness, IDVA, ids[IDVA]))
    first = await save(harness, IDVA, ids[IDVA], receipt)
    harness.clock.advance(5)
    assert await save(harness, IDVA, ids[IDVA], receipt) == first
    saved = [record for record in await harness.records() if record["op"] == "saved"]
    assert [(r["dl"], r["rcp"], "rd" in r, "ed" in r) for r in saved] == [
        (str(ids[IDVA]), IDVA, True, True)
    ]
    assert [e.delivery_id for e in await harness.told() if isinstance(e, DisclosureSaved)] == [
        ids[IDVA]
    ]
    assert await harness.packages(IDVA) == [], "the outbox forgets what the recipient signed for"
    assert (await inbox(harness, IDVA))[0].standing == "saved"


@pytest.mark.parametrize(
    "case",
    [
        "other-envelope",
        "other-delivery",
        "other-issuer",
        "other-signer",
        "unknown-key",
        "no-claim",
        "naive-time",
        "cut",
        "wrong-type",
    ],
)
async def test_a_receipt_that_does_not_fit_is_refused(harness: SharingHarness, case: str) -> None:
    ids = await delivered(harness)
    mine, theirs = (
        await envelope(harness, IDVA, ids[IDVA]),
        await envelope(harness, CARE, ids[CARE]),
    )

    def make(**changes: Any) -> str:
        return harness.saved_receipt(IDVA, ids[IDVA], mine, **changes)

    receipt = {
        "other-envelope": lambda: harness.saved_receipt(IDVA, ids[IDVA], theirs),
        "other-delivery": lambda: make(dl=str(ids[CARE])),
        "other-issuer": lambda: make(iss=CARE),
        "other-signer": lambda: make(key=harness.parties.signing[CARE]),
        "unknown-key": lambda: make(key=generate_signing(IDVA)),
        "no-claim": lambda: make(system=""),
        "naive-time": lambda: make(savedAt="2026-11-21T02:00:05"),
        "cut": lambda: make()[:-4],
        "wrong-type": lambda: make().replace(".", "", 1),
    }[case]()
    with pytest.raises(ReceiptRefused):
        await save(harness, IDVA, ids[IDVA], receipt)
    assert (await harness.state(ids[IDVA])).saved_at is None


async def test_nobody_signs_for_another(harness: SharingHarness) -> None:
    ids = await delivered(harness)
    receipt = harness.saved_receipt(CARE, ids[IDVA], await envelope(harness, IDVA, ids[IDVA]))
    with pytest.raises(DeliveryNotFound):
        await save(harness, CARE, ids[IDVA], receipt)


async def test_acknowledging_is_not_saving(harness: SharingHarness) -> None:
    ids = await delivered(harness)
    at = await harness.store.write(
        lambda tx: receiving.acknowledge(
            tx, harness.receiving, reader(harness, IDVA), actor(IDVA), ids[IDVA], "idva"
        )
    )
    harness.clock.advance(5)
    again = await harness.store.write(
        lambda tx: receiving.acknowledge(
            tx, harness.receiving, reader(harness, IDVA), actor(IDVA), ids[IDVA], "idva"
        )
    )
    assert at == again
    found = await harness.state(ids[IDVA])
    assert (found.acknowledged_at, found.saved_at) == (at, None)
    assert [r["dl"] for r in await harness.records() if r["op"] == "acknowledged"] == [
        str(ids[IDVA])
    ]
    with pytest.raises(DeliveryNotFound):
        await harness.store.write(
            lambda tx: receiving.acknowledge(
                tx,
                harness.receiving,
                reader(harness, CARE),
                actor(CARE),
                ids[IDVA],
                "social_worker",
            )
        )


def test_receipts_are_read_strictly() -> None:
    for junk in ("", "a.b", "a.b.c", "é.b.c", "x" * 9_000, "e30.e30.AA"):
        with pytest.raises(ReceiptRefused):
            delivery_of(junk)
        with pytest.raises(ReceiptRefused):
            check_receipt(
                junk, agency=IDVA, delivery_id=UUID(int=1), delivered=[], key=lambda _: None
            )


def spoken(harness: SharingHarness) -> Any:
    """A message of the IDVA service as the inbox hands it over."""
    now = harness.clock.now()
    header = b64u(canonical({"alg": "ES256", "kid": "k", "typ": "t"}))
    return SimpleNamespace(
        source=IDVA, id=uuid7(), type="t", jws=f"{header}.e30.s", arrived=now, issued_at=now
    )


async def test_a_suspended_agencys_words_on_its_topic_are_set_aside(
    harness: SharingHarness,
) -> None:
    """Suspension shuts the topic as it shuts the API; what was said meanwhile can be replayed on
    restoring.
    """
    ids = await delivered(harness)
    said = SavedReceipt(
        receipt=harness.saved_receipt(IDVA, ids[IDVA], await envelope(harness, IDVA, ids[IDVA]))
    )
    taken_up = DeliveryAcknowledged(
        delivery_id=ids[IDVA], role="idva", acknowledged_at=harness.clock.now()
    )

    async def say() -> None:
        await harness.database.write(
            lambda unit: harness.parts.inbound.saved(unit, spoken(harness), said)
        )

    async def acknowledge() -> None:
        await harness.database.write(
            lambda unit: harness.parts.inbound.acknowledged(unit, spoken(harness), taken_up)
        )

    for speak in (say, acknowledge):
        harness.parties.suspended.add(IDVA)
        with pytest.raises(Refused, match="agency-suspended"):
            await speak()
        harness.parties.suspended.clear()
        harness.parties.is_fresh = False
        with pytest.raises(Transient):
            await speak()
        harness.parties.is_fresh = True
    found = await harness.state(ids[IDVA])
    assert (found.saved_at, found.acknowledged_at) == (None, None)
    await say()
    await acknowledge()
    found = await harness.state(ids[IDVA])
    assert found.saved_at is not None
    assert found.acknowledged_at is not None


async def test_only_a_known_role_takes_up_and_the_first_to_say_so_counts(
    harness: SharingHarness,
) -> None:
    ids = await delivered(harness)

    async def say(role: str) -> None:
        event = DeliveryAcknowledged(
            delivery_id=ids[IDVA], role=role, acknowledged_at=harness.clock.now()
        )
        await harness.database.write(
            lambda unit: harness.parts.inbound.acknowledged(unit, spoken(harness), event)
        )

    with pytest.raises(Refused, match="validation-failed"):
        await say("king")
    assert (await harness.state(ids[IDVA])).acknowledged_at is None
    await say("idva")
    first = (await harness.state(ids[IDVA])).acknowledged_at
    harness.clock.advance(60)
    await say("idva_manager")
    assert first is not None
    assert (await harness.state(ids[IDVA])).acknowledged_at == first
