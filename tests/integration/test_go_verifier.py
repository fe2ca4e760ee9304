"""Go's own note and tlog packages, code we did not write, accept our log and our proofs, and refuse
every change to them."""

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubformats.tlog import Signer
from tests.support.audit_log import LogHarness, records
from tests.support.goverify import GoVerifier, build

pytestmark = [pytest.mark.go, pytest.mark.slow]


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> GoVerifier:
    return build(tmp_path_factory.mktemp("goverify"))


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[LogHarness]:
    made = await LogHarness(tmp_path).open()
    for start in range(1, 1401, 200):
        await made.append(records(start, start + 199))
        await made.cycle()
        (tmp_path / f"older-{start}").write_text(made.checkpoint)
    yield made
    await made.close()


async def test_go_accepts_the_whole_log_and_that_it_only_grew(
    harness: LogHarness, go: GoVerifier
) -> None:
    older = sorted(harness.folder.glob("older-*"))
    accepted, said = go.log(harness.folder / "log", harness.log.format(), *older)
    assert accepted, said
    assert said.startswith("accepted size=1401 ")


async def test_go_accepts_each_proof_for_its_entry_only(
    harness: LogHarness, go: GoVerifier
) -> None:
    proof, leaf, other = (
        harness.folder / "entry.tlog-proof",
        harness.folder / "leaf",
        harness.folder / "other",
    )
    for index in (0, 1, 255, 256, 1023, 1400):
        entry = await harness.leaf(index)
        proof.write_text(await harness.sequencer.prove(index))
        leaf.write_bytes(entry)
        assert go.proof(proof, leaf, harness.log.format()) == (
            True,
            f"accepted index={index} size=1401",
        )
        other.write_bytes(entry[:-2] + b"x}")
        assert not go.proof(proof, other, harness.log.format())[0]


async def test_go_refuses_another_key_a_flipped_byte_and_a_rewritten_history(
    harness: LogHarness, go: GoVerifier
) -> None:
    vkey, folder = harness.log.format(), harness.folder / "log"
    assert not go.log(folder, Signer("log.example.org/northmoor", b"\x55" * 32).verifier.format())[
        0
    ]
    for name in (
        "tile/entries/001",
        "tile/0/002",
        "tile/1/000.p/5",
        "tile/entries/005.p/121",
        "checkpoint",
    ):
        path = folder / name
        good = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(good[:40] + bytes([good[40] ^ 1]) + good[41:])
        assert not go.log(folder, vkey)[0], name
        path.write_bytes(good)
    assert go.log(folder, vkey)[0]
    forged = harness.folder / "forged"
    forged.write_text(harness.signer.sign(777, b"\x01" * 32))
    assert not go.log(folder, vkey, forged)[0]


def test_go_says_how_it_is_called(go: GoVerifier) -> None:
    done = subprocess.run([str(go.program)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "usage: goverify log FOLDER VKEY [OLDER-CHECKPOINT-FILE]" in done.stdout
    assert "goverify proof PROOF-FILE LEAF-FILE VKEY" in done.stdout
