"""The log as a whole on a real database and folder: what goes in comes out signed, provable and
checkable by a stranger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from audit.log.model.entries import LogHalted
from hubformats.canonical import b64u
from hubformats.tlog import verify_proof
from hubformats.tlog.whole_log import check_whole_log
from tests.support.audit_log import LogHarness, batch, check_receipts, item, records


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[LogHarness]:
    made = await LogHarness(tmp_path).open()
    yield made
    await made.close()


async def test_every_record_gets_a_receipt_that_verifies_and_the_log_checks_out(
    harness: LogHarness,
) -> None:
    await harness.cycle()
    for first in (1, 4, 200, 456):
        last = {1: 3, 4: 199, 200: 455, 456: 700}[first]
        for start in range(first, last + 1, 250):
            await harness.append(records(start, min(last, start + 249)))
        await harness.cycle()
    placed = check_receipts(harness.receipts(), harness.log)
    assert sorted(placed.values()) == list(range(1, 701))
    assert [placed["producer-one", 1, seq] for seq in range(1, 701)] == list(range(1, 701))
    assert check_whole_log(harness.reader(), harness.log).checkpoint.size == 701


async def test_a_proof_of_any_old_entry_verifies_under_the_newest_head(harness: LogHarness) -> None:
    leaves: list[bytes] = []
    for start in range(1, 1200, 200):
        await harness.append(records(start, start + 199))
        await harness.cycle()
    check_whole_log(harness.reader(), harness.log, on_entry=lambda _, leaf: leaves.append(leaf))
    for index in (0, 1, 255, 256, 511, 700, 1200):
        assert (
            verify_proof(await harness.sequencer.prove(index), leaves[index], harness.log).size
            == 1201
        )
    with pytest.raises(IndexError):
        await harness.sequencer.prove(1201)


async def test_an_older_checkpoint_is_the_state_the_log_once_had(harness: LogHarness) -> None:
    older: list[str] = []
    for start in range(1, 1025, 128):
        await harness.append(records(start, start + 127))
        await harness.cycle()
        older.append(harness.checkpoint)
    for note in older:
        assert check_whole_log(harness.reader(), harness.log, older=note).extends is not None


async def test_a_restart_goes_on_where_the_log_was(tmp_path: Path) -> None:
    harness = await LogHarness(tmp_path).open()
    for start in range(1, 600, 100):
        await harness.append(records(start, start + 99))
        await harness.cycle()
        await harness.close()
        await harness.open()
    await harness.cycle()
    assert len(check_receipts(harness.receipts(), harness.log)) == 600
    assert check_whole_log(harness.reader(), harness.log).checkpoint.size == 601
    await harness.close()


async def test_a_repeat_is_ignored_and_its_receipt_sent_again_under_the_newest_head(
    harness: LogHarness,
) -> None:
    sent = records(1, 5)
    await harness.append(sent)
    await harness.cycle()
    await harness.append(records(6, 300))
    await harness.cycle()
    before = len(harness.receipts())
    intake = await harness.append(sent)
    assert (intake.added, intake.repeated) == (0, 5)
    await harness.sequencer.round()
    again = harness.receipts()[before:]
    assert sorted(check_receipts(again, harness.log)) == [
        ("producer-one", 1, seq) for seq in range(1, 6)
    ]
    assert (await harness.state()).size == 301
    await harness.sequencer.round()
    assert len(harness.receipts()) == before + len(again)


async def test_another_record_in_a_taken_place_is_rejected_and_the_first_one_stands(
    harness: LogHarness,
) -> None:
    await harness.append(records(1, 2))
    intake = await harness.append(batch([item(2, n=7)]))
    assert intake.rejected == ["place-taken"]
    await harness.cycle()
    assert [(event.seq, event.code, event.index) for event in harness.rejections()] == [
        (2, "place-taken", 3)
    ]
    assert check_receipts(harness.receipts(), harness.log)["producer-one", 1, 2] == 2


async def test_a_malformed_record_becomes_a_rejected_entry_in_its_place_and_blocks_nobody(
    harness: LogHarness,
) -> None:
    bad = item(2).model_copy(update={"record": b64u(b'{"v":1,"name":"Somebody"}')})
    intake = await harness.append(batch([item(1), bad, item(3)]))
    assert (intake.added, intake.rejected) == (2, ["record-malformed"])
    await harness.cycle()
    assert sorted(check_receipts(harness.receipts(), harness.log)) == [
        ("producer-one", 1, 1),
        ("producer-one", 1, 3),
    ]
    assert [
        (event.src, event.epoch, event.seq, event.code, event.index)
        for event in harness.rejections()
    ] == [("producer-one", 1, 2, "record-malformed", 2)]
    again = await harness.append(batch([bad]))
    assert (again.repeated, again.rejected) == (1, [])
    await harness.cycle()
    assert [event.index for event in harness.rejections()] == [2, 2]


@pytest.mark.parametrize("code", ["salt", "token", "service", "encoding"])
async def test_each_defect_has_its_code(harness: LogHarness, code: str) -> None:
    changes: dict[str, dict[str, object]] = {
        "salt": {"salt": b64u(b"short")},
        "token": {"tokens": {"case": ("AAAA",)}},
        "service": {"record": item(1, service="referral").record},
        "encoding": {"record": "!!"},
    }
    intake = await harness.append(batch([item(1).model_copy(update=changes[code])]))
    assert intake.rejected == [
        {"salt": "salt-malformed", "token": "token-malformed", "service": "service-differs"}.get(
            code, "encoding-malformed"
        )
    ]


async def test_a_source_belongs_to_the_service_that_used_it_first(harness: LogHarness) -> None:
    await harness.append(records(1, 3))
    stolen = batch([item(4, service="referral")], service="referral")
    intake = await harness.append(stolen, service="referral")
    assert intake.rejected == ["source-of-another"]
    own = (await harness.state()).own_src
    assert (await harness.append(batch([item(9)], src=own))).rejected == ["source-of-another"]
    assert (await harness.append(batch([item(5)], service="identity"))).rejected == [
        "service-differs"
    ]
    assert (await harness.append(batch([item(5)], src="s" * 65))).rejected == ["place-impossible"]
    assert (await harness.append(batch([item(0)]))).rejected == ["place-impossible"]
    await harness.append(records(4, 4))
    await harness.cycle()
    assert (
        next(to for to, event in harness.outbox.sent if event.TYPE == "hub.audit-rejected")
        == "svc:referral"
    )
    assert ("producer-one", 1, 4) in check_receipts(harness.receipts(), harness.log)
    check_whole_log(harness.reader(), harness.log)


async def test_a_gap_is_noted_not_waited_for_and_closes_when_the_missing_arrive(
    harness: LogHarness,
) -> None:
    await harness.append(records(1, 2))
    assert (await harness.append(records(6, 7))).missing == 3
    await harness.cycle()
    assert len(check_receipts(harness.receipts(), harness.log)) == 4
    assert await gaps(harness) == [(3, 5)]
    await harness.append(records(4, 4))
    assert await gaps(harness) == [(3, 3), (5, 5)]
    await harness.append(records(3, 5))
    assert await gaps(harness) == []


async def gaps(harness: LogHarness) -> list[tuple[int, int]]:
    rows = await harness.database.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT first, last FROM gap ORDER BY first"
        ).all()
    )
    return [(row[0], row[1]) for row in rows]


async def test_an_older_sequencer_can_neither_append_nor_sign_nor_publish(
    harness: LogHarness,
) -> None:
    await harness.append(records(1, 2))
    old = harness.sequencer
    await old.round()
    await harness.append(records(3, 3))
    new = harness.new_sequencer()
    await new.boot()
    with pytest.raises(LogHalted, match="fence-lost"):
        await harness.append(records(4, 6), sequencer=old)
    with pytest.raises(LogHalted, match="fence-lost"):
        await old.round()
    await harness.append(records(4, 6), sequencer=new)
    await new.round()
    await new.publish()
    published = (await harness.state()).published
    with pytest.raises(LogHalted, match="fence-lost"):
        await old.publish()
    assert (await harness.state()).published == published == 7


async def test_partial_tiles_go_once_the_full_one_is_published(harness: LogHarness) -> None:
    await harness.append(records(1, 100))
    await harness.cycle()
    assert (tmp := harness.folder / "log" / "tile" / "0").joinpath("000.p", "101").exists()
    await harness.append(records(101, 300))
    await harness.cycle()
    assert tmp.joinpath("000").exists()
    assert not tmp.joinpath("000.p").exists()
    assert not (harness.folder / "log" / "tile" / "entries" / "000.p").exists()
    check_whole_log(harness.reader(), harness.log)
