"""The level of risk and the rule that gave it. Scores explain; people decide (design section 13,
rule 11)."""

from common.events.case import RiskSummary
from referral.domain.form import Risk
from referral.domain.rules import Instrument, Rules


class ConceptUnknown(ValueError):
    """Answers name a concept the instrument does not have; `places` are the positions of those
    answers.
    """

    def __init__(self, places: tuple[int, ...]) -> None:
        super().__init__("concept-unknown")
        self.places = places


NOT_ASSESSED = RiskSummary(
    instrument="none",
    instrument_version="none",
    level="not_assessed",
    rule="no assessment was sent",
)
URGENT = RiskSummary(
    instrument="none",
    instrument_version="none",
    level="high",
    rule="urgent: danger reported, not yet assessed",
)


def assess(risk: Risk | None, rules: Rules, instrument: Instrument | None) -> RiskSummary:
    """Score the answers under `rules`.

    "Don't know" and "not asked" score nothing and are counted beside the score. Judgement raises to
    high and is named as the rule; nothing lowers a level. Raises ConceptUnknown.
    """
    if risk is None or instrument is None:
        return NOT_ASSESSED
    strange = tuple(
        place for place, answer in enumerate(risk.answers) if answer.concept not in instrument.items
    )
    if strange:
        raise ConceptUnknown(strange)
    answers = {answer.concept: answer.answer for answer in risk.answers}
    score = sum(1 for answer in answers.values() if answer == "yes")
    unanswered = sum(
        1
        for concept in instrument.items
        if answers.get(concept, "not_asked") in ("dont_know", "not_asked")
    )
    critical = tuple(concept for concept in rules.critical if answers.get(concept) == "yes")
    summary = RiskSummary(
        instrument=instrument.name,
        instrument_version=instrument.version,
        score=score,
        dont_know=unanswered,
        level="standard",
        rule=f"fewer than {rules.medium_from} yes",
        critical=critical,
    )
    if score >= rules.high_from:
        return summary.model_copy(
            update={"level": "high", "rule": f"VHR: {rules.high_from} or more yes"}
        )
    if risk.judgement is not None:
        return summary.model_copy(
            update={"level": "high", "rule": "PJ: professional judgement raises"}
        )
    if score >= rules.medium_from:
        return summary.model_copy(
            update={"level": "medium", "rule": f"{rules.medium_from} or more yes"}
        )
    return summary
