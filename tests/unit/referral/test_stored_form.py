"""How a case is stored has goldens of its own: no change of the published event touches it."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from common.attempts import Attempt
from referral.cases import use_cases as case_use_cases
from referral.cases.model.case import Case
from referral.cases.repository import stored
from referral.cases.use_cases import Veto
from referral.context import AgencyDirectory
from referral.intake import use_cases
from referral.intake.model.form import AnyReferral, FullReferral, UrgentReferral
from tests.support.referral_fakes import CONTEXT, HOUSING, RULES, FakeTx, granted
from tests.support.referral_forms import STORIES

GOLDEN = Path(__file__).parents[2] / "vectors" / "stored_cases"
FORMS = (1, 2)
"""Form 1 is the event's JSON, as it was written until 2026-11-29; form 2 is the case's own."""
READ: TypeAdapter[FullReferral | UrgentReferral] = TypeAdapter(AnyReferral)
UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")


def told(steps: list[dict[str, Any]]) -> Case:
    """The case after one story."""
    tx = FakeTx()
    first: UUID | None = None
    for step in steps:
        if "veto" in step:
            assert first is not None
            veto, agencies = Veto(**step["veto"], reason="r"), AgencyDirectory(frozenset({HOUSING}))
            case_use_cases.set_must_not_disclose(tx, granted(), first, veto, agencies, CONTEXT)
            continue
        form = {**step["form"], **({"completes": str(first)} if step.get("completes") else {})}
        made = use_cases.submit_referral(
            tx, granted(), READ.validate_python(form), Attempt(b"a", b"b"), CONTEXT, RULES
        )
        first = first or made.referral.referral_id
    (case,) = tx.held.cases.values()
    return case


def written(case: Case) -> str:
    """The texts as they are sealed, the outline first; ids numbered in the order of the case."""
    outline = case.outline
    ids = [outline.case_id, *(one.contribution_id for one in outline.origins)]
    ids += [one.subject_id for one in outline.subjects]
    ids += [one.marking_id for one in outline.markings]
    names = {str(one): f"00000000-0000-7000-8000-{number:012}" for number, one in enumerate(ids)}
    lines = [stored.head_text(case), *(text for _, _, text in stored.fact_texts(case))]
    return UUID7.sub(lambda found: names[found[0]], "\n".join(lines) + "\n")


def opened(texts: str) -> Case:
    """The case that these texts hold."""
    head, *groups = texts.splitlines()
    outline = stored.outline_of(head)
    count = len(outline.origins)
    placed = [one for group in groups for one in stored.facts_in(group, count - 1)]
    return Case(outline, stored.by_contribution(placed, count))


def golden(story: str, form: int) -> str:
    """The texts of a story as this form writes them."""
    return (GOLDEN / f"{story}.{form}.jsonl").read_text("utf-8")


@pytest.mark.parametrize("story", STORIES)
def test_a_case_is_stored_as_its_golden(story: str) -> None:
    """But for when and why a veto was set, which hubs of before did not keep."""
    case = told(STORIES[story])
    before = replace(case, outline=replace(case.outline, settings={}))
    assert written(before) == golden(story, 2)


@pytest.mark.parametrize("story", STORIES)
def test_when_and_why_a_veto_was_set_is_kept(story: str) -> None:
    case = told(STORIES[story])
    kept = stored.outline_of(stored.head_text(case)).settings
    assert kept == case.outline.settings
    assert bool(kept) is any("veto" in step for step in STORIES[story])


@pytest.mark.parametrize("story", STORIES)
def test_both_forms_open_to_the_same_case(story: str) -> None:
    older, newer = (opened(golden(story, form)) for form in FORMS)
    assert older == newer
    assert written(older) == golden(story, 2), "what is changed next is written in the new form"


def test_every_golden_file_has_a_story() -> None:
    names = {path.name for path in GOLDEN.iterdir()}
    assert names == {f"{story}.{form}.jsonl" for story in STORIES for form in FORMS}


def test_a_form_of_a_later_version_is_refused() -> None:
    head, facts, *_ = golden("urgent", 2).splitlines()
    with pytest.raises(stored.UnknownForm):
        stored.outline_of(json.dumps({**json.loads(head), "form": 3}))
    with pytest.raises(stored.UnknownForm):
        stored.facts_in(json.dumps({**json.loads(facts), "form": 3}), 0)
