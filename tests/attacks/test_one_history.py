"""The log never has two histories: a database that is lost, older than or other than the published
checkpoint is refused; tiles that are lost are derived again from the entries.
"""

import errno
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from audit.log.model.entries import HistoryDiffers
from audit.log.repository.heads import SqlSequencerStore
from audit.log.repository.tiles import TileFolder
from common.database import DatabaseUnavailable
from hubformats.tlog.tiles import Tile, tiles_of
from hubformats.tlog.whole_log import check_whole_log
from tests.support.audit_log import LogHarness, check_receipts, records
from tests.support.modes import Mode

pytestmark = pytest.mark.both_modes


def database(folder: Path, name: str = "hub") -> Path:
    """The name of a log's database."""
    return folder / name / "audit.db"


@pytest.fixture
async def harness(tmp_path: Path, mode: Mode) -> AsyncIterator[LogHarness]:
    """A log of 601 entries, published, and stopped."""
    made = await LogHarness(tmp_path / "hub", url=mode.url(database(tmp_path))).open()
    for start in range(1, 600, 150):
        await made.append(records(start, start + 149))
        await made.cycle()
    await made.close()
    yield made
    await made.close()


async def refused(harness: LogHarness) -> tuple[str, int, int]:
    """How a start is refused."""
    with pytest.raises(HistoryDiffers) as found:
        await harness.open()
    return found.value.code, found.value.published, found.value.held


async def test_a_lost_or_emptied_database_begins_no_second_history(
    harness: LogHarness, mode: Mode, tmp_path: Path
) -> None:
    mode.lose(database(tmp_path))
    assert await refused(harness) == ("database-lost", 601, 0)
    await harness.close()
    mode.empty(database(tmp_path))
    assert await refused(harness) == ("database-lost", 601, 0)


async def test_an_older_copy_of_the_database_is_refused(
    harness: LogHarness, mode: Mode, tmp_path: Path
) -> None:
    mode.copy(database(tmp_path), tmp_path / "backup")
    await harness.open()
    await harness.append(records(601, 700))
    await harness.cycle()
    await harness.close()
    mode.copy(tmp_path / "backup", database(tmp_path))
    assert await refused(harness) == ("database-older", 701, 601)


async def test_another_log_under_the_same_key_is_refused(
    harness: LogHarness, mode: Mode, tmp_path: Path
) -> None:
    other = await LogHarness(tmp_path / "other", url=mode.url(database(tmp_path, "other"))).open()
    await other.append(records(1, 250))
    await other.append(records(251, 500))
    await other.append(records(501, 750))
    await other.cycle()
    await other.close()
    mode.copy(database(tmp_path, "other"), database(tmp_path))
    assert await refused(harness) == ("database-other", 601, 751)


async def gone(*_: object) -> None:
    """The database is away when the head is to be kept in it."""
    raise DatabaseUnavailable("away")


@pytest.mark.parametrize("spoilt", [b"", b"\xff\x00", b"cut"])
async def test_a_checkpoint_that_is_not_ours_is_refused(harness: LogHarness, spoilt: bytes) -> None:
    (harness.folder / "log" / "checkpoint").write_bytes(spoilt)
    assert (await refused(harness))[0] == "checkpoint-not-ours"


async def test_what_a_receipt_promised_counts_before_the_checkpoint_says_it(
    harness: LogHarness, mode: Mode, tmp_path: Path
) -> None:
    mode.copy(database(tmp_path), tmp_path / "backup")
    await harness.open()
    await harness.append(records(601, 700))
    await harness.sequencer.round()
    await harness.close()
    assert len(check_receipts(harness.receipts(), harness.log)) == 700
    assert "\n601\n" in (harness.folder / "log" / "checkpoint").read_text()
    mode.copy(tmp_path / "backup", database(tmp_path))
    assert await refused(harness) == ("database-older", 701, 601)
    await harness.close()
    # Nor does it help to let as many other entries in first.
    (harness.folder / "log" / "signed-head").rename(tmp_path / "signed-head")
    await harness.open()
    await harness.append(records(801, 950))
    await harness.cycle()
    await harness.close()
    shutil.copy(tmp_path / "signed-head", harness.folder / "log")
    assert await refused(harness) == ("database-other", 701, 751)


async def test_a_head_that_was_kept_before_its_receipts_were_is_gone_on_from(
    harness: LogHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await harness.open()
    await harness.append(records(601, 700))
    monkeypatch.setattr(SqlSequencerStore, "signed", gone)
    with pytest.raises(DatabaseUnavailable):
        await harness.sequencer.round()
    monkeypatch.undo()
    await harness.append(records(701, 710))
    await harness.close()
    assert "\n701\n" in (harness.folder / "log" / "signed-head").read_text()
    assert len(check_receipts(harness.receipts(), harness.log)) == 600
    await harness.open()
    await harness.cycle()
    assert len(check_receipts(harness.receipts(), harness.log)) == 710
    assert check_whole_log(harness.reader(), harness.log).checkpoint.size == 711


async def test_a_lost_checkpoint_is_written_again_beside_the_signed_head(
    harness: LogHarness,
) -> None:
    file = harness.folder / "log" / "checkpoint"
    before = file.read_bytes()
    file.unlink()
    await harness.open()
    assert file.read_bytes() == before


async def test_a_signed_head_that_is_not_ours_is_refused(harness: LogHarness) -> None:
    (harness.folder / "log" / "signed-head").write_bytes(b"cut")
    assert (await refused(harness))[0] == "signed-head-not-ours"


async def test_a_lost_folder_is_derived_again_byte_for_byte(harness: LogHarness) -> None:
    folder = harness.folder / "log"
    needed = ["checkpoint", *(tile.path() for tile in tiles_of(601))]
    before = {path: (folder / path).read_bytes() for path in needed}
    shutil.rmtree(folder)
    assert await refused(harness) == ("heads-lost", 0, 601)
    await harness.close()
    folder.mkdir(exist_ok=True)
    (folder / "checkpoint").write_bytes(before["checkpoint"])
    await harness.open()
    await harness.cycle()
    assert check_whole_log(harness.reader(), harness.log).checkpoint.size == 601
    assert {path: (folder / path).read_bytes() for path in before} == before


async def test_entries_that_do_not_give_the_signed_root_make_no_tiles(harness: LogHarness) -> None:
    await harness.open()
    spoil = "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE idx = 300) WHERE idx = 100"
    await harness.database.write(lambda unit: unit.connection.exec_driver_sql(spoil))
    await harness.close()
    shutil.rmtree(harness.folder / "log")
    await harness.open(boot=False)
    await harness.sequencer.start()
    assert harness.sequencer.halted == "entries-differ-from-head"
    assert not list((harness.folder / "log").rglob("tile/**/0*"))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_no_half_a_file_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    files, tile, real = TileFolder(tmp_path), Tile(0, 0), os.fsync

    def full(_handle: int) -> None:
        raise OSError(number, os.strerror(number))

    files.publish("before")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=os.strerror(number)):
        files.publish("after")
    monkeypatch.setattr(os, "fsync", real)
    assert files.published() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
    files.write(tile, b"bytes")
    assert files.read(tile) == b"bytes"
