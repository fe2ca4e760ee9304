"""Decide who may know what: questions to the agreement, and what its answers add up to. Pure; the
same inputs give the same decision."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from common.events.case import CaseSnapshot, Marking
from common.views import Parcel, Projection, Reading
from hubformats.canonical import b64u, canonical
from sharing.domain.agreement import LAPSING, Agreement

NO_CLAUSE: Final = "no-clause"
LAPSED: Final = "review-lapsed"
NOT_IN_FORCE: Final = "not-in-force"
ESSENTIAL: Final = "essential-withheld"
RULE_FAILED: Final = "rule-failed"
"""A rule could not be evaluated: denied, and somebody is alarmed (security reference 4)."""


@dataclass(frozen=True, slots=True)
class Agency:
    """An agency as deciding sees it."""

    id: str
    type: str
    area: str
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """May this agency have this parcel? With what is true of just this pair."""

    recipient: Agency
    parcel: Parcel
    location_shielded: bool
    markings: frozenset[str]


@dataclass(frozen=True, slots=True)
class Ruling:
    """The agreement's answer: permitted with the ids of its clauses, or not with the ids of vetoes;
    neither means no clause.
    """

    permitted: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecipientDecision:
    """What one agency may know: permitted parcels with their clause, withheld ones with the reason,
    and the sum of it.
    """

    recipient: Agency
    projection: Projection
    withheld: Mapping[Parcel, str]
    reason: str
    """Empty when anything is permitted; else why nothing is."""

    @property
    def permitted(self) -> bool:
        """Whether anything may be disclosed."""
        return bool(self.projection.permitted)


@dataclass(frozen=True, slots=True)
class SharingDecision:
    """A whole decision on one snapshot version, repeatable while its inputs exist."""

    as_of: datetime
    agreement: str
    agreement_version: str
    agreement_hash: str
    inputs_hash: str
    recipients: tuple[RecipientDecision, ...]


def due(
    snapshot: CaseSnapshot, agreement: Agreement, agencies: Sequence[Agency]
) -> tuple[Agency, ...]:
    """The agencies a decision must answer for: parties of the area that some clause may serve, in
    the order of their ids.
    """
    served = agreement.serves()
    parties = set(agreement.terms.parties)
    found = (
        agency
        for agency in agencies
        if agency.area == snapshot.area and agency.type in served and agency.id in parties
    )
    return tuple(sorted(found, key=lambda agency: agency.id))


def questions(reading: Reading, recipients: Sequence[Agency]) -> tuple[Question, ...]:
    """Every recipient × every parcel. Raises CategoryUnknown for a fact outside the table."""
    wanted = [(parcel, reading.is_location_shielded(parcel)) for parcel in reading.parcels()]
    markings = reading.snapshot.markings
    return tuple(
        Question(
            agency,
            parcel,
            shielded,
            frozenset([m.kind for m in markings if covers(m, agency.id, parcel)]),
        )
        for agency in recipients
        for parcel, shielded in wanted
    )


def covers(marking: Marking, agency: str, parcel: Parcel) -> bool:
    """Whether a veto covers this agency and parcel.

    A location shield has its own rule, `views.is_location_shielded`.
    """
    if marking.kind == "location_shield" or marking.agency not in {"*", agency}:
        return False
    if marking.kind == "informant" and marking.category == "*" and marking.subject is None:
        # Who is protected is not said, so what could name a source is.
        return parcel.category in {"informant_identity", "referrer"}
    if marking.subject is not None and parcel.subject != marking.subject:
        return False
    return marking.category in {"*", parcel.category}


def conclude(
    snapshot: CaseSnapshot,
    agreement: Agreement,
    asked: Sequence[Question],
    rulings: Sequence[Ruling],
    *,
    as_of: datetime,
) -> SharingDecision:
    """Add the rulings up, one decision per recipient."""
    by_recipient: dict[Agency, list[tuple[Question, Ruling]]] = {}
    for question, ruling in zip(asked, rulings, strict=True):
        by_recipient.setdefault(question.recipient, []).append((question, ruling))
    decided = tuple(
        _recipient(agreement, agency, answers, as_of) for agency, answers in by_recipient.items()
    )
    return SharingDecision(
        as_of=as_of,
        agreement=agreement.terms.id,
        agreement_version=agreement.terms.version,
        agreement_hash=agreement.hash,
        inputs_hash=inputs_hash(snapshot),
        recipients=decided,
    )


def inputs_hash(snapshot: CaseSnapshot) -> str:
    """SHA-256 of everything a decision looked at; random ids in it keep its content from being
    guessed.
    """
    return b64u(hashlib.sha256(canonical(snapshot.data())).digest())


def child_present(snapshot: CaseSnapshot) -> bool:
    """A child on the case, anybody else under 18 but the suspect, or a form that says children were
    there without naming them.
    """
    if any(
        s.role == "child" or (s.under_18 and s.role != "perpetrator") for s in snapshot.subjects
    ):
        return True
    return any(
        fact.category == "incident_children" and fact.value == "yes" for fact in snapshot.facts
    )


def _recipient(
    agreement: Agreement, agency: Agency, answers: list[tuple[Question, Ruling]], as_of: datetime
) -> RecipientDecision:
    permitted: dict[Parcel, frozenset[str]] = {}
    withheld: dict[Parcel, str] = {}
    for question, ruling in answers:
        clauses, reason = _weigh(agreement, ruling, as_of.date())
        if clauses:
            permitted[question.parcel] = clauses
        else:
            withheld[question.parcel] = reason
    _drop_pointless(agreement, permitted, withheld)
    used = agreement.order(
        frozenset(clause for clauses in permitted.values() for clause in clauses)
    )
    # A parcel that two clauses permit goes under the leading one; a clause that then carries
    # nothing is not mentioned.
    under = {parcel: agreement.order(clauses)[0].id for parcel, clauses in permitted.items()}
    told = tuple(
        agreement.told(clause, agency.type) for clause in used if clause.id in under.values()
    )
    advocate = agency.type in agreement.terms.advocates
    projection = Projection(agency.id, under, told, decided_at=as_of, advocate=advocate)
    return RecipientDecision(agency, projection, withheld, "" if under else _sum(withheld))


def _weigh(agreement: Agreement, ruling: Ruling, on: date) -> tuple[frozenset[str], str]:
    """The clauses that stand today, or the reason why none does."""
    if not ruling.permitted:
        return frozenset(), agreement.leading_veto(ruling.reasons) if ruling.reasons else NO_CLAUSE
    if not agreement.in_force(on):
        return frozenset(), NOT_IN_FORCE
    standing = frozenset(
        c
        for c in ruling.reasons
        if not (agreement.lapsed(on) and agreement.clause(c).purpose in LAPSING)
    )
    return standing, LAPSED


def _drop_pointless(
    agreement: Agreement, permitted: dict[Parcel, frozenset[str]], withheld: dict[Parcel, str]
) -> None:
    carried = {
        (clause, parcel.category) for parcel, clauses in permitted.items() for clause in clauses
    }
    for clause in agreement.order(frozenset(clause for clause, _ in carried)):
        if not any((clause.id, essential) in carried for essential in clause.essential):
            for parcel, clauses in list(permitted.items()):
                permitted[parcel] = clauses - {clause.id}
                if not permitted[parcel]:
                    del permitted[parcel]
                    withheld[parcel] = ESSENTIAL


def _sum(withheld: Mapping[Parcel, str]) -> str:
    """Why nothing goes: a reason that covers everything, else the one that says most."""
    reasons = Counter(withheld.values())
    for code in (RULE_FAILED, ESSENTIAL, LAPSED, NOT_IN_FORCE):
        if reasons[code]:
            return code
    # A veto explains the whole only when it covers the whole: an address shield is no reason for
    # having no clause.
    return next(iter(reasons)) if len(reasons) == 1 else _common_veto(reasons)


def _common_veto(reasons: Counter[str]) -> str:
    return (
        NO_CLAUSE
        if reasons[NO_CLAUSE] or not reasons
        else min(reasons, key=lambda code: (-reasons[code], code))
    )
