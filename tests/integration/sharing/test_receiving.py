"""Inbox, receipts and acknowledgements: only one's own, only for exactly what was given, once."""

from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from common.access import Granted, Principal, grant
from common.events.sharing import DisclosureSaved
from common.inbox import Refused, Transient
from common.problems import Problem
from hubformats.agency_events import DeliveryAcknowledged, SavedReceipt
from hubformats.audit_record import Actor
from hubformats.keys import generate_signing
from sharing.domain.receipt import ReceiptRefused, check_receipt, delivery_of
from sharing.ports import Shown
from sharing.usecases import receiving
from tests.support.sharing_bed import Bed
from tests.support.snapshots import snapshot

IDVA, CARE = "northmoor-idva", "northmoor-social-care"


def reader(bed: Bed, agency: str) -> Granted:
    """An agency's system that reads its inbox."""
    who = Principal(
        "issuer",
        f"{agency}-system",
        f"{agency}-system",
        "system",
        agency,
        scopes=frozenset({"disclosure.read"}),
    )
    return grant(who, scope="disclosure.read", operation="consultation", at=bed.clock.now())


def actor(agency: str) -> Actor:
    return Actor(subject=f"issuer|{agency}-system", agency=agency)


async def delivered(bed: Bed) -> dict[str, UUID]:
    """Everything of a plain case, released."""
    made = await bed.take(snapshot())
    for each in made.values():
        await bed.receipt(each.record_id)
    await bed.releases.step()
    return {name: each.id for name, each in made.items()}


async def inbox(bed: Bed, agency: str, after: int = 0, limit: int = 25) -> tuple[Shown, ...]:
    return await bed.store.write(
        lambda tx: receiving.read_inbox(
            tx, bed.desk, reader(bed, agency), actor(agency), after=after, limit=limit
        )
    )


async def envelope(bed: Bed, agency: str, delivery: UUID) -> bytes:
    return (await bed.store.write(lambda tx: tx.deliveries(agency, delivery)))[-1].delivery.envelope


async def save(bed: Bed, agency: str, delivery: UUID, receipt: str) -> Any:
    return await bed.store.write(
        lambda tx: receiving.save(tx, bed.desk, agency, actor(agency), delivery, receipt)
    )


async def test_an_agency_sees_its_own_deliveries_and_each_look_is_recorded(bed: Bed) -> None:
    ids = await delivered(bed)
    before = len(await bed.records())
    assert [each.delivery.delivery_id for each in await inbox(bed, IDVA)] == [ids[IDVA]]
    looked = (await bed.records())[before:]
    assert [(r["op"], r["n"], r["dl"], r["rcp"]) for r in looked] == [
        ("consultation", 1, str(ids[IDVA]), IDVA)
    ]
    assert await inbox(bed, "northmoor-housing") == ()
    assert len(await bed.records()) == before + 1, "a look that shows nothing is no disclosure"


async def test_every_delivery_and_case_that_was_shown_can_be_searched_for(bed: Bed) -> None:
    """By the delivery, and by either name of its case; also when a look shows more than one entry's
    index takes.
    """
    ids = {snapshot().case_id: (await delivered(bed))[IDVA]}
    for number in range(1, 35):
        case = UUID(int=snapshot().case_id.int + 0x100 * number)
        made = await bed.take(snapshot(case_id=case))
        await bed.receipt(made[IDVA].record_id)
        ids[case] = made[IDVA].id
    while await bed.releases.step():
        pass
    assert len(await inbox(bed, IDVA, limit=100)) == 35
    for case, delivery in ids.items():
        for kind, value in (
            ("delivery", str(delivery)),
            ("case", bed.desk.reference(IDVA, case)),
            ("case", bed.desk.reference("northmoor-police", case)),
        ):
            looks = [each for each in await bed.found(kind, value) if each["op"] == "consultation"]
            assert len(looks) == 1, kind
    entries = [each for each in await bed.records() if each["op"] == "consultation"]
    assert sum(each["n"] for each in entries) == 35
    await bed.store.write(
        lambda tx: receiving.read_delivery(
            tx, bed.desk, reader(bed, IDVA), actor(IDVA), ids[snapshot().case_id]
        )
    )
    name = bed.desk.reference(IDVA, snapshot().case_id)
    assert [each["op"] for each in await bed.found("case", name)].count("consultation") == 2


async def test_places_go_up_by_one_and_paging_misses_nothing(bed: Bed) -> None:
    await delivered(bed)
    for number in range(2, 6):
        case = UUID(int=snapshot().case_id.int + number)
        made = await bed.take(snapshot(case_id=case))
        await bed.receipt(made[IDVA].record_id)
    await bed.releases.step()
    seen: list[int] = []
    while page := await inbox(bed, IDVA, after=seen[-1] if seen else 0, limit=2):
        seen += [each.delivery.position for each in page]
    assert seen == [1, 2, 3, 4, 5]


async def test_a_delivery_that_may_not_be_seen_yet_holds_back_those_behind_it(bed: Bed) -> None:
    """Sends are spread at random; a reader's place must not jump over one that becomes visible
    later.
    """
    ids = await delivered(bed)
    disclosure = await bed.state(ids[IDVA])
    package = (await bed.packages(IDVA))[0]
    soon = bed.clock.now().replace(microsecond=900_000)
    await bed.store.write(
        lambda tx: tx.send_package(disclosure, package, kind="notice", not_before=soon)
    )
    await bed.store.write(
        lambda tx: tx.send_package(disclosure, package, kind="notice", not_before=None)
    )
    assert [each.delivery.position for each in await inbox(bed, IDVA)] == [1]
    bed.clock.advance(1)
    assert [each.delivery.position for each in await inbox(bed, IDVA)] == [1, 2, 3]


async def test_one_delivery_by_id(bed: Bed) -> None:
    ids = await delivered(bed)

    async def read(agency: str, delivery: UUID) -> Shown:
        return await bed.store.write(
            lambda tx: receiving.read_delivery(
                tx, bed.desk, reader(bed, agency), actor(agency), delivery
            )
        )

    assert (await read(IDVA, ids[IDVA])).delivery.delivery_id == ids[IDVA]
    for agency, delivery in ((CARE, ids[IDVA]), (IDVA, UUID(int=5))):
        with pytest.raises(Problem, match="not-found"):
            await read(agency, delivery)


async def test_a_signed_receipt_saves_once(bed: Bed) -> None:
    ids = await delivered(bed)
    receipt = bed.saved_receipt(IDVA, ids[IDVA], await envelope(bed, IDVA, ids[IDVA]))
    first = await save(bed, IDVA, ids[IDVA], receipt)
    bed.clock.advance(5)
    assert await save(bed, IDVA, ids[IDVA], receipt) == first
    saved = [record for record in await bed.records() if record["op"] == "saved"]
    assert [(r["dl"], r["rcp"], "rd" in r, "ed" in r) for r in saved] == [
        (str(ids[IDVA]), IDVA, True, True)
    ]
    assert [e.delivery_id for e in await bed.told() if isinstance(e, DisclosureSaved)] == [
        ids[IDVA]
    ]
    assert await bed.packages(IDVA) == [], "the outbox forgets what the recipient signed for"
    assert receiving.state_of((await inbox(bed, IDVA))[0]) == "saved"


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
async def test_a_receipt_that_does_not_fit_is_refused(bed: Bed, case: str) -> None:
    ids = await delivered(bed)
    mine, theirs = await envelope(bed, IDVA, ids[IDVA]), await envelope(bed, CARE, ids[CARE])

    def make(**changes: Any) -> str:
        return bed.saved_receipt(IDVA, ids[IDVA], mine, **changes)

    receipt = {
        "other-envelope": lambda: bed.saved_receipt(IDVA, ids[IDVA], theirs),
        "other-delivery": lambda: make(dl=str(ids[CARE])),
        "other-issuer": lambda: make(iss=CARE),
        "other-signer": lambda: make(key=bed.parties.signing[CARE]),
        "unknown-key": lambda: make(key=generate_signing(IDVA)),
        "no-claim": lambda: make(system=""),
        "naive-time": lambda: make(savedAt="2026-11-21T02:00:05"),
        "cut": lambda: make()[:-4],
        "wrong-type": lambda: make().replace(".", "", 1),
    }[case]()
    with pytest.raises(Problem, match="receipt-refused"):
        await save(bed, IDVA, ids[IDVA], receipt)
    assert (await bed.state(ids[IDVA])).saved_at is None


async def test_nobody_signs_for_another(bed: Bed) -> None:
    ids = await delivered(bed)
    receipt = bed.saved_receipt(CARE, ids[IDVA], await envelope(bed, IDVA, ids[IDVA]))
    with pytest.raises(Problem, match="not-found"):
        await save(bed, CARE, ids[IDVA], receipt)


async def test_acknowledging_is_not_saving(bed: Bed) -> None:
    ids = await delivered(bed)
    at = await bed.store.write(
        lambda tx: receiving.acknowledge(tx, bed.desk, IDVA, actor(IDVA), ids[IDVA], "idva")
    )
    bed.clock.advance(5)
    again = await bed.store.write(
        lambda tx: receiving.acknowledge(tx, bed.desk, IDVA, actor(IDVA), ids[IDVA], "idva")
    )
    assert at == again
    found = await bed.state(ids[IDVA])
    assert (found.acknowledged_at, found.saved_at) == (at, None)
    assert [r["dl"] for r in await bed.records() if r["op"] == "acknowledged"] == [str(ids[IDVA])]
    with pytest.raises(Problem, match="not-found"):
        await bed.store.write(
            lambda tx: receiving.acknowledge(
                tx, bed.desk, CARE, actor(CARE), ids[IDVA], "social_worker"
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


async def test_a_suspended_agencys_words_on_its_topic_are_set_aside(bed: Bed) -> None:
    """Suspension shuts the topic as it shuts the API; what was said meanwhile can be replayed on
    restoring.
    """
    ids = await delivered(bed)
    said = SavedReceipt(
        receipt=bed.saved_receipt(IDVA, ids[IDVA], await envelope(bed, IDVA, ids[IDVA]))
    )
    taken_up = DeliveryAcknowledged(
        delivery_id=ids[IDVA], role="idva", acknowledged_at=bed.clock.now()
    )
    got = cast(Any, SimpleNamespace(source=IDVA))

    async def say() -> None:
        await bed.database.write(lambda unit: bed.consumer.saved(unit, got, said))

    async def acknowledge() -> None:
        await bed.database.write(lambda unit: bed.consumer.acknowledged(unit, got, taken_up))

    for speak in (say, acknowledge):
        bed.parties.suspended.add(IDVA)
        with pytest.raises(Refused, match="agency-suspended"):
            await speak()
        bed.parties.suspended.clear()
        bed.parties.is_fresh = False
        with pytest.raises(Transient):
            await speak()
        bed.parties.is_fresh = True
    found = await bed.state(ids[IDVA])
    assert (found.saved_at, found.acknowledged_at) == (None, None)
    await say()
    await acknowledge()
    found = await bed.state(ids[IDVA])
    assert found.saved_at is not None
    assert found.acknowledged_at is not None


async def test_only_a_known_role_takes_up_and_the_first_to_say_so_counts(bed: Bed) -> None:
    ids = await delivered(bed)
    got = cast(Any, SimpleNamespace(source=IDVA))

    async def say(role: str) -> None:
        event = DeliveryAcknowledged(
            delivery_id=ids[IDVA], role=role, acknowledged_at=bed.clock.now()
        )
        await bed.database.write(lambda unit: bed.consumer.acknowledged(unit, got, event))

    with pytest.raises(Refused, match="validation-failed"):
        await say("king")
    assert (await bed.state(ids[IDVA])).acknowledged_at is None
    await say("idva")
    first = (await bed.state(ids[IDVA])).acknowledged_at
    bed.clock.advance(60)
    await say("idva_manager")
    assert first is not None
    assert (await bed.state(ids[IDVA])).acknowledged_at == first
