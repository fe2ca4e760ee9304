"""The case: made of contributions, changed by its own methods, told by `to_snapshot` alone."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from common.events.case import (
    CaseSnapshot,
    CaseSubject,
    Consent,
    Fact,
    Marking,
    RiskSummary,
)

THIRD_PARTY: Final = "third_party"
"""The source of a report by somebody who hears only that it was taken in."""
_ANSWERED_ANEW: Final = ("risk.", "safe_contact.")
"""Facts the hub added to the urgent form for want of an answer; the full form asks for both."""
_LEVEL: Final = frozenset({"risk.level", "risk.rule"})
_BARS: Final = frozenset({"conflict", "employee_subject"})
_SHIELD: Final = "location_shield"
_URGENT: Final = "urgent."
"""Starts the path of a fact carried over from the urgent form."""


class Stage(StrEnum):
    """How far a case has been told."""

    PROVISIONAL = "provisional"
    """Known by an urgent form alone."""
    COMPLETE = "complete"


class Change(StrEnum):
    """What made a version of a case; the words of the published event."""

    URGENT = "urgent_referral"
    SUBMITTED = "referral_submitted"
    COMPLETED = "referral_completed"
    MARKED = "marking_changed"


NEXT_STAGE: Final[Mapping[tuple[Stage | None, Change], Stage]] = {
    (None, Change.URGENT): Stage.PROVISIONAL,
    (None, Change.SUBMITTED): Stage.COMPLETE,
    (Stage.PROVISIONAL, Change.MARKED): Stage.PROVISIONAL,
    (Stage.PROVISIONAL, Change.COMPLETED): Stage.COMPLETE,
    (Stage.COMPLETE, Change.MARKED): Stage.COMPLETE,
}
"""The stage after each change; a pair that is not here cannot happen."""


class WrongStage(Exception):
    """The case is at a stage in which this change cannot happen."""


class VersionMoved(Exception):
    """The case has a newer version than the one the change was made for."""


def stage_after(stage: Stage | None, change: Change) -> Stage:
    """Look up the stage after a change; None is the stage of a case that does not exist yet.

    Raises WrongStage.
    """
    found = NEXT_STAGE.get((stage, change))
    if found is None:
        raise WrongStage(f"{change} cannot follow {stage}")
    return found


@dataclass(frozen=True, slots=True)
class Origin:
    """Who contributed, by which form, and when. Times are UTC."""

    contribution_id: UUID
    """The id of the referral by which it came."""
    agency: str
    kind: str
    source: str
    occurred_at: datetime
    """When what it tells happened."""
    recorded_at: datetime
    """When the hub took it in."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one agency told at one time: facts in the order of its form."""

    origin: Origin
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class VetoSetting:
    """When a veto was set, UTC, and by which code of the rules; its words stand nowhere here."""

    at: datetime
    reason_code: str
    """Empty where none was given."""


@dataclass(frozen=True, slots=True)
class CaseOutline:
    """A case without its facts: codes, flags and opaque ids only."""

    case_id: UUID
    version: int
    change: Change
    stage: Stage
    area: str
    rules_version: str
    safe_contact_days: int
    effective_on: date
    subjects: tuple[CaseSubject, ...]
    risk: RiskSummary
    consent: Consent
    markings: tuple[Marking, ...]
    origins: tuple[Origin, ...]
    """One for each contribution, oldest first."""
    changed_at: datetime
    """When this version was made, UTC."""
    setters: Mapping[UUID, str] = field(default_factory=dict)
    """The agency that set each veto, lifted ones too. One that is missing is the sender's."""
    settings: Mapping[UUID, VetoSetting] = field(default_factory=dict)
    """When and why each veto was set. One that is missing came with a form."""

    @property
    def barred(self) -> frozenset[str]:
        """The agencies that a conflict or an employee on the case keeps out of all of it."""
        return frozenset(each.agency for each in self.markings if each.kind in _BARS)

    def came_by(self, referral_id: UUID, agency: str) -> bool:
        """Tell whether the case itself, sealed, says that an agency sent this referral of it."""
        return (referral_id, agency) in {(one.contribution_id, one.agency) for one in self.origins}

    def veto(self, veto_id: UUID) -> Marking | None:
        """Find a veto in force."""
        return next((each for each in self.markings if each.marking_id == veto_id), None)

    def may_see(self, agency: str, veto_id: UUID) -> bool:
        """Tell whether a sender may know of a veto: what another has set is another's word."""
        return self.setters.get(veto_id, agency) == agency

    def in_force_like(self, veto: Marking, agency: str) -> Marking | None:
        """Find a veto in force that says the same and was set by the same agency."""
        wanted = veto.model_copy(update={"marking_id": None})
        return next(
            (
                each
                for each in self.markings
                if each.model_copy(update={"marking_id": None}) == wanted
                and self.may_see(agency, each.marking_id)
            ),
            None,
        )

    @property
    def newest(self) -> Origin:
        """The contribution that speaks for the case."""
        return self.origins[-1]

    @property
    def victim(self) -> UUID:
        """The subject id of the victim."""
        return next(subject.subject_id for subject in self.subjects if subject.role == "victim")


@dataclass(frozen=True, slots=True)
class Case:
    """A whole case at one version.

    Each change answers with the next version; storage compares and swaps the two.
    """

    outline: CaseOutline
    facts: tuple[tuple[Fact, ...], ...]
    """The facts of each contribution, in the order of `outline.origins`."""

    @property
    def contributions(self) -> tuple[Contribution, ...]:
        """Each contribution with its facts, oldest first."""
        return tuple(map(Contribution, self.outline.origins, self.facts))

    @property
    def told(self) -> tuple[Fact, ...]:
        """All facts as they are published: the newest contribution first."""
        return tuple(fact for facts in reversed(self.facts) for fact in facts)

    def mark(self, marking: Marking, at: datetime, by: str = "", reason_code: str = "") -> "Case":
        """Add a veto on disclosure, set by an agency."""
        markings = (*self.outline.markings, marking)
        setters = {**self.outline.setters, **({marking.marking_id: by} if by else {})}
        settings = {**self.outline.settings, marking.marking_id: VetoSetting(at, reason_code)}
        return self._after(Change.MARKED, at, markings=markings, setters=setters, settings=settings)

    def lift(self, veto_id: UUID, at: datetime) -> "Case":
        """Take a veto away. A person whose last address shield it was is shielded no more."""
        kept = tuple(each for each in self.outline.markings if each.marking_id != veto_id)
        gone = self.outline.veto(veto_id)
        subjects = self.outline.subjects
        if gone is not None and gone.kind == _SHIELD:
            still = {each.subject for each in kept if each.kind == _SHIELD}
            subjects = tuple(
                each
                if None in still or each.subject_id in still
                else each.model_copy(update={"address_shielded": False})
                for each in subjects
            )
        return self._after(Change.MARKED, at, markings=kept, subjects=subjects)

    def complete_with(self, full: "Case") -> "Case":
        """Complete this case, known by an urgent form, with a full form taken in as `full`.

        Danger, place and call back stay facts of the case. So whoever may know them hears them, and
        a shielded place is still taken out of texts. Markings stay. A form without an assessment
        does not take the urgent level away.

        Raises WrongStage if the case was completed before.
        """
        before, told = self.outline, full.outline
        risk, facts = told.risk, full.facts[-1]
        if risk.level == "not_assessed":
            risk = before.risk
            kept = tuple(fact for fact in facts if fact.path not in _LEVEL)
            facts = kept + level_facts(risk, told.victim)
        whole = self._after(
            Change.COMPLETED,
            told.changed_at,
            rules_version=told.rules_version,
            area=told.area,
            safe_contact_days=told.safe_contact_days,
            effective_on=told.effective_on,
            subjects=told.subjects,
            risk=risk,
            consent=told.consent,
            markings=(*_kept(before, told), *told.markings),
            origins=(*before.origins, told.newest),
        )
        carried = tuple(tuple(_carried(older, told.victim, facts)) for older in self.facts)
        return replace(whole, facts=(*carried, facts))

    def says_the_same_as(self, full: "Case") -> bool:
        """Tell whether a full form says what this case holds since it was completed.

        It is then the same form, sent again.
        """
        return _said(full.told) == _said(self.told)

    def to_snapshot(self) -> CaseSnapshot:
        """Make the event that tells this version."""
        state, newest = self.outline, self.outline.newest
        provisional = state.stage is Stage.PROVISIONAL
        return CaseSnapshot(
            case_id=state.case_id,
            version=state.version,
            cause=state.change.value,
            provisional=provisional,
            urgent=provisional,
            referral_id=newest.contribution_id,
            referrer_agency=newest.agency,
            source=newest.source,
            area=state.area,
            kind=newest.kind,
            occurred_at=newest.occurred_at,
            received_at=newest.recorded_at,
            rules_version=state.rules_version,
            safe_contact_days=state.safe_contact_days,
            effective_on=state.effective_on,
            subjects=state.subjects,
            risk=state.risk,
            consent=state.consent,
            markings=state.markings,
            facts=self.told,
        )

    def _after(self, change: Change, at: datetime, **changes: object) -> "Case":
        outline = replace(
            self.outline,
            version=self.outline.version + 1,
            change=change,
            stage=stage_after(self.outline.stage, change),
            changed_at=at,
            **changes,  # type: ignore[arg-type]  # fields of CaseOutline, by name
        )
        return replace(self, outline=outline)


def level_facts(summary: RiskSummary, victim: UUID) -> tuple[Fact, ...]:
    """State the level and the rule that gave it; "not assessed" is said, never left out."""
    lines = (
        ("risk.level", "Risk level", summary.level.replace("_", " ")),
        ("risk.rule", "Rule that gave the level", summary.rule),
    )
    return tuple(
        Fact(
            path=path,
            category="risk_summary",
            subject=victim,
            label=label,
            value=value,
            quality="professional_opinion",
        )
        for path, label, value in lines
    )


def _said(facts: Iterable[Fact]) -> set[tuple[str, str, str]]:
    data = [
        fact.model_dump(mode="json")
        for fact in facts
        if not fact.path.startswith(_URGENT) and fact.path not in _LEVEL
    ]
    return {
        (fact["path"], fact["category"], json.dumps(fact["value"], sort_keys=True)) for fact in data
    }


def _kept(before: CaseOutline, told: CaseOutline) -> Iterable[Marking]:
    """Keep every marking; a form that does not mention one never lifts it.

    The people of the urgent form are not those of the full one. So a shield now protects everybody
    but the person causing harm (design section 13, rule 1). Any other veto about somebody follows
    their role. Where the full form has not one such person, it keeps its subject. That is nobody on
    the case by now, and sharing lets it cover everybody.
    """
    for marking in before.markings:
        if marking.kind == _SHIELD:
            yield marking.model_copy(update={"subject": None, "category": "*"})
            continue
        roles = {each.role for each in before.subjects if each.subject_id == marking.subject}
        same = [each.subject_id for each in told.subjects if each.role in roles]
        yield marking.model_copy(update={"subject": same[0]}) if len(same) == 1 else marking


def _carried(urgent: Iterable[Fact], victim: UUID, told: Iterable[Fact]) -> Iterable[Fact]:
    known = {str(fact.value).casefold() for fact in told if fact.category == "victim_identity"}
    for fact in urgent:
        if fact.path.startswith(_ANSWERED_ANEW):
            continue
        if fact.category != "victim_identity":
            yield fact.model_copy(update={"path": f"{_URGENT}{fact.path}", "subject": victim})
        elif str(fact.value).casefold() not in known:
            # Another name than the full form's may be how she is known there, or the first sign
            # that the wrong case was completed.
            yield fact.model_copy(
                update={
                    "path": f"{_URGENT}{fact.path}",
                    "subject": victim,
                    "label": "Name in the urgent report",
                }
            )
