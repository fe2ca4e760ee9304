"""What the audit trail promises its service, on both dialects, with a log that proves inclusion."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from common import topics
from common.audit_trail import (
    AuditTrail,
    PartDestroyed,
    PartRefused,
    RecordRef,
)
from common.audit_trail.tables import PENDING
from common.database import Database, Unit, ensure_schema
from common.events.audit import AuditBatch, AuditRejected
from common.inbox.tables import INBOX
from common.outbox.tables import OUTBOX
from common.testing import ManualClock
from hubformats.audit_record import (
    AuditEntry,
    Origin,
    RecordRefused,
    check_record,
    record_hash,
)
from hubformats.canonical import unb64u
from hubformats.clock import SystemClock
from hubformats.ids import uuid7
from hubformats.tlog import verify_proof
from standalone.bus import EmbeddedBus
from tests.support.audit_producer import (
    ACTOR,
    ALICE,
    METADATA,
    Producer,
    bus,
    consultation,
    pending,
    producer,
    say,
)
from tests.support.databases import database, database_url
from tests.support.members import (
    until,
)
from tests.support.schemas import counting
from tests.support.small_log import SmallLog

__all__ = ["bus", "database", "database_url", "producer"]


async def test_records_are_numbered_without_a_gap_whatever_fails(
    producer: Producer, database: Database
) -> None:
    def fails(unit: Unit) -> None:
        producer.trail.record(unit, consultation())
        raise LookupError

    works = [producer.record() for _ in range(30)]
    failures = [database.write(fails) for _ in range(30)]
    results = await asyncio.gather(
        *[each for pair in zip(works, failures, strict=True) for each in pair],
        return_exceptions=True,
    )
    assert sum(isinstance(result, RecordRef) for result in results) == 30
    batches = await producer.batches(30)
    assert [item.seq for batch in batches for item in batch.items] == list(range(1, 31))
    assert await pending(database) == [(1, n) for n in range(1, 31)]
    assert len(batches) < 30  # a group's records travel together
    for batch in batches:
        assert (batch.service, batch.src, batch.epoch) == ("referral", producer.trail.src, 1)
        assert batch.first_seq == batch.items[0].seq


async def test_the_log_gets_the_record_as_returned(producer: Producer) -> None:
    ref = await producer.record()
    ((item,),) = [batch.items for batch in await producer.batches(1)]
    assert (unb64u(item.record), unb64u(item.salt)) == (ref.record, ref.salt)
    assert record_hash(ref.salt, ref.record) == ref.hash
    assert check_record(ref.record)["id"] == str(ref.id)


async def test_many_records_of_one_unit_are_split_into_batches_that_fit(
    producer: Producer, database: Database
) -> None:
    await database.write(
        lambda unit: [producer.trail.record(unit, consultation()) for _ in range(300)] and None
    )
    batches = await producer.batches(300)
    assert len(batches) > 2
    assert [item.seq for batch in batches for item in batch.items] == list(range(1, 301))


async def test_a_receipt_brings_a_proof_that_verifies_and_frees_the_batch(
    producer: Producer, database: Database
) -> None:
    refs = await asyncio.gather(*[producer.record() for _ in range(5)])
    log = SmallLog()
    for batch in await producer.batches(5):
        receipts = log.append(batch)
        await database.write(lambda unit, receipts=receipts: producer.trail.receive(unit, receipts))  # type: ignore[misc]
    assert sorted(receipt.record_id for receipt in producer.receipts) == sorted(
        ref.id for ref in refs
    )
    by_id = {ref.id: ref for ref in refs}
    for receipt in producer.receipts:
        assert (receipt.record, receipt.salt) == (
            by_id[receipt.record_id].record,
            by_id[receipt.record_id].salt,
        )
        proven = verify_proof(receipt.proof, receipt.leaf, log.signer.verifier)
        assert proven.index == receipt.index
    bodies = select(OUTBOX.c.body).where(OUTBOX.c.topic == topics.audit("referral"))
    assert set(await database.read(lambda c: c.execute(bodies).scalars().all())) == {None}


async def test_receipts_over_the_bus_reach_their_producer_only(
    producer: Producer, bus: EmbeddedBus
) -> None:
    await producer.record()
    (batch,) = await producer.batches(1)
    receipts = SmallLog().append(batch)
    await say(bus, receipts, to="svc:sharing")
    await say(bus, receipts)
    await until(lambda: len(producer.receipts) == 1)
    await say(bus, receipts, seq=2)  # sent again by the log
    await until(lambda: producer.inbox.tally.applied == 2)
    assert len(producer.receipts) == 1
    assert producer.inbox.tally.quarantined == 0


async def test_nobody_but_the_log_can_say_that_something_is_logged(
    producer: Producer, bus: EmbeddedBus
) -> None:
    await producer.record()
    (batch,) = await producer.batches(1)
    await say(bus, SmallLog().append(batch), source="svc:sharing")
    await until(lambda: producer.inbox.tally.quarantined == 1)
    assert producer.receipts == []


@pytest.mark.parametrize("what", ["leaf", "place", "record", "path", "garbage", "unknown"])
async def test_a_receipt_that_differs_from_what_we_wrote_is_not_taken_and_stops_no_other(
    producer: Producer, database: Database, what: str
) -> None:
    await asyncio.gather(producer.record(), producer.record())
    batches = await producer.batches(2)
    log = SmallLog()
    receipts = [log.append(batch) for batch in batches]
    items = [item for each in receipts for item in each.items]
    spoilers: dict[str, dict[str, object]] = {
        "leaf": {"leaf": items[1].leaf},
        "place": {"seq": 2},
        "record": {"record_id": items[1].record_id},
        "path": {"path": ("AAAA",)},
        "garbage": {"leaf": "!!!"},
        "unknown": {"seq": 99},
    }
    spoiled = receipts[0].model_copy(
        update={"items": (items[0].model_copy(update=spoilers[what]), *receipts[0].items[1:])}
    )
    for each in (spoiled, *receipts[1:]):
        await database.write(lambda unit, each=each: producer.trail.receive(unit, each))  # type: ignore[misc]
    assert [str(receipt.record_id) for receipt in producer.receipts] == [items[1].record_id]
    await database.write(lambda unit: producer.trail.receive(unit, receipts[0]))
    assert len(producer.receipts) == 2


async def test_a_rejected_record_tells_who_waits_on_it(
    producer: Producer, bus: EmbeddedBus
) -> None:
    ref = await producer.record()
    (batch,) = await producer.batches(1)
    rejected = AuditRejected(src=batch.src, epoch=1, seq=1, code="record-malformed", index=7)
    await say(bus, rejected)
    await until(lambda: producer.inbox.tally.applied == 1)
    assert (producer.rejections[0].record_id, producer.rejections[0].code) == (
        ref.id,
        "record-malformed",
    )
    with pytest.raises(LookupError):
        await producer.trail.promise(ref.id)
    await say(bus, rejected, seq=2)
    await until(lambda: producer.inbox.tally.applied == 2)
    assert len(producer.rejections) == 1


async def test_reads_are_refused_when_the_log_is_silent_for_fifteen_minutes(
    database: Database, bus: EmbeddedBus, tmp_path: Path
) -> None:
    clock = ManualClock()
    producer = Producer(database, bus, tmp_path, clock)
    await producer.start()
    await producer.record()
    (batch,) = await producer.batches(1)
    await until(lambda: producer.outbox.relay.sent == 1)
    clock.advance(timedelta(minutes=14))
    await producer.trail.refresh()  # past ten minutes the batch is sent again
    await producer.batches(2)
    assert producer.trail.ready()
    clock.advance(timedelta(minutes=2))
    assert not producer.trail.ready()
    await database.write(lambda unit: producer.trail.receive(unit, SmallLog().append(batch)))
    assert producer.trail.ready()
    await producer.stop()


async def test_a_restart_goes_on_in_the_same_sequence_and_a_restore_in_a_new_epoch(
    producer: Producer, database: Database
) -> None:
    await producer.record()
    src = producer.trail.src
    await producer.trail.stop()
    again = AuditTrail(
        database,
        producer.outbox,
        producer.inbox,
        keyring=producer.keyring,
        origin=Origin("referral"),
    )
    await again.start()
    assert again.src == src
    await database.write(lambda unit: again.record(unit, consultation()))
    assert await again.begin_epoch() == 2
    await database.write(lambda unit: again.record(unit, consultation()))
    assert await pending(database) == [(1, 1), (1, 2), (2, 1)]
    await again.stop()


async def test_two_instances_lease_different_producer_codes(
    producer: Producer, database_url: str, bus: EmbeddedBus, tmp_path: Path
) -> None:
    other_database = Database(database_url, clock=SystemClock(), name="other")
    await other_database.start()
    other = Producer(other_database, bus, tmp_path, SystemClock())
    await other.trail.start()
    assert other.trail.src != producer.trail.src
    await asyncio.gather(producer.record(), other.record(), producer.record(), other.record())
    assert await pending(other_database) == [(1, 1), (1, 1), (1, 2), (1, 2)]
    await other.trail.stop()
    await other_database.stop()


async def test_a_promise_names_the_durable_record_and_its_term(producer: Producer) -> None:
    ref = await producer.record()
    promise = await producer.trail.promise(ref.id)
    assert (promise.src, promise.ep, promise.seq, promise.h) == (producer.trail.src, 1, 1, ref.hash)
    assert timedelta(minutes=59) < promise.due - SystemClock().now() <= timedelta(hours=1)
    with pytest.raises(LookupError):
        await producer.trail.promise(uuid7())


async def test_a_heartbeat_says_the_highest_number(producer: Producer, database: Database) -> None:
    await producer.record()
    ref = await database.write(producer.trail.heartbeat)
    fields = check_record(ref.record)
    assert (fields["op"], fields["n"]) == ("heartbeat", 1)


async def test_a_code_that_is_typed_text_undoes_the_work_it_belongs_to(
    producer: Producer, database: Database
) -> None:
    with pytest.raises(RecordRefused):
        await producer.record(
            AuditEntry(operation="consultation", outcome="permit", actor=ACTOR, purpose="señora")
        )
    await producer.record()
    assert await pending(database) == [(1, 1)]


async def test_sealed_parts_open_for_their_record_until_the_subject_is_destroyed(
    producer: Producer, database: Database
) -> None:
    ref, other = await producer.record(), await producer.record(consultation(uuid7()))
    items = {
        check_record(unb64u(item.record))["id"]: item
        for batch in await producer.batches(2)
        for item in batch.items
    }
    subject, actor = (
        unb64u(text)
        for text in (items[str(ref.id)].subject_sealed, items[str(ref.id)].actor_sealed)
    )
    opened = await producer.trail.unseal(ref.id, "subject", subject)
    assert opened["detail"] == {"reason": "typed by a person"}
    assert [each["id"] for each in opened["subjects"]] == [str(ALICE)]  # type: ignore[attr-defined]
    assert (await producer.trail.unseal(ref.id, "actor", actor))["name"] == "Officer Seven"
    with pytest.raises(PartRefused):
        await producer.trail.unseal(other.id, "subject", subject)
    with pytest.raises(PartRefused):
        await producer.trail.unseal(ref.id, "actor", subject)
    assert await database.write(lambda unit: producer.trail.destroy_subject(unit, ALICE)) == 1
    with pytest.raises(PartDestroyed):
        await producer.trail.unseal(ref.id, "subject", subject)
    assert (await producer.trail.unseal(ref.id, "actor", actor))["subject"] == ACTOR.subject
    account = unb64u(items[str(ref.id)].account_sealed)
    assert await producer.trail.unseal(ref.id, "account", account) == {"text": "typed by a worker"}
    log = SmallLog()
    sent = await producer.batches(2)
    for receipts in [log.append(batch) for batch in sent]:
        await database.write(lambda unit, got=receipts: producer.trail.receive(unit, got))  # type: ignore[misc]
    erased = next(each for each in producer.receipts if each.record_id == ref.id)
    assert verify_proof(erased.proof, erased.leaf, log.signer.verifier).index == erased.index
    stranger = unb64u(items[str(other.id)].subject_sealed)
    assert await producer.trail.unseal(other.id, "subject", stranger)


async def test_records_of_a_group_cost_a_fixed_number_of_statements(
    producer: Producer, database: Database
) -> None:
    await producer.outbox.stop()

    async def once(count: int) -> int:
        with counting(database) as counted:
            await database.write(
                lambda unit: (
                    [producer.trail.record(unit, consultation()) for _ in range(count)] and None
                )
            )
        return counted.statements

    async def cost(count: int) -> int:
        """The least of three: the inbox looks after itself on the same database and may be counted
        along.
        """
        return min([await once(count) for _ in range(3)])

    assert (
        await cost(1) == await cost(40) == (6 if database.dialect == "sqlite" else 7)
    )  # PostgreSQL also wakes the relay


async def test_a_service_may_hand_its_batches_over_itself(
    database: Database, bus: EmbeddedBus, tmp_path: Path
) -> None:
    producer = Producer(database, bus, tmp_path, SystemClock())
    shipped: list[tuple[Unit, AuditBatch]] = []
    trail = AuditTrail(
        database,
        producer.outbox,
        producer.inbox,
        keyring=producer.keyring,
        origin=Origin("audit"),
        ship=lambda unit, batch: shipped.append((unit, batch)),
    )
    await ensure_schema(database, METADATA)
    await trail.start()
    await database.write(lambda unit: trail.record(unit, consultation()))
    (batch,) = [batch for _, batch in shipped]
    assert (batch.service, len(batch.items)) == ("audit", 1)
    assert await bus.read(topics.audit("audit")) == []
    await trail.stop()


async def test_what_has_done_its_duty_is_forgotten_and_what_is_unanswered_stays(
    database: Database, bus: EmbeddedBus, tmp_path: Path
) -> None:
    clock = ManualClock()
    producer = Producer(database, bus, tmp_path, clock)
    await producer.start()
    await producer.record()
    (batch,) = await producer.batches(1)
    await until(lambda: producer.outbox.relay.sent == 1)
    await say(bus, SmallLog().append(batch))
    await until(lambda: producer.inbox.tally.applied == 1)
    unanswered = await producer.record()
    await until(lambda: producer.outbox.relay.sent == 2)

    async def rows() -> list[int]:
        counts = [select(func.count()).select_from(table) for table in (OUTBOX, INBOX, PENDING)]
        return await database.read(lambda c: [c.execute(count).scalar_one() for count in counts])

    clock.advance(timedelta(days=29))
    await database.write(producer.trail.sweep)
    assert await rows() == [2, 1, 2]
    clock.advance(timedelta(days=2))
    await database.write(producer.trail.sweep)
    assert await rows() == [1, 1, 2], "a mark stays as long as a key of ours could open its event"
    clock.advance(timedelta(days=60))
    await database.write(producer.trail.sweep)
    assert await rows() == [1, 1, 1]
    assert (await producer.trail.promise(unanswered.id)).seq == 2
    await producer.stop()
