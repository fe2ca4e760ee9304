"""SIGKILL on both sides of every durable step, and at random moments: nothing promised is lost,
nothing is signed twice differently."""

import asyncio
import base64
import random
import re
import shutil
import signal
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hubformats.audit_record import Leaf
from hubformats.clock import SystemClock
from hubformats.tlog.whole_log import check_whole_log
from tests.support.audit_child import main
from tests.support.audit_log import LogHarness, check_receipts, records
from tests.support.forked import begin, lived
from tests.support.members import until

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "services" / "audit" / "src" / "audit"
POINTS = sorted(
    {
        name
        for path in SOURCES.rglob("*.py")
        for name in re.findall(r'crash_point\("(audit\.[a-z-]+)"\)', path.read_text("utf-8"))
    }
)


@dataclass
class Said:
    """What the log told the world before it died."""

    committed: int = 0
    receipted: dict[int, int] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)

    def hear(self, output: str) -> None:
        """Take in whole lines only: the last one may be cut."""
        for line in output.split("\n")[:-1]:
            word, *rest = line.split(" ")
            if word == "committed":
                self.committed = int(rest[1])
            elif word == "receipted":
                self.receipted[int(rest[0])] = int(rest[1])
            elif word == "published":
                self.published.append(base64.b64decode(rest[0]).decode())


async def check_after(folder: Path, said: Said) -> LogHarness:
    """The oracle: restart, let the producer send everything again, and compare with every promise
    made before.
    """
    harness = await LogHarness(folder, SystemClock()).open()
    await harness.cycle()
    leaves: list[Leaf] = []
    for older in said.published[-5:] or [harness.checkpoint]:
        leaves.clear()
        check_whole_log(
            harness.reader(),
            harness.log,
            older=older,
            on_entry=lambda _, entry: leaves.append(Leaf.decode(entry)),
        )
    places = [(leaf.src, leaf.ep, leaf.seq) for leaf in leaves]
    assert len(set(places)) == len(places), "an entry stands in the log twice"
    index_of = {leaf.seq: index for index, leaf in enumerate(leaves) if leaf.src == "producer-one"}
    assert sorted(index_of) == list(range(1, len(index_of) + 1)), (
        "the producer's sequence has a hole"
    )
    assert len(index_of) >= said.committed, "a committed record is gone"
    assert {seq: index_of[seq] for seq in said.receipted} == said.receipted, (
        "a receipt pointed elsewhere"
    )
    times = [leaf.tr for leaf in leaves]
    assert times == sorted(times), "time went back"
    return harness


def test_there_is_a_crash_point_around_every_step() -> None:
    assert len(POINTS) == 11, POINTS


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A log of 300 records, and what it said while it grew."""
    folder = tmp_path_factory.mktemp("grown")
    clean = begin(main, folder, 1, 100, 3, output=folder / "said")
    clean.join(120)
    assert clean.exitcode == 0
    return folder, (folder / "said").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
async def test_death_at_a_step_loses_nothing(
    point: str, tmp_path: Path, grown: tuple[Path, str]
) -> None:
    said = Said()
    said.hear(grown[1])
    assert said.committed == len(said.receipted) == 300
    shutil.copytree(grown[0], tmp_path, dirs_exist_ok=True)
    code, heard = await lived(main, tmp_path, 301, 300, 2, output=tmp_path / "said", crash_at=point)
    assert code == -signal.SIGKILL
    said.hear(heard)
    harness = await check_after(tmp_path, said)
    again = await harness.append(records(301, 400))
    assert again.repeated + again.added + len(again.rejected) == 100
    await harness.append(records(601, 700))
    await harness.cycle()
    check_receipts(harness.receipts(), harness.log)
    check_whole_log(harness.reader(), harness.log, older=said.published[-1])
    await harness.close()


@pytest.mark.slow
async def test_death_at_random_moments_loses_nothing(tmp_path: Path) -> None:
    chance, said = random.Random(20261121), Said()
    for _ in range(6):
        first = said.committed + 1
        output = tmp_path / f"said-{first}"
        child = begin(main, tmp_path, first, 40, 10_000, output=output)
        await until(lambda output=output: output.exists() and bool(output.read_bytes()))  # type: ignore[misc]
        await asyncio.sleep(chance.uniform(0, 0.4))
        child.kill()
        await asyncio.to_thread(child.join)
        assert child.exitcode == -signal.SIGKILL
        said.hear(await asyncio.to_thread(output.read_text, "utf-8"))
        harness = await check_after(tmp_path, said)
        said.committed = max(said.committed, (await harness.state()).size - 1)
        await harness.close()
    assert said.committed > 240
