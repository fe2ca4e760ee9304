"""The search for leaks knows a value in the forms that programs make of it: what it does not look
for it cannot find."""

import json
from pathlib import Path

import pytest

from tests.support.leaks import SHORTEST, Needles, planted, seeded_values

FULL = json.loads(
    (Path(__file__).parents[2] / "examples" / "referral-full.json").read_text("utf-8")
)


@pytest.mark.parametrize(
    "left",
    [
        "1991-08-23",
        "23/08/1991",
        "23 August 1991",
        "2018-03-30",
        "999 000 0018",
        "9990000018",
        "07700 900461",
        "07700900461",
        "+447700900461",
        "NZ9 4QX",
        "NZ94QX",
        "nz94qx",
    ],
)
def test_every_form_of_a_value_is_found(tmp_path: Path, left: str) -> None:
    needles = Needles(seeded_values(FULL))
    (tmp_path / "in.log").write_text(f"before {left} after")
    assert needles.in_tree(tmp_path)
    (tmp_path / "in.log").unlink()
    assert not needles.in_tree(tmp_path)
    planted(tmp_path, left)
    # Six characters leave five of base64 at one of three offsets: too few to tell from chance.
    assert needles.in_tree(tmp_path) or len(left) == SHORTEST
