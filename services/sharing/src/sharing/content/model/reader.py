"""Make what a recipient sees: a pure projection of a case's facts through a decision.

Preview, delivery, export and audit view all call `SnapshotReader.content`. So what was shown
beforehand is what leaves, byte for byte.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from common.events.case import CaseSnapshot, Fact
from hubformats.categories import CATEGORIES, FROM_SNAPSHOT, category
from hubformats.masking import REMOVED, Mask
from hubformats.shield import Places, shield
from sharing.content.model.projection import (
    ClauseText,
    Kind,
    Projection,
    ShownFact,
    SubjectCategory,
)
from sharing.content.model.safe_contact import safe_contact
from sharing.content.model.shielded import Shielded, texts_of
from sharing.content.model.vetoed import keeps_names, vetoed_values

CONTENT_VERSION: Final = 1


_ORDER: Final[Mapping[str, int]] = {code: place for place, code in enumerate(CATEGORIES)}

_NAMES: Final = frozenset({"full", "known_as", "aliases", "name"})
"""What the paths of people's own names end in."""
_ROLE_LABELS: Final = {
    "victim": "Victim",
    "perpetrator": "Perpetrator",
    "child": "Child",
    "household_member": "Household member",
    "reporter": "Reporter",
}


class SnapshotReader:
    """A snapshot read once for all its recipients.

    Knows what must be decided, who is shielded, and what must be taken out of texts.
    """

    def __init__(self, snapshot: CaseSnapshot) -> None:
        self.snapshot = snapshot
        self._known = {subject.subject_id: subject.subject_id for subject in snapshot.subjects}
        self._shielded = Shielded(snapshot)
        self._vetoed: dict[tuple[str, frozenset[SubjectCategory]], Mask | None] = {}

    @cached_property
    def placed(self) -> tuple[tuple[Fact, SubjectCategory], ...]:
        """Each fact with its category and subject.

        Raises CategoryUnknown for a fact of none.

        What a shield hides of a category of which it leaves something open stands apart.
        """
        found = [(fact, _category_of(fact, self._known)) for fact in self.snapshot.facts]
        if self._shielded.any:
            opened = {each for fact, each in found if not self._shielded.hides(fact)}
            found = [
                (fact, each._replace(hidden=each in opened and self._shielded.hides(fact)))
                for fact, each in found
            ]
        return tuple(found)

    @cached_property
    def _open(self) -> frozenset[SubjectCategory]:
        """Categories of which a shield leaves open what there is."""
        return frozenset(
            each for fact, each in self.placed if not each.hidden and not self._shielded.hides(fact)
        )

    @cached_property
    def _shown(self) -> Mapping[SubjectCategory, Sequence[ShownFact]]:
        found: dict[SubjectCategory, list[ShownFact]] = {}
        for place, (fact, subject_category) in enumerate(self.placed):
            item = {"label": fact.label, "value": self.value(fact), "quality": fact.quality}
            about = (
                None
                if category(fact.category).about in {"case", "source"}
                else subject_category.subject
            )
            found.setdefault(subject_category, []).append(ShownFact(place, fact, item, about))
        return found

    @cached_property
    def mask(self) -> Mask | None:
        """Takes places out of this snapshot's texts; None when nothing is shielded."""
        if not self._shielded.any:
            return None
        found: dict[str, list[str]] = {"secrets": [], "told": [], "known": [], "names": []}
        areas = [self.snapshot.area]
        for fact, _ in self.placed:
            texts = list(texts_of(fact.value))
            about = category(fact.category)
            if self._shielded.hides(fact):
                if self._shielded.is_secret(fact):
                    found["told" if about.free_text else "secrets"] += texts
            elif self._shielded.is_misplaced(fact):
                found["secrets"] += texts
            elif about.gives_location and not about.free_text:
                found["known"] += texts
            if fact.category.endswith("_area"):
                areas += texts
            elif fact.path.rpartition(".")[2] in _NAMES:
                found["names"] += texts
        return shield(Places(**found, areas=areas))

    def value(self, fact: Fact) -> Any:
        """Return the fact's value as it may be shown.

        Places are taken out where anything is shielded, and so is an area that is none.
        """
        if self.mask is None:
            return fact.value
        return REMOVED if self._shielded.is_misplaced(fact) else self.mask.clean(fact.value)

    def subject_categories(self) -> tuple[SubjectCategory, ...]:
        """List what a decision must answer for, in reading order.

        Raises CategoryUnknown for a fact outside the table.
        """
        found = {SubjectCategory(code) for code in FROM_SNAPSHOT} | {
            subject_category for _, subject_category in self.placed
        }
        return tuple(
            sorted(
                found,
                key=lambda subject_category: (
                    _ORDER[subject_category.category],
                    str(subject_category.subject or ""),
                    subject_category.hidden,
                ),
            )
        )

    def is_location_shielded(self, subject_category: SubjectCategory) -> bool:
        """Tell whether an address shield withholds this from everybody (design section 13, rule 1).

        What is not known to be open counts as shielded, also where no fact says anything.
        """
        if not category(subject_category.category).gives_location:
            return False
        return subject_category.hidden or (
            self._shielded.hides_places_of(subject_category.subject)
            and subject_category not in self._open
        )

    def _permitted(self, projection: Projection) -> Mapping[SubjectCategory, Sequence[ShownFact]]:
        """Return what the recipient may see, without the values that a veto withholds from it."""
        found = {each: self._shown[each] for each in projection.permitted if each in self._shown}
        told = (projection.recipient, frozenset(projection.permitted))
        if told not in self._vetoed:
            self._vetoed[told] = vetoed_values(self.snapshot, self.placed, *told)
        mask = self._vetoed[told]
        if mask is None:
            return found
        return {about: [_cleaned(each, mask) for each in shown] for about, shown in found.items()}

    def content(
        self, projection: Projection, *, kind: Kind, delivery_id: UUID, case_reference: str
    ) -> dict[str, Any]:
        """Say what one delivery holds; its canonical bytes are the content C.

        It holds nothing of what was withheld, not even that something was. So it has no empty
        section, no gap in a numbering, no other recipient and no snapshot version.

        Raises CategoryUnknown.
        Raises ValueError when the projection names no clause or permits a
        shielded place, which no decision may do.
        """
        if not projection.clauses:
            raise ValueError("a disclosure needs a clause")
        if any(self.is_location_shielded(each) for each in projection.permitted):
            raise ValueError("a shielded place was permitted")
        snapshot, leading = self.snapshot, projection.clauses[0]
        permitted = self._permitted(projection)
        # In the order of the facts, whatever the order of the categories.
        seen = sorted(
            (each for shown in permitted.values() for each in shown), key=attrgetter("place")
        )
        names = _names(snapshot, {subject_category.subject for subject_category in permitted})
        made: dict[str, Any] = {
            "v": CONTENT_VERSION,
            "kind": kind,
            "deliveryId": str(delivery_id),
            "recipient": projection.recipient,
            "caseReference": case_reference,
            "asOf": _moment(snapshot.received_at),
            "provisional": snapshot.provisional,
            "urgent": snapshot.urgent,
            "clause": _clause(leading),
            "otherClauses": [
                {"id": clause.id, "text": clause.text} for clause in projection.clauses[1:]
            ],
            "purpose": leading.purpose,
            "necessity": leading.necessity,
            "lawfulBasis": leading.lawful_basis,
            "condition": leading.condition,
            "gateway": leading.gateway,
            "obligations": _obligations(projection.clauses),
            "sections": list(_sections(snapshot, projection, seen, names)),
        }
        if any(each.category == "victim_safe_contact" for each in projection.permitted):
            made["safeContact"] = safe_contact(snapshot, projection, seen)
        return made


def _cleaned(shown: ShownFact, mask: Mask) -> ShownFact:
    if keeps_names(shown.fact):
        return shown
    return shown._replace(item={**shown.item, "value": mask.clean(shown.item["value"])})


def _clause(leading: ClauseText) -> dict[str, str]:
    return {
        "id": leading.id,
        "text": leading.text,
        "agreement": leading.agreement,
        "version": leading.version,
        "hash": leading.agreement_hash,
    }


def _obligations(clauses: Iterable[ClauseText]) -> list[dict[str, str]]:
    found = {code: text for clause in clauses for code, text in clause.obligations}
    return [{"code": code, "text": text} for code, text in found.items()]


def _sections(
    snapshot: CaseSnapshot,
    projection: Projection,
    seen: Sequence[ShownFact],
    names: Mapping[UUID, str],
) -> Iterator[dict[str, Any]]:
    clauses: dict[str, set[str]] = {}
    for subject_category, clause in projection.permitted.items():
        clauses.setdefault(subject_category.category, set()).add(clause)
    items: dict[str, list[Mapping[str, Any]]] = {}
    if SubjectCategory("concern") in projection.permitted:
        items["concern"] = [{"label": "Kind", "value": snapshot.kind, "quality": "fact"}]
    for each in seen:
        # A number of the safe-contact rule stands in the strip with its rule, never on its own
        # where somebody might just dial it.
        if each.fact.category != "victim_safe_contact" and ".means." not in each.fact.path:
            item = each.item if each.about is None else {**each.item, "about": names[each.about]}
            items.setdefault(each.fact.category, []).append(item)
    for code, about in CATEGORIES.items():
        if code in items:
            yield {
                "category": code,
                "label": about.label,
                "clause": min(clauses[code]),
                "items": items[code],
            }


def _names(snapshot: CaseSnapshot, told_of: set[UUID | None]) -> dict[UUID, str]:
    """Name each visible person by their role.

    People are numbered among the visible alone, so that no gap shows.
    """
    shown = [subject for subject in snapshot.subjects if subject.subject_id in told_of]
    names: dict[UUID, str] = {}
    for role, label in _ROLE_LABELS.items():
        people = [subject for subject in shown if subject.role == role]
        for place, subject in enumerate(people, start=1):
            names[subject.subject_id] = label if len(people) == 1 else f"{label} {place}"
    return names


def _category_of(fact: Fact, known: Mapping[UUID, UUID]) -> SubjectCategory:
    # The id of the subject itself and not the equal one of the fact: what is the same object is not
    # compared again.
    return SubjectCategory(
        category(fact.category).code, known.get(fact.subject) if fact.subject else None
    )


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
