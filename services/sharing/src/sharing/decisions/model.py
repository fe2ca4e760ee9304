"""Decide who may know what: the questions to the agreement, and what its answers add up to.

Pure: the same inputs give the same decision.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from common.events.case import CaseSnapshot
from hubformats import field_sets
from hubformats.canonical import b64u, canonical
from hubformats.categories import CATEGORIES
from sharing.agreements.model import LAPSING, RULE_FAILED, Agreement, Question, Ruling
from sharing.content.model.projection import Projection, SubjectCategory
from sharing.content.model.reader import SnapshotReader
from sharing.content.model.vetoed import covers, people_of
from sharing.directory.model import Agency

NO_CLAUSE: Final = "no-clause"
LAPSED: Final = "review-lapsed"
NOT_IN_FORCE: Final = "not-in-force"
ESSENTIAL: Final = "essential-withheld"
_KEEPS_OUT: Final = frozenset({"must-not-disclose", "conflict", "employee-subject"})
"""Reasons that keep an agency from a case because of who is in it."""
Permitted = dict[SubjectCategory, frozenset[str]]
Withheld = dict[SubjectCategory, str]


@dataclass(frozen=True, slots=True)
class RecipientDecision:
    """What one agency may know, what is withheld with the reason, and the sum of it."""

    recipient: Agency
    projection: Projection
    withheld: Mapping[SubjectCategory, str]
    reason: str | None
    """Why nothing is permitted; None when anything is."""

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


@dataclass(frozen=True, slots=True)
class Undecided:
    """A snapshot that waits for its sender's turn to be decided on; nothing of it is opened.

    `place` grows with the time of arrival.
    """

    case_id: UUID
    version: int
    sender: str
    urgent: bool
    place: UUID


def whose_turn(heads: Sequence[Undecided], served: Mapping[str, int]) -> Undecided:
    """Choose the snapshot of the sender that had its turn longest ago.

    `heads` holds one of each sender, at least one in all; `served` the number of each sender's
    last turn. A sender without one goes first, and the older of two.
    """
    return min(heads, key=lambda one: (served.get(one.sender, 0), one.place))


def due(
    snapshot: CaseSnapshot, agreement: Agreement, agencies: Sequence[Agency]
) -> tuple[Agency, ...]:
    """List the agencies a decision must answer for, in the order of their ids.

    They are the parties of the area that some clause may serve.
    """
    served = agreement.serves()
    parties = set(agreement.terms.parties)
    found = (
        agency
        for agency in agencies
        if agency.area == snapshot.area and agency.type in served and agency.id in parties
    )
    return tuple(sorted(found, key=lambda agency: agency.id))


def questions(reader: SnapshotReader, recipients: Sequence[Agency]) -> tuple[Question, ...]:
    """Ask for every recipient and every category of every person.

    Raises CategoryUnknown for a fact outside the table.
    """
    wanted = [
        (subject_category, reader.is_location_shielded(subject_category))
        for subject_category in reader.subject_categories()
    ]
    markings, people = reader.snapshot.markings, people_of(reader.snapshot)
    return tuple(
        Question(
            agency,
            subject_category,
            shielded,
            frozenset([m.kind for m in markings if covers(m, agency.id, subject_category, people)]),
        )
        for agency in recipients
        for subject_category, shielded in wanted
    )


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
    weighed = {
        agency: _weighed(agreement, answers, as_of.date())
        for agency, answers in by_recipient.items()
    }
    kept_out = _keeps_advocate_out(agreement, weighed)
    decided = tuple(
        _recipient(agreement, agency, found, as_of, advocate_kept_out=kept_out)
        for agency, found in weighed.items()
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
    """Hash everything a decision looked at, by SHA-256.

    Random ids in it keep its content from being guessed.
    """
    return b64u(hashlib.sha256(canonical(snapshot.data())).digest())


def _weighed(
    agreement: Agreement, answers: list[tuple[Question, Ruling]], on: date
) -> tuple[Permitted, Withheld]:
    permitted: Permitted = {}
    withheld: Withheld = {}
    for question, ruling in answers:
        clauses, reason = _weigh(agreement, ruling, on)
        if clauses:
            permitted[question.subject_category] = clauses
        else:
            withheld[question.subject_category] = reason
    _drop_pointless(agreement, permitted, withheld)
    return permitted, withheld


def _keeps_advocate_out(
    agreement: Agreement, weighed: Mapping[Agency, tuple[Permitted, Withheld]]
) -> bool:
    """Tell whether vetoes keep the agencies that speak for the victim from the whole case."""
    advocates = [
        found for agency, found in weighed.items() if agency.type in agreement.terms.advocates
    ]
    return not any(permitted for permitted, _ in advocates) and any(
        reason in _KEEPS_OUT for _, withheld in advocates for reason in withheld.values()
    )


def _recipient(
    agreement: Agreement,
    agency: Agency,
    found: tuple[Permitted, Withheld],
    as_of: datetime,
    *,
    advocate_kept_out: bool,
) -> RecipientDecision:
    permitted, withheld = found
    used = agreement.order(
        frozenset(clause for clauses in permitted.values() for clause in clauses)
    )
    # What two clauses permit goes under the leading one; a clause that then carries nothing is
    # not mentioned.
    under = {
        subject_category: agreement.order(clauses)[0].id
        for subject_category, clauses in permitted.items()
    }
    told = tuple(
        agreement.told(clause, agency.type, advocate_kept_out=advocate_kept_out)
        for clause in used
        if clause.id in under.values()
    )
    advocate = agency.type in agreement.terms.advocates
    projection = Projection(agency.id, under, told, decided_at=as_of, advocate=advocate)
    return RecipientDecision(agency, projection, withheld, None if under else _sum(withheld))


def _weigh(agreement: Agreement, ruling: Ruling, on: date) -> tuple[frozenset[str], str]:
    """Find the clauses that stand today, or the reason why none does."""
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
    agreement: Agreement,
    permitted: dict[SubjectCategory, frozenset[str]],
    withheld: dict[SubjectCategory, str],
) -> None:
    carried = {
        (clause, subject_category.category)
        for subject_category, clauses in permitted.items()
        for clause in clauses
    }
    for clause in agreement.order(frozenset(clause for clause, _ in carried)):
        if not any((clause.id, essential) in carried for essential in clause.essential):
            for subject_category, clauses in list(permitted.items()):
                permitted[subject_category] = clauses - {clause.id}
                if not permitted[subject_category]:
                    del permitted[subject_category]
                    withheld[subject_category] = ESSENTIAL


def _sum(withheld: Mapping[SubjectCategory, str]) -> str:
    """Say why nothing goes: a reason that covers everything, else the one that says most."""
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


def delivery_id(
    secret: bytes, snapshot: CaseSnapshot, recipient: str, agreement_hash: str, *, ordinal: int = 0
) -> UUID:
    """Make the id of the one delivery these allow, the same for a preview as for the delivery.

    `ordinal` counts this recipient's earlier deliveries of the same version. One that was blocked
    keeps its id and never leaves under it. What is decided again is another delivery.

    A keyed UUID version 8 (RFC 9562 section 5.8): two agencies who compare theirs learn nothing,
    not even the moment.
    """
    named = "\0".join(
        ("delivery", str(snapshot.case_id), str(snapshot.version), recipient, agreement_hash)
    ).encode()
    if ordinal:
        named += f"\0{ordinal}".encode()
    raw = bytearray(hmac.digest(secret, named, hashlib.sha256)[:16])
    raw[6] = raw[6] & 0x0F | 0x80
    raw[8] = raw[8] & 0x3F | 0x80
    return UUID(bytes=bytes(raw))


def fingerprint(secret: bytes, content: Mapping[str, object]) -> str:
    """Tell by it whether two deliveries say the same, whatever their id, kind and moment.

    It is keyed, so that nobody can guess content by it.
    """
    said = {
        name: value for name, value in content.items() if name not in {"deliveryId", "kind", "asOf"}
    }
    return b64u(hmac.digest(secret, b"fingerprint\0" + canonical(said), hashlib.sha256))


def by_name(about: Mapping[SubjectCategory, str]) -> dict[str, str]:
    """Name each pair by its category and subject, for the sealed part of an entry."""
    return {f"{one.category}/{one.subject or ''}": word for one, word in about.items()}


def subjects_told_of(
    snapshot: CaseSnapshot, permitted: Sequence[SubjectCategory] | None
) -> tuple[UUID, ...]:
    """List whom an entry is about: all on the case, or those of whom something is permitted."""
    seen = None if permitted is None else {one.subject for one in permitted}
    return tuple(
        each.subject_id for each in snapshot.subjects if seen is None or each.subject_id in seen
    )


def field_set(permitted: Sequence[SubjectCategory]) -> str:
    """Write every category code, places first because they are asked about most.

    Under which clause each went is sealed beside it.
    """
    codes = {one.category for one in permitted}
    return field_sets.written(
        sorted(codes, key=lambda code: (not CATEGORIES[code].gives_location, code))
    )
