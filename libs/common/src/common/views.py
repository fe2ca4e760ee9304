"""What a recipient sees: a pure projection of a case's facts through a decision and the category
table.

Preview, delivery, export and audit view all call `content`, so what was shown beforehand is what
leaves, byte for byte.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from common.events.case import CaseSnapshot, Fact
from hubformats.canonical import canonical
from hubformats.categories import CATEGORIES, FROM_SNAPSHOT, category
from hubformats.places import is_area
from hubformats.shield import REMOVED, Shield

CONTENT_VERSION: Final = 1

_LONDON: Final = ZoneInfo("Europe/London")
"""A day on a form is a day where its people live: just after a summer midnight it is still
yesterday in UTC.
"""

Kind = Literal["disclosure", "correction", "withdrawal", "notice"]
_ORDER: Final[Mapping[str, int]] = {code: place for place, code in enumerate(CATEGORIES)}

_ROLE_LABELS: Final = {
    "victim": "Victim",
    "perpetrator": "Perpetrator",
    "child": "Child",
    "household_member": "Household member",
    "reporter": "Reporter",
}


class Parcel(NamedTuple):
    """What is decided as one: a category of one person's information, or of the case itself when
    `subject` is None.

    A tuple, because a decision looks parcels up some hundred times, and a dataclass makes its hash
    and comparison in Python.
    """

    category: str
    subject: UUID | None = None


@dataclass(frozen=True, slots=True)
class ClauseText:
    """One clause of a sharing agreement, as the recipient is told it."""

    id: str
    text: str
    agreement: str
    version: str
    agreement_hash: str
    purpose: str
    necessity: str
    lawful_basis: str
    condition: str
    gateway: str
    obligations: tuple[tuple[str, str], ...] = ()
    """(code, plain-English text) each."""


@dataclass(frozen=True, slots=True)
class Projection:
    """One recipient's part of a decision: each permitted parcel with the id of its clause.

    What is not here is not shown.
    """

    recipient: str
    permitted: Mapping[Parcel, str]
    clauses: tuple[ClauseText, ...]
    """The clauses relied on, leading one first."""
    decided_at: datetime | None = None
    """When it was decided, by which safe contact is judged; None means when the snapshot was
    received.
    """
    advocate: bool = False
    """Whether the recipient speaks for the victim, and so still sees last-known means once nobody
    vouches for them.
    """


class _Shown(NamedTuple):
    """A fact as every recipient of its parcel sees it: `item` is the same for all, `about` whom it
    tells of differs in its wording.
    """

    place: int
    fact: Fact
    item: Mapping[str, Any]
    about: UUID | None


class Reading:
    """A snapshot read once for all its recipients: its parcels, who is shielded, and what must be
    taken out of texts.
    """

    def __init__(self, snapshot: CaseSnapshot) -> None:
        self.snapshot = snapshot
        self._known = {subject.subject_id: subject.subject_id for subject in snapshot.subjects}
        self._perpetrators = {
            subject.subject_id for subject in snapshot.subjects if subject.role == "perpetrator"
        }
        self._shielded = _shielded(snapshot)
        self._protected = bool(self._shielded - self._perpetrators)

    @cached_property
    def placed(self) -> tuple[tuple[Fact, Parcel], ...]:
        """Each fact with its parcel. Raises CategoryUnknown for a fact outside the table."""
        return tuple((fact, _parcel(fact, self._known)) for fact in self.snapshot.facts)

    @cached_property
    def _shown(self) -> Mapping[Parcel, Sequence[_Shown]]:
        found: dict[Parcel, list[_Shown]] = {}
        for place, (fact, parcel) in enumerate(self.placed):
            item = {"label": fact.label, "value": self.value(fact), "quality": fact.quality}
            about = None if category(fact.category).about in {"case", "source"} else parcel.subject
            found.setdefault(parcel, []).append(_Shown(place, fact, item, about))
        return found

    @cached_property
    def mask(self) -> Shield:
        """Takes shielded places out of this snapshot's texts."""
        secrets: list[str] = []
        told: list[str] = []
        for fact, parcel in self.placed:
            if self.is_location_shielded(parcel):
                (told if category(fact.category).free_text else secrets).extend(_texts(fact.value))
            elif self._is_misplaced(fact):
                secrets.extend(_texts(fact.value))
        areas = [
            text
            for fact, _ in self.placed
            if fact.category.endswith("_area")
            for text in _texts(fact.value)
        ]
        names = [
            text
            for fact, _ in self.placed
            if fact.category.endswith("_identity")
            for text in _texts(fact.value)
        ]
        return Shield(secrets, told, (*areas, self.snapshot.area), names)

    def value(self, fact: Fact) -> Any:
        """The fact's value as it may be shown: without shielded places, and without an area that is
        none.
        """
        return REMOVED if self._is_misplaced(fact) else self.mask.clean(fact.value)

    def parcels(self) -> tuple[Parcel, ...]:
        """What a decision must answer for, in reading order.

        Raises CategoryUnknown for a fact outside the table.
        """
        found = {Parcel(code) for code in FROM_SNAPSHOT} | {parcel for _, parcel in self.placed}
        return tuple(
            sorted(found, key=lambda parcel: (_ORDER[parcel.category], str(parcel.subject or "")))
        )

    def is_location_shielded(self, parcel: Parcel) -> bool:
        """Whether an address shield withholds this parcel from everybody (design section 13, rule
        1).

        People on the protected side share roof, school run and GP, so a shield on one of them hides
        the places of all, and of the case. A shielded perpetrator hides only his own.
        """
        if not category(parcel.category).gives_location:
            return False
        return self._is_hidden(parcel.subject)

    def _is_hidden(self, subject: UUID | None) -> bool:
        return subject in self._shielded if subject in self._perpetrators else self._protected

    def _is_misplaced(self, fact: Fact) -> bool:
        """Whether an address stands in the field for the area of somebody shielded: at most an area
        may leave (design 13, rule 1).
        """
        return (
            fact.category.endswith("_area")
            and self._is_hidden(fact.subject)
            and not all(is_area(text) for text in _texts(fact.value))
        )

    def content(
        self, projection: Projection, *, kind: Kind, delivery_id: UUID, case_reference: str
    ) -> dict[str, Any]:
        """What `content` writes, before it is written. Raises as it does."""
        if not projection.clauses:
            raise ValueError("a disclosure needs a clause")
        if any(self.is_location_shielded(parcel) for parcel in projection.permitted):
            raise ValueError("a shielded place was permitted")
        snapshot, leading = self.snapshot, projection.clauses[0]
        permitted = {
            parcel: self._shown[parcel] for parcel in projection.permitted if parcel in self._shown
        }
        # In the order of the facts, whatever the order of the parcels.
        seen = sorted(
            (each for shown in permitted.values() for each in shown), key=attrgetter("place")
        )
        names = _names(snapshot, {parcel.subject for parcel in permitted})
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
        if any(parcel.category == "victim_safe_contact" for parcel in projection.permitted):
            made["safeContact"] = _safe_contact(snapshot, projection, seen)
        return made


def parcels(snapshot: CaseSnapshot) -> tuple[Parcel, ...]:
    """`Reading.parcels` of a snapshot."""
    return Reading(snapshot).parcels()


def is_location_shielded(snapshot: CaseSnapshot, parcel: Parcel) -> bool:
    """`Reading.is_location_shielded` of a snapshot."""
    return Reading(snapshot).is_location_shielded(parcel)


def content(
    snapshot: CaseSnapshot,
    projection: Projection,
    *,
    kind: Kind,
    delivery_id: UUID,
    case_reference: str,
) -> bytes:
    """The canonical content C of one delivery.

    It holds nothing of what was withheld, not even that something was: no empty section, no gap in
    a numbering, no other recipient, no snapshot version. Raises CategoryUnknown, and ValueError
    when the projection names no clause or permits a shielded place, which no decision may do.
    """
    return canonical(
        Reading(snapshot).content(
            projection, kind=kind, delivery_id=delivery_id, case_reference=case_reference
        )
    )


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
    seen: Sequence[_Shown],
    names: Mapping[UUID, str],
) -> Iterator[dict[str, Any]]:
    clauses: dict[str, set[str]] = {}
    for parcel, clause in projection.permitted.items():
        clauses.setdefault(parcel.category, set()).add(clause)
    items: dict[str, list[Mapping[str, Any]]] = {}
    if Parcel("concern") in projection.permitted:
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


def _safe_contact(
    snapshot: CaseSnapshot, projection: Projection, seen: Sequence[_Shown]
) -> dict[str, Any]:
    """The strip that stands above everything else.

    Anything but a plain yes means: do not contact (design section 13, rule 2).

    The number of a means of contact stands with its rule only when phone numbers are permitted too,
    a postal address only when the address is. `safeUntil` is the last day on which "safe" holds:
    who shows this later judges anew. Means that are not verified any longer are for the advocate
    alone (rule 5).
    """
    rules: list[_Shown] = []
    means: dict[str, list[_Shown]] = {}
    for each in seen:
        before, found, rest = each.fact.path.partition(".means.")
        if found:
            means.setdefault(f"{before}.{rest.partition('.')[0]}", []).append(each)
        elif each.fact.category == "victim_safe_contact":
            rules.append(each)
    stated = [each.fact for each in rules]
    verified = next((str(fact.value) for fact in stated if _leaf(fact) == "last_verified"), None)
    on = (projection.decided_at or snapshot.received_at).astimezone(_LONDON).date()
    day = _day_verified(verified, on)
    # The limit is the rules' under which the referral was made; a snapshot that states none vouches
    # for nothing.
    until = (
        day + timedelta(days=snapshot.safe_contact_days)
        if day and snapshot.safe_contact_days
        else None
    )
    status = _safe_status(
        stated, [each.fact for group in means.values() for each in group], known=day is not None
    )
    if status == "safe" and (until is None or on > until):
        status = "unverified"
    told = () if status == "unverified" and not projection.advocate else means.values()
    return {
        "status": status,
        "doNotContact": status != "safe",
        "lastVerified": verified,
        "safeUntil": None if until is None else until.isoformat(),
        "advocate": projection.advocate,
        "items": [each.item for each in rules],
        "means": [[each.item for each in group] for group in told],
    }


def _day_verified(verified: str | None, on: date) -> date | None:
    """The day, if it is one.

    One that has not come yet is a slip of the keyboard, and would vouch for years.
    """
    try:
        day = None if verified is None else date.fromisoformat(verified)
    except ValueError:
        return None
    return None if day is None or day > on else day


def _safe_status(rules: list[Fact], means: list[Fact], *, known: bool) -> str:
    """What the form says, `known` if it also says when that was verified."""
    stated = {fact.value for fact in rules if _leaf(fact) == "status"}
    if stated == {"do_not_contact"}:
        return "unsafe"
    named = any(_leaf(fact) == "safe" and fact.value == "yes" for fact in means)
    return "safe" if stated == {"known"} and known and named else "unknown"


def _leaf(fact: Fact) -> str:
    return fact.path.rpartition(".")[2]


def _names(snapshot: CaseSnapshot, told_of: set[UUID | None]) -> dict[UUID, str]:
    """What each visible person is called here.

    People are numbered among the visible alone, so that no gap shows.
    """
    shown = [subject for subject in snapshot.subjects if subject.subject_id in told_of]
    names: dict[UUID, str] = {}
    for role, label in _ROLE_LABELS.items():
        people = [subject for subject in shown if subject.role == role]
        for place, subject in enumerate(people, start=1):
            names[subject.subject_id] = label if len(people) == 1 else f"{label} {place}"
    return names


def _parcel(fact: Fact, known: Mapping[UUID, UUID]) -> Parcel:
    # The id of the subject itself and not the equal one of the fact: what is the same object is not
    # compared again.
    return Parcel(category(fact.category).code, known.get(fact.subject) if fact.subject else None)


def _shielded(snapshot: CaseSnapshot) -> set[UUID]:
    shielded = {subject.subject_id for subject in snapshot.subjects if subject.address_shielded}
    for marking in snapshot.markings:
        if marking.kind == "location_shield":
            # A shield that names nobody protects every victim on the case.
            shielded |= (
                {marking.subject}
                if marking.subject
                else {s.subject_id for s in snapshot.subjects if s.role != "perpetrator"}
            )
    return shielded


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
