"""A sharing agreement as data: its clauses, who they serve, what they carry and on what basis."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from common.events.case import CaseSnapshot
from hubformats import legal_codes
from hubformats.categories import CATEGORIES
from hubformats.legal_codes import Basis, Condition
from sharing.content.model.projection import ClauseText, SubjectCategory
from sharing.directory.model import Agency

Purpose = Literal[
    "protect_victim",
    "protect_child",
    "protect_adult",
    "manage_perpetrator",
    "prevent_crime",
    "support_offer",
    "review_death",
    "audit",
    "subject_right",
    "statistics",
]
Gateway = Literal[legal_codes.Gateway, "CA2014_45", "CJA2003_325", "VPA2024_20", "court_order"]
"""A clause always names one, also such as only an agreement can rest on."""

LAPSING: Final = frozenset({"support_offer", "statistics"})
"""Purposes that stop at a lapsed review date; protection does not stop at midnight (design section
13, rule 3).
"""

COMPETENT: Final = frozenset({"police", "probation", "prison", "court_liaison"})
"""Agency types that receive as competent authorities under DPA 2018 Part 3; all others under UK
GDPR (domain reference 4.3).
"""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Ground(_Part):
    """Lawful basis and condition under one regime."""

    basis: Basis
    condition: Condition


class Clause(_Part):
    """One clause.

    `essential` names information without any of which the rest would be pointless or harmful to
    send.
    """

    id: str
    title: str
    text: str
    purpose: Purpose
    necessity: str
    gateway: Gateway
    recipient_types: tuple[str, ...]
    categories: tuple[str, ...]
    essential: tuple[str, ...]
    obligations: tuple[str, ...]
    uk_gdpr: Ground
    part3: Ground


class Terms(_Part):
    """The metadata of one version of an agreement. Refused unless every code it uses is known."""

    id: str
    version: str
    area: str
    title: str
    effective_from: date
    review_by: date
    owner: str
    parties: tuple[str, ...]
    advocates: tuple[str, ...] = ()
    """Agency types that speak for the victim, and so still see last-known means of contact once
    they are unverified.
    """
    clause: tuple[Clause, ...]
    obligation: Mapping[str, str]
    without_advocate: Mapping[str, str] = {}
    """Which obligation takes another's place where a veto keeps the advocate from the case."""
    veto: Mapping[str, str]

    @model_validator(mode="after")
    def _coherent(self) -> "Terms":
        ids = [clause.id for clause in self.clause]
        if len(set(ids)) != len(ids):
            raise ValueError("a clause id appears twice")
        for clause in self.clause:
            if not set(clause.categories) <= set(CATEGORIES):
                raise ValueError("a clause carries a category that does not exist")
            if not set(clause.essential) <= set(clause.categories):
                raise ValueError("a clause calls essential what it does not carry")
            if not set(clause.obligations) <= set(self.obligation):
                raise ValueError("a clause names an obligation without text")
        if not {*self.without_advocate, *self.without_advocate.values()} <= set(self.obligation):
            raise ValueError("an obligation without text takes another's place")
        if self.review_by <= self.effective_from:
            raise ValueError("the review date is not after the first day")
        return self


@dataclass(frozen=True, slots=True)
class Agreement:
    """A loaded, checked and verified agreement. `hash` covers terms, rules and examples."""

    terms: Terms
    hash: str

    def clause(self, clause_id: str) -> Clause:
        """Return the clause of that id. Raises KeyError."""
        return self._by_id()[clause_id]

    def order(self, clause_ids: frozenset[str]) -> tuple[Clause, ...]:
        """List those clauses, leading one first."""
        return tuple(clause for clause in self.terms.clause if clause.id in clause_ids)

    def serves(self) -> frozenset[str]:
        """List the agency types that some clause may serve: who is due on a case."""
        return frozenset(kind for clause in self.terms.clause for kind in clause.recipient_types)

    def leading_veto(self, reasons: Iterable[str]) -> str:
        """Return of several vetoes the one the agreement lists first.

        So one decision always gives one reason.
        """
        listed = list(self.terms.veto)
        return min(
            reasons,
            key=lambda reason: (listed.index(reason) if reason in listed else len(listed), reason),
        )

    def in_force(self, on: date) -> bool:
        """Tell whether the agreement has begun. It ends only by being withdrawn."""
        return on >= self.terms.effective_from

    def lapsed(self, on: date) -> bool:
        """Tell whether its review date has passed, which alarms its owner and stops clauses."""
        return on > self.terms.review_by

    def ground(self, clause: Clause, agency_type: str) -> Ground:
        """Return the ground of an agency of that type, by its own regime."""
        return clause.part3 if agency_type in COMPETENT else clause.uk_gdpr

    def told(
        self, clause: Clause, recipient_type: str, *, advocate_kept_out: bool = False
    ) -> ClauseText:
        """Word the clause for a recipient of that type, with the basis of its own regime.

        Where a veto keeps the advocate's agency out, nobody is sent to it.
        """
        ground = self.ground(clause, recipient_type)
        instead = self.terms.without_advocate if advocate_kept_out else {}
        duties = dict.fromkeys(instead.get(code, code) for code in clause.obligations)
        return ClauseText(
            id=clause.id,
            text=clause.text,
            agreement=self.terms.id,
            version=self.terms.version,
            agreement_hash=self.hash,
            purpose=clause.purpose,
            necessity=clause.necessity,
            lawful_basis=ground.basis,
            condition=ground.condition,
            gateway=clause.gateway,
            obligations=tuple((code, self.terms.obligation[code]) for code in duties),
        )

    def _by_id(self) -> dict[str, Clause]:
        return {clause.id: clause for clause in self.terms.clause}


RULE_FAILED: Final = "rule-failed"
"""A rule could not be evaluated: denied, and somebody is alarmed (security reference 4)."""


@dataclass(frozen=True, slots=True)
class Question:
    """May this agency have this category of this person? With what is true of just this pair."""

    recipient: Agency
    subject_category: SubjectCategory
    location_shielded: bool
    markings: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ruling:
    """The agreement's answer to a question.

    Permitted with the ids of its clauses, or not with the ids of vetoes; neither means no clause.
    """

    permitted: bool
    reasons: tuple[str, ...]


def child_present(snapshot: CaseSnapshot) -> bool:
    """Tell whether a child is on the case or was there.

    That is a child, or anybody else under 18 but the suspect. It is also a form that says children
    were there without naming them.
    """
    if any(
        s.role == "child" or (s.under_18 and s.role != "perpetrator") for s in snapshot.subjects
    ):
        return True
    return any(
        fact.category == "incident_children" and fact.value == "yes" for fact in snapshot.facts
    )
