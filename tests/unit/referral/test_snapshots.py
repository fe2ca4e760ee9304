"""What a case publishes does not change by a byte: golden snapshots, taken before the aggregate."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from common.attempts import Attempt
from referral.cases import use_cases as case_use_cases
from referral.cases.use_cases import Veto
from referral.context import AgencyDirectory
from referral.intake import use_cases
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from tests.architecture import tree
from tests.support.referral_fakes import CONTEXT, HOUSING, RULES, FakeTx, granted
from tests.support.referral_forms import STORIES

GOLDEN = Path(__file__).parents[2] / "vectors" / "snapshots"
READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def published(steps: list[dict[str, Any]]) -> str:
    """The snapshots of one story, a line each, their ids numbered in order of appearance."""
    tx = FakeTx()
    first = None
    for step in steps:
        if "veto" in step:
            assert first is not None
            case_use_cases.set_must_not_disclose(
                tx,
                granted(),
                first,
                Veto(**step["veto"], reason="r"),
                AgencyDirectory(frozenset({HOUSING})),
                CONTEXT,
            )
            continue
        form = {**step["form"], **({"completes": str(first)} if step.get("completes") else {})}
        made = use_cases.submit_referral(
            tx, granted(), READ.validate_python(form), Attempt(b"a", b"b"), CONTEXT, RULES
        )
        first = first or made.referral.referral_id
    lines = [json.dumps(one.data(), ensure_ascii=False) for one in tx.held.published]
    names: dict[str, str] = {}
    return UUID7.sub(
        lambda found: names.setdefault(found[0], f"id-{len(names) + 1}"), "\n".join(lines) + "\n"
    )


@pytest.mark.parametrize("story", STORIES)
def test_the_snapshots_of_a_story_are_the_golden_ones(story: str) -> None:
    assert published(STORIES[story]) == (GOLDEN / f"{story}.jsonl").read_text("utf-8")


def test_every_golden_file_has_a_story() -> None:
    assert {path.stem for path in GOLDEN.glob("*.jsonl")} == set(STORIES)


def test_one_place_makes_snapshots_and_one_publishes_them() -> None:
    """The event is an output of the case alone."""
    code = {
        str(path): tree.text(path) or ""
        for path in tree.python_files()
        if path.is_relative_to("services/referral")
    }
    cases = "services/referral/src/referral/cases"
    assert {p for p, text in code.items() if "CaseSnapshot(" in text} == {f"{cases}/model/case.py"}
    publisher = f"{cases}/repository/snapshots.py"
    second_looks = "services/referral/src/referral/vetoes/repository.py"  # no fact of a case in it
    for sign in ("topics import CASE", "outbox.send("):
        assert {p for p, text in code.items() if sign in text} == {publisher, second_looks}
