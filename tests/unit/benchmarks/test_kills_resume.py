"""A run of kills that was interrupted goes on where it was, with the same schedules."""

from pathlib import Path

import pytest

from benchmarks.kills.progress import A_HUB, Judged, NothingToResume, Progress, resumed

SHARES = {"standalone": 75, "stack": 40}


def judged(mode: str, seed: int, kills: int, wrong: int = 0) -> Judged:
    """One hub as the oracle found it."""
    return Judged(mode, seed, kills, 3, {"referrals": kills}, wrong, "told" * wrong, (1.5, 0.25))


def whole_run(progress: Progress, file: Path, most: int = 99) -> list[tuple[str, int, int]]:
    """Judge up to `most` hubs; which mode, seed and number of kills each had."""
    done: list[tuple[str, int, int]] = []
    for mode in progress.shares:
        while len(done) < most and (following := progress.next_hub(mode)) is not None:
            done.append((mode, *following))
            progress.add(judged(mode, *following), file)
    return done


@pytest.mark.parametrize("before", [0, 1, 2, 3, 4, 5])
def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path, before: int) -> None:
    file = tmp_path / "results" / "progress.json"
    whole = whole_run(Progress(7, dict(SHARES)), tmp_path / "whole.json")
    assert whole == [
        ("standalone", 7, A_HUB),
        ("standalone", 8, A_HUB),
        ("standalone", 9, 15),
        ("stack", 7, A_HUB),
        ("stack", 8, 10),
    ]
    begun = Progress(7, dict(SHARES))
    begun.save(file)
    first = whole_run(begun, file, most=before)
    again = resumed(file)
    assert again == begun
    assert first + whole_run(again, file) == whole
    assert {mode: sum(one.kills for one in again.of_mode(mode)) for mode in SHARES} == SHARES


def test_what_was_found_wrong_before_the_interruption_is_not_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "progress.json"
    Progress(7, dict(SHARES)).add(judged("stack", 7, 30, wrong=2), file)
    (kept,) = resumed(file).judged
    assert (kept.wrong, kept.told, kept.back) == (2, "toldtold", (1.5, 0.25))


def test_without_an_interrupted_run_there_is_nothing_to_resume(tmp_path: Path) -> None:
    with pytest.raises(NothingToResume):
        resumed(tmp_path / "progress.json")
