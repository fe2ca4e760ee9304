"""The level of risk follows the dated rules, shows what is not known, and can only be raised by
judgement."""

from datetime import date

import pytest

from referral.intake.model.form import Judgement, Risk, RiskAnswer
from referral.risk import model as risk
from referral.risk.model import ConceptUnknown, RulesUnknown, assess
from referral.wiring import rule_book

BOOK = rule_book()
RULES = BOOK.for_area("northmoor", date(2026, 11, 21))
DASH = BOOK.instrument("dash", "practitioner/1")


def answers(yes: int, *, judged: bool = False, rest: str = "no") -> Risk:
    """An assessment with so many yes answers, in the instrument's order."""
    given = tuple(
        RiskAnswer(concept=c, answer="yes" if place < yes else rest)  # type: ignore[arg-type]
        for place, c in enumerate(DASH.items)
    )
    judgement = Judgement(raises=True, reason="extreme fear") if judged else None
    return Risk(
        instrument="dash",
        version="practitioner/1",
        assessed_on=date(2026, 11, 20),
        assessor_role="IDVA",
        answers=given,
        judgement=judgement,
    )


def test_the_instrument_has_all_twenty_four_concepts() -> None:
    assert len(DASH.items) == 24


@pytest.mark.parametrize(
    ("yes", "judged", "level", "rule"),
    [
        (0, False, "standard", "fewer"),
        (9, False, "standard", "fewer"),
        (10, False, "medium", "10"),
        (13, False, "medium", "10"),
        (14, False, "high", "VHR"),
        (24, True, "high", "VHR"),
        (0, True, "high", "PJ"),
        (13, True, "high", "PJ"),
    ],
)
def test_level_and_the_rule_that_gave_it(yes: int, judged: bool, level: str, rule: str) -> None:
    summary = assess(answers(yes, judged=judged), RULES, DASH)
    assert (summary.level, summary.score) == (level, yes)
    assert summary.rule.startswith(rule) or rule in summary.rule


def test_what_is_not_known_stands_beside_the_score() -> None:
    summary = assess(answers(3, rest="dont_know"), RULES, DASH)
    assert (summary.score, summary.dont_know) == (3, 21)


def test_an_unanswered_item_is_not_known() -> None:
    some = Risk(
        instrument="dash",
        version="practitioner/1",
        assessed_on=date(2026, 11, 20),
        assessor_role="x",
        answers=(),
    )
    assert assess(some, RULES, DASH).dont_know == 24


def test_critical_items_show_whatever_the_total() -> None:
    one = RiskAnswer(concept="strangulation", answer="yes")
    some = Risk(
        instrument="dash",
        version="practitioner/1",
        assessed_on=date(2026, 11, 20),
        assessor_role="x",
        answers=(one,),
    )
    summary = assess(some, RULES, DASH)
    assert summary.critical == ("strangulation",)
    assert summary.level == "standard"


def test_a_strange_concept_is_named_by_its_place() -> None:
    some = answers(2)
    strange = some.model_copy(
        update={"answers": (*some.answers[:2], RiskAnswer(concept="weather", answer="yes"))}
    )
    with pytest.raises(ConceptUnknown) as refused:
        assess(strange, RULES, DASH)
    assert refused.value.places == (2,)


def test_nothing_sent_is_not_assessed_and_never_standard() -> None:
    assert assess(None, RULES, None) is risk.NOT_ASSESSED


def test_rules_are_those_in_force_on_the_day() -> None:
    with pytest.raises(RulesUnknown):
        BOOK.for_area("northmoor", date(2026, 3, 31))
    with pytest.raises(RulesUnknown):
        BOOK.for_area("elsewhere", date(2026, 11, 21))
