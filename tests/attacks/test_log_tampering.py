"""Every attack on the stored log that audit-log.md lists and one writer can try: each must be
refused, or stop the log, by name."""

import base64
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from audit.log.model.entries import HistoryDiffers, LogHalted
from audit.log.repository.search_rows import index_differences, rebuild_index
from common.testing import ManualClock
from hubformats.tlog import Checkpoint, ProofRefused, Signer, format_proof, verify_proof
from hubformats.tlog.tiles import tiles_of
from hubformats.tlog.whole_log import LogRefused, check_whole_log
from tests.support.audit_log import ORIGIN, LogHarness, batch, item, records
from tests.support.modes import Mode

TOKEN = "AAAAAAAAAAAAAAAAAAAAAA"
ZEROS = {"root": bytes(32), "edge": bytes(32 * (601).bit_count())}
"""In place of a hash, and of the right edge of 601 entries: one hash for each whole tree in it."""


@pytest.fixture
async def harness(tmp_path: Path, mode: Mode) -> AsyncIterator[LogHarness]:
    made = await LogHarness(tmp_path, url=mode.url(tmp_path / "audit.db")).open()
    for start in range(1, 600, 150):
        await made.append(
            records(start, start + 149, rcp="northmoor-idva", tokens={"case": (TOKEN,)})
        )
        await made.cycle()
    yield made
    await made.close()


def overwrite(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def needed(harness: LogHarness) -> list[Path]:
    """Every file that the newest checkpoint stands on."""
    folder = harness.folder / "log"
    return [folder / "checkpoint", *(folder / tile.path() for tile in tiles_of(601))]


async def sql(harness: LogHarness, statement: str, **values: object) -> None:
    """What an insider with the database's own rights does."""
    await harness.database.write(lambda unit: unit.connection.execute(text(statement), values))


async def halt_of_restart(harness: LogHarness) -> str | None:
    """Why the log does not go on after a restart; readers still get what was published."""
    await harness.close()
    await harness.open(boot=False)
    await harness.sequencer.start()
    assert harness.alarms == ([harness.sequencer.halted] if harness.sequencer.halted else [])
    return harness.sequencer.halted


async def test_the_untouched_log_is_accepted_and_restarts(harness: LogHarness) -> None:
    assert check_whole_log(harness.reader(), harness.log).checkpoint.size == 601
    assert await halt_of_restart(harness) is None


async def test_one_flipped_bit_in_any_file_is_refused_in_that_file(harness: LogHarness) -> None:
    folder = harness.folder / "log"
    for path in needed(harness):
        good = path.read_bytes()
        for place in {0, len(good) // 2, len(good) - 1}:
            overwrite(path, good[:place] + bytes([good[place] ^ 0x10]) + good[place + 1 :])
            with pytest.raises(LogRefused) as refused:
                check_whole_log(harness.reader(), harness.log)
            shown = path.relative_to(folder).as_posix()
            # A changed entry shows in the tile above it, because the bundle by itself still parses.
            assert refused.value.place in {shown, shown.replace("entries", "0")}
        overwrite(path, good)
    check_whole_log(harness.reader(), harness.log)


async def test_a_missing_or_shortened_file_is_refused(harness: LogHarness) -> None:
    for path in needed(harness):
        good = path.read_bytes()
        overwrite(path, good[:-1])
        with pytest.raises(LogRefused):
            check_whole_log(harness.reader(), harness.log)
        path.unlink()
        with pytest.raises(LogRefused):
            check_whole_log(harness.reader(), harness.log)
        path.write_bytes(good)


async def test_a_log_rolled_back_to_an_older_head_is_refused_by_whoever_kept_the_newer(
    harness: LogHarness, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    shutil.copytree(harness.folder / "log", kept)
    await harness.append(records(601, 700))
    await harness.cycle()
    newer = harness.checkpoint
    check_whole_log(lambda path: (kept / path).read_bytes(), harness.log)
    with pytest.raises(LogRefused, match="log-shrank"):
        check_whole_log(lambda path: (kept / path).read_bytes(), harness.log, older=newer)


async def test_a_rewritten_history_is_refused_although_the_true_key_signed_it(
    harness: LogHarness, mode: Mode, tmp_path_factory: pytest.TempPathFactory
) -> None:
    older, fork = harness.checkpoint, tmp_path_factory.mktemp("fork")
    other = await LogHarness(fork, url=mode.url(fork / "audit.db")).open()
    await other.append(records(1, 250))
    await other.append(records(251, 500))
    await other.append(records(501, 750))
    await other.cycle()
    check_whole_log(other.reader(), other.log)
    with pytest.raises(LogRefused, match="history-differs"):
        check_whole_log(other.reader(), other.log, older=older)
    await other.close()


async def test_a_head_of_another_key_or_another_log_is_refused(harness: LogHarness) -> None:
    root = check_whole_log(harness.reader(), harness.log).checkpoint.root
    stranger = Signer(ORIGIN, b"\x66" * 32)
    (harness.folder / "log" / "checkpoint").write_text(
        stranger.sign(Checkpoint(ORIGIN, 601, root).text())
    )
    with pytest.raises(LogRefused, match="no-known-signature"):
        check_whole_log(harness.reader(), harness.log)


async def test_a_forged_receipt_proves_nothing(harness: LogHarness) -> None:
    receipts = harness.receipts()[-1]
    first, second = receipts.items[:2]
    leaf = base64.urlsafe_b64decode(first.leaf + "==="[: -len(first.leaf) % 4])
    path = [base64.b64decode(node) for node in first.path]
    forged = {
        "another index": format_proof(second.index, path, receipts.checkpoint),
        "another path": format_proof(
            first.index, [base64.b64decode(node) for node in second.path], receipts.checkpoint
        ),
        "a shorter path": format_proof(first.index, path[:-1], receipts.checkpoint),
        "an older head": format_proof(first.index, path, harness.receipts()[0].checkpoint),
        "a self-made head": format_proof(
            first.index,
            path,
            Signer(ORIGIN, b"\x66" * 32).sign(
                receipts.checkpoint.split("\n\n", maxsplit=1)[0] + "\n"
            ),
        ),
    }
    assert (
        verify_proof(format_proof(first.index, path, receipts.checkpoint), leaf, harness.log).index
        == first.index
    )
    for name, proof in forged.items():
        with pytest.raises(ProofRefused):
            pytest.fail(f"{name} was accepted: {verify_proof(proof, leaf, harness.log)}")
    with pytest.raises(ProofRefused):
        verify_proof(
            format_proof(first.index, path, receipts.checkpoint),
            leaf.replace(b'"seq":', b'"seq":1'),
            harness.log,
        )


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE log_state SET root = :root", "edge-differs-from-root"),
        ("UPDATE log_state SET edge = :edge", "edge-differs-from-root"),
        ("UPDATE log_state SET size = size - 1", "edge-differs-from-root"),
        ("UPDATE head SET note = replace(note, '601', '602') WHERE size = 601", "head-not-ours"),
        ("UPDATE head SET root = :root WHERE size = 601", "head-differs"),
        ("DELETE FROM head WHERE size = 601", "head-missing"),
        ("UPDATE log_state SET receipted = 301", ""),
        (
            "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE idx = 599) WHERE idx = 600",
            "tiles-differ-from-head",
        ),
        (
            "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE idx = 300) WHERE idx = 400",
            "bundle-differs-from-tile",
        ),
        ("DELETE FROM entry WHERE idx = 600", "entries-missing"),
        ("DELETE FROM log_state", ""),
    ],
)
async def test_an_edited_database_stops_the_log_at_the_next_start(
    harness: LogHarness, statement: str, code: str
) -> None:
    zeros = {name: value for name, value in ZEROS.items() if f":{name}" in statement}
    await sql(harness, statement, **zeros)
    if statement == "DELETE FROM log_state":
        # A fresh state over an old log would be a second history: nothing starts at all.
        await harness.close()
        with pytest.raises(HistoryDiffers, match="database-lost"):
            await harness.open()
        return
    if "receipted = 301" in statement:
        # Going back to an older signed head is harmless by itself: the same entries give the same
        # newer head again.
        assert await halt_of_restart(harness) is None
        assert harness.sequencer.signed_size == 601
        return
    halted = await halt_of_restart(harness)
    assert halted == code
    check_whole_log(harness.reader(), harness.log)


@pytest.mark.parametrize("name", ["tile/0/001", "tile/entries/001", "tile/0/000"])
async def test_an_edited_tile_stops_the_log_and_a_missing_one_is_derived_again(
    harness: LogHarness, name: str
) -> None:
    path = harness.folder / "log" / name
    good = path.read_bytes()
    overwrite(path, good[:-1] + b"\x00")
    assert await halt_of_restart(harness) in {"tiles-differ-from-head", "bundle-differs-from-tile"}
    path.unlink()
    harness.alarms.clear()
    assert await halt_of_restart(harness) is None
    assert path.read_bytes() == good


async def test_one_bit_flipped_between_commit_and_signature_is_never_signed(
    harness: LogHarness,
) -> None:
    await harness.append(records(601, 620))
    await sql(
        harness, "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE idx = 611) WHERE idx = 610"
    )
    with pytest.raises(LogHalted, match="root-differs"):
        await harness.sequencer.round()
    assert (await harness.state()).receipted == 601


async def test_a_full_tile_is_never_written_a_second_time_with_other_bytes(
    harness: LogHarness,
) -> None:
    foreign = harness.folder / "log" / "tile" / "0" / "002"
    foreign.write_bytes(b"\x00" * 8192)
    await harness.append(records(601, 800))
    with pytest.raises(LogHalted, match="tile-would-change"):
        await harness.sequencer.round()


async def test_a_clock_set_back_repeats_the_last_time_then_stops_the_log(
    tmp_path: Path, mode: Mode
) -> None:
    clock = ManualClock()
    harness = await LogHarness(tmp_path, clock, mode.url(tmp_path / "audit.db")).open()
    await harness.append(records(1, 1))
    clock.advance(timedelta(seconds=-1))
    assert not (await harness.append(records(2, 2))).clock_went_back
    clock.advance(timedelta(seconds=-9))
    assert (await harness.append(records(3, 3))).clock_went_back
    before = (await harness.state()).last_tr
    clock.advance(timedelta(seconds=-51))
    with pytest.raises(LogHalted, match="clock-went-back"):
        await harness.append(records(4, 4))
    assert (await harness.state()).last_tr == before == ManualClock().micros()
    await harness.close()


async def test_an_insider_who_edits_the_search_rows_is_found_and_the_rows_are_rebuilt(
    harness: LogHarness,
) -> None:
    await harness.append(batch([item(601, bg=True)]))
    assert await harness.database.read(index_differences) == []
    await sql(harness, "DELETE FROM lookup WHERE idx = 17")
    await sql(harness, "UPDATE lookup SET rcp = 'northmoor-housing' WHERE idx = 18")
    await sql(harness, "DELETE FROM token WHERE idx = 19")
    await sql(harness, "UPDATE lookup SET bg = false WHERE idx = 601")
    assert await harness.database.read(index_differences) == [17, 18, 19, 601]
    assert await harness.database.write(lambda unit: rebuild_index(unit.connection)) == 602
    assert await harness.database.read(index_differences) == []


async def test_no_entry_may_be_rewritten_by_the_services_own_statements(
    harness: LogHarness,
) -> None:
    def taken(connection: Connection) -> int:
        return int(connection.execute(text("SELECT count(*) FROM entry")).scalar_one())

    before = await harness.database.read(taken)
    await harness.append(records(1, 150, n=1))
    assert (
        await harness.database.read(taken)
    ) == before + 150  # each a `rejected` entry of its own
    assert check_whole_log(harness.reader(), harness.log).checkpoint.size == before
