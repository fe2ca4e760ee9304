"""The outsider's command: what it says, what it refuses, and what it sees in the public leaves
alone."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from audit.verify import Sequences, folder_reader, http_reader, main, verify
from hubformats.audit_record import Leaf
from hubformats.tlog import Signer
from hubformats.tlog.whole_log import LogRefused, check_whole_log
from tests.support.audit_log import ORIGIN, LogHarness, records


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[LogHarness]:
    made = await LogHarness(tmp_path).open()
    await made.append(records(1, 300))
    await made.cycle()
    (tmp_path / "older").write_text(made.checkpoint)
    await made.append(records(304, 310))
    await made.cycle()
    (tmp_path / "vkey").write_text(made.log.format() + "\n")
    yield made
    await made.close()


async def test_the_command_says_what_it_verified(
    harness: LogHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    where = [str(harness.folder / "log"), "--vkey", str(harness.folder / "vkey")]
    kept = harness.folder / "kept"
    assert main([*where, "--older", str(harness.folder / "older"), "--keep", str(kept)]) == 0
    said = capsys.readouterr().out
    assert "308 entries" in said
    assert "3 numbers missing, 0 repeated" in said
    assert "extends the older checkpoint of 301 entries" in said
    assert "not yet witnessed" in said
    assert main([*where, "--older", str(kept)]) == 0


async def test_the_command_refuses_by_name(
    harness: LogHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    (harness.folder / "other").write_text(Signer(ORIGIN, b"\x09" * 32).verifier.format())
    assert main([str(harness.folder / "log"), "--vkey", str(harness.folder / "other")]) == 1
    assert "REFUSED: no-known-signature, first seen in checkpoint" in capsys.readouterr().out
    (harness.folder / "other").write_text("no key")
    assert main([str(harness.folder / "log"), "--vkey", str(harness.folder / "other")]) == 1
    assert main([str(harness.folder / "nothing"), "--vkey", str(harness.folder / "vkey")]) == 1
    assert "file-missing" in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--vkey", "--older", "--keep"])
async def test_a_file_that_cannot_be_used_is_named(
    harness: LogHarness, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    where = [str(harness.folder / "log"), "--vkey", str(harness.folder / "vkey")]
    for strange in (harness.folder / "no" / "such", harness.folder):
        assert main([*where, option, str(strange)]) == 2
        assert str(strange) in capsys.readouterr().err


async def test_a_log_read_over_http_is_the_same_log(harness: LogHarness) -> None:
    def served(request: httpx2.Request) -> httpx2.Response:
        path = harness.folder / "log" / request.url.path.removeprefix("/audit/log/")
        return (
            httpx2.Response(200, content=path.read_bytes())
            if path.is_file()
            else httpx2.Response(404)
        )

    with httpx2.Client(transport=httpx2.MockTransport(served)) as client:
        over_http = verify(http_reader(client, "http://hub.example.org/audit/log/"), harness.log)
        assert over_http == verify(folder_reader(harness.folder / "log"), harness.log)
        with pytest.raises(LogRefused, match="file-missing"):
            verify(http_reader(client, "http://hub.example.org/elsewhere"), harness.log)


async def test_a_log_that_grew_while_it_was_read_still_checks_out(harness: LogHarness) -> None:
    """The partial tiles of the checkpoint in hand may be gone once their full form is published."""
    note = harness.checkpoint.encode()
    await harness.append(records(311, 600))
    await harness.cycle()
    assert not (harness.folder / "log" / "tile" / "0" / "001.p").exists()
    read = harness.reader()
    whole = check_whole_log(lambda path: note if path == "checkpoint" else read(path), harness.log)
    assert whole.checkpoint.size == 308


def test_the_public_leaves_show_gaps_repeats_and_time_going_back() -> None:
    def leaf(seq: int, tr: int) -> bytes:
        return Leaf("src", 1, seq, tr, "h").encode()

    sequences = Sequences()
    for index, (seq, tr) in enumerate([(1, 5), (2, 5), (5, 6), (5, 7)]):
        sequences.take(index, leaf(seq, tr))
    assert (sequences.missing(), sequences.repeated()) == (2, 1)
    with pytest.raises(LogRefused, match="time-went-back"):
        sequences.take(4, leaf(6, 6))
    with pytest.raises(LogRefused, match="leaf-malformed"):
        sequences.take(5, b"{}")
