"""The log as a whole on a real database and folder: what goes in comes out signed, provable and
checkable by a stranger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from audit.domain import LogHalted
from hubformats.canonical import b64u
from hubformats.tlog import verify_proof
from hubformats.tlog.whole_log import check_whole_log
from tests.support.audit_log import LogBed, batch, check_receipts, item, records


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[LogBed]:
    made = await LogBed(tmp_path).open()
    yield made
    await made.close()


async def test_every_record_gets_a_receipt_that_verifies_and_the_log_checks_out(
    bed: LogBed,
) -> None:
    await bed.cycle()
    for first in (1, 4, 200, 456):
        last = {1: 3, 4: 199, 200: 455, 456: 700}[first]
        for start in range(first, last + 1, 250):
            await bed.append(records(start, min(last, start + 249)))
        await bed.cycle()
    placed = check_receipts(bed.receipts(), bed.log)
    assert sorted(placed.values()) == list(range(1, 701))
    assert [placed["producer-one", 1, seq] for seq in range(1, 701)] == list(range(1, 701))
    assert check_whole_log(bed.reader(), bed.log).checkpoint.size == 701


async def test_a_proof_of_any_old_entry_verifies_under_the_newest_head(bed: LogBed) -> None:
    leaves: list[bytes] = []
    for start in range(1, 1200, 200):
        await bed.append(records(start, start + 199))
        await bed.cycle()
    check_whole_log(bed.reader(), bed.log, on_entry=lambda _, leaf: leaves.append(leaf))
    for index in (0, 1, 255, 256, 511, 700, 1200):
        assert verify_proof(await bed.sequencer.prove(index), leaves[index], bed.log).size == 1201
    with pytest.raises(IndexError):
        await bed.sequencer.prove(1201)


async def test_an_older_checkpoint_is_the_state_the_log_once_had(bed: LogBed) -> None:
    older: list[str] = []
    for start in range(1, 1025, 128):
        await bed.append(records(start, start + 127))
        await bed.cycle()
        older.append(bed.sequencer.checkpoint)
    for note in older:
        assert check_whole_log(bed.reader(), bed.log, older=note).extends is not None


async def test_a_restart_goes_on_where_the_log_was(tmp_path: Path) -> None:
    bed = await LogBed(tmp_path).open()
    for start in range(1, 600, 100):
        await bed.append(records(start, start + 99))
        await bed.cycle()
        await bed.close()
        await bed.open()
    await bed.cycle()
    assert len(check_receipts(bed.receipts(), bed.log)) == 600
    assert check_whole_log(bed.reader(), bed.log).checkpoint.size == 601
    await bed.close()


async def test_a_repeat_is_ignored_and_its_receipt_sent_again_under_the_newest_head(
    bed: LogBed,
) -> None:
    sent = records(1, 5)
    await bed.append(sent)
    await bed.cycle()
    await bed.append(records(6, 300))
    await bed.cycle()
    before = len(bed.receipts())
    intake = await bed.append(sent)
    assert (intake.added, intake.repeated) == (0, 5)
    await bed.sequencer.round()
    again = bed.receipts()[before:]
    assert sorted(check_receipts(again, bed.log)) == [
        ("producer-one", 1, seq) for seq in range(1, 6)
    ]
    assert (await bed.state()).size == 301
    await bed.sequencer.round()
    assert len(bed.receipts()) == before + len(again)


async def test_another_record_in_a_taken_place_is_rejected_and_the_first_one_stands(
    bed: LogBed,
) -> None:
    await bed.append(records(1, 2))
    intake = await bed.append(batch([item(2, n=7)]))
    assert intake.rejected == ["place-taken"]
    await bed.cycle()
    assert [(event.seq, event.code, event.index) for event in bed.rejections()] == [
        (2, "place-taken", 3)
    ]
    assert check_receipts(bed.receipts(), bed.log)["producer-one", 1, 2] == 2


async def test_a_malformed_record_becomes_a_rejected_entry_in_its_place_and_blocks_nobody(
    bed: LogBed,
) -> None:
    bad = item(2).model_copy(update={"record": b64u(b'{"v":1,"name":"Somebody"}')})
    intake = await bed.append(batch([item(1), bad, item(3)]))
    assert (intake.added, intake.rejected) == (2, ["record-malformed"])
    await bed.cycle()
    assert sorted(check_receipts(bed.receipts(), bed.log)) == [
        ("producer-one", 1, 1),
        ("producer-one", 1, 3),
    ]
    assert [
        (event.src, event.epoch, event.seq, event.code, event.index) for event in bed.rejections()
    ] == [("producer-one", 1, 2, "record-malformed", 2)]
    again = await bed.append(batch([bad]))
    assert (again.repeated, again.rejected) == (1, [])
    await bed.cycle()
    assert [event.index for event in bed.rejections()] == [2, 2]


@pytest.mark.parametrize("code", ["salt", "token", "service", "encoding"])
async def test_each_defect_has_its_code(bed: LogBed, code: str) -> None:
    changes: dict[str, dict[str, object]] = {
        "salt": {"salt": b64u(b"short")},
        "token": {"tokens": {"case": ("AAAA",)}},
        "service": {"record": item(1, service="referral").record},
        "encoding": {"record": "!!"},
    }
    intake = await bed.append(batch([item(1).model_copy(update=changes[code])]))
    assert intake.rejected == [
        {"salt": "salt-malformed", "token": "token-malformed", "service": "service-differs"}.get(
            code, "encoding-malformed"
        )
    ]


async def test_a_source_belongs_to_the_service_that_used_it_first(bed: LogBed) -> None:
    await bed.append(records(1, 3))
    stolen = batch([item(4, service="referral")], service="referral")
    intake = await bed.append(stolen, service="referral")
    assert intake.rejected == ["source-of-another"]
    own = (await bed.state()).own_src
    assert (await bed.append(batch([item(9)], src=own))).rejected == ["source-of-another"]
    assert (await bed.append(batch([item(5)], service="identity"))).rejected == ["service-differs"]
    assert (await bed.append(batch([item(5)], src="s" * 65))).rejected == ["place-impossible"]
    assert (await bed.append(batch([item(0)]))).rejected == ["place-impossible"]
    await bed.append(records(4, 4))
    await bed.cycle()
    assert (
        next(to for to, event in bed.outbox.sent if event.TYPE == "hub.audit-rejected")
        == "svc:referral"
    )
    assert ("producer-one", 1, 4) in check_receipts(bed.receipts(), bed.log)
    check_whole_log(bed.reader(), bed.log)


async def test_a_gap_is_noted_not_waited_for_and_closes_when_the_missing_arrive(
    bed: LogBed,
) -> None:
    await bed.append(records(1, 2))
    assert (await bed.append(records(6, 7))).missing == 3
    await bed.cycle()
    assert len(check_receipts(bed.receipts(), bed.log)) == 4
    assert await gaps(bed) == [(3, 5)]
    await bed.append(records(4, 4))
    assert await gaps(bed) == [(3, 3), (5, 5)]
    await bed.append(records(3, 5))
    assert await gaps(bed) == []


async def gaps(bed: LogBed) -> list[tuple[int, int]]:
    rows = await bed.database.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT first, last FROM gap ORDER BY first"
        ).all()
    )
    return [(row[0], row[1]) for row in rows]


async def test_an_older_sequencer_can_neither_append_nor_sign_nor_publish(bed: LogBed) -> None:
    await bed.append(records(1, 2))
    old = bed.sequencer
    await old.round()
    await bed.append(records(3, 3))
    new = bed.new_sequencer()
    await new.boot()
    with pytest.raises(LogHalted, match="fence-lost"):
        await bed.append(records(4, 6), sequencer=old)
    with pytest.raises(LogHalted, match="fence-lost"):
        await old.round()
    await bed.append(records(4, 6), sequencer=new)
    await new.round()
    await new.publish()
    published = (await bed.state()).published
    with pytest.raises(LogHalted, match="fence-lost"):
        await old.publish()
    assert (await bed.state()).published == published == 7


async def test_partial_tiles_go_once_the_full_one_is_published(bed: LogBed) -> None:
    await bed.append(records(1, 100))
    await bed.cycle()
    assert (tmp := bed.folder / "log" / "tile" / "0").joinpath("000.p", "101").exists()
    await bed.append(records(101, 300))
    await bed.cycle()
    assert tmp.joinpath("000").exists()
    assert not tmp.joinpath("000.p").exists()
    assert not (bed.folder / "log" / "tile" / "entries" / "000.p").exists()
    check_whole_log(bed.reader(), bed.log)
