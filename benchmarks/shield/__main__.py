"""`python -m benchmarks.shield`: how many invented places the shield finds, how many harmless figures
it takes for one, and what masking costs with and without a form made to be slow."""

import json
import time
from collections.abc import Callable
from typing import Final

from benchmarks import measuring
from hubformats.masking import Mask
from hubformats.shield import Places, shield
from tests.support.place_texts import harmless, places

SIZE: Final = 256 * 1024
HOSTILE: Final = {
    "numbers and streets": "1 a b c road ",
    "encoded in layers": "%25252541",
    "packed": "Tlo5IDRRWA== ",
    "postcodes": "NZ9 4QX ",
}


def main() -> None:
    """Measure and report."""
    chosen = measuring.parser(__doc__).parse_args()
    rounds, size = (1, 4_096) if chosen.smoke else (chosen.rounds, SIZE)
    found, kept = places(), harmless()
    report = measuring.Report(
        "shield",
        "places found and harmless figures kept, of invented sentences; an ordinary text beside "
        "texts made to be slow",
        f"{len(found)} places, {len(kept)} harmless sentences; texts of {size:,} characters, "
        f"{max(rounds - 1, 1)} counted rounds",
        smoke=chosen.smoke,
    )
    mask = shield(Places())
    missed = [each for each in found if each.is_left_in(mask.clean(each.text))]
    false = [text for _, text in kept if mask.clean(text) != text]
    report.ratio("recall", 1 - len(missed) / len(found), at_least=0.99)
    report.ratio("false alarms", len(false) / len(kept), at_most=0.01)
    report.notes += [f"missed: {each.kind}: {each.text}" for each in missed]
    report.notes += [f"false alarm: {text}" for text in false]
    _cost(report, rounds, size)
    report.bottleneck = "CPU of this one process: regular expressions and dictionaries of Python"
    report.finish()


def _cost(report: measuring.Report, rounds: int, size: int) -> None:
    form = (measuring.ROOT / "examples/referral-full.json").read_text("utf-8")
    ordinary = _texts(" ".join(json.dumps(json.loads(form)["people"]).split()), size)
    sides = {"an ordinary text": ordinary} | {
        name: _texts(piece, size) for name, piece in HOSTILE.items()
    }
    times = measuring.in_turn(rounds, {name: _timed(texts) for name, texts in sides.items()})
    usual = report.figure("an ordinary text", "ms", times["an ordinary text"]).median
    for name in HOSTILE:
        figure = report.figure(name, "ms", times[name])
        report.ratio(f"{name} / an ordinary text of the same size", figure.median / usual)


def _texts(piece: str, size: int) -> list[str]:
    text = (piece * (size // len(piece) + 1))[:size]
    return [text[at : at + 8_000] for at in range(0, size, 8_000)]


def _timed(texts: list[str]) -> Callable[[], float]:
    def measured() -> float:
        began = time.process_time()
        mask: Mask = shield(Places(secrets=["17 Larkspur Wynd", "NZ9 4QX"]))
        for number, text in enumerate(texts):
            mask.clean(f"{text}{number}")
        return (time.process_time() - began) * 1000

    return measured


if __name__ == "__main__":
    main()
