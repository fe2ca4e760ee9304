"""What an interrupted run of kills has judged so far, kept on disk so that it can go on."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import RESULTS
from tests.support.stress import Stress

FILE: Final = RESULTS / "kills-progress.json"
A_HUB: Final = 30
"""Kills one hub lives through before it is judged and a fresh one is taken."""


class NothingToResume(LookupError):
    """No run was interrupted here."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One hub with its deaths, as the oracle found it. `told` is empty when all was right."""

    mode: str
    seed: int
    kills: int
    at_points: int
    figures: Mapping[str, int]
    wrong: int
    told: str
    back: tuple[float, ...]
    """Seconds until everything was ready again, death by death."""

    @classmethod
    def of(cls, found: Stress) -> "Judged":
        """Keep of a stress run what the report needs."""
        return cls(
            found.mode,
            found.seed,
            len(found.deaths),
            sum(1 for death in found.deaths if death.kill.point and death.reached),
            dict(found.verdict.figures),
            len(found.verdict.wrong),
            found.told() if found.verdict.wrong else "",
            tuple(death.back for death in found.deaths),
        )


@dataclass(slots=True)
class Progress:
    """A run: its seed, how many kills in each mode, and what is judged."""

    seed: int
    shares: dict[str, int]
    judged: list[Judged] = field(default_factory=list)

    def of_mode(self, mode: str) -> list[Judged]:
        """The hubs judged in this mode."""
        return [each for each in self.judged if each.mode == mode]

    def next_hub(self, mode: str) -> tuple[int, int] | None:
        """Seed and number of kills of the next hub of a mode; None when the mode is done."""
        done = self.of_mode(mode)
        left = self.shares[mode] - sum(each.kills for each in done)
        return (self.seed + len(done), min(left, A_HUB)) if left > 0 else None

    def add(self, judged: Judged, file: Path = FILE) -> None:
        """Note a judged hub, on disk before the next one starts.

        Killed before this, the hub is not judged, and the run goes on with the same seed again.
        """
        self.judged.append(judged)
        self.save(file)

    def save(self, file: Path = FILE) -> None:
        """Write it whole beside the old one, then in its place."""
        file.parent.mkdir(exist_ok=True)
        part = file.with_suffix(".part.json")
        part.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")
        part.replace(file)


def resumed(file: Path = FILE) -> Progress:
    """Read the run that was interrupted. Raises NothingToResume."""
    try:
        kept: dict[str, Any] = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        raise NothingToResume from None
    judged = [Judged(**{**each, "back": tuple(each["back"])}) for each in kept["judged"]]
    return Progress(kept["seed"], kept["shares"], judged)
