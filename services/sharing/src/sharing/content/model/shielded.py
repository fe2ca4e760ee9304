"""Which facts of a snapshot an address shield hides.

A shield belongs to an address. It is never on his known one, nor on the one they shared (design
section 13, rule 1).
"""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Final
from uuid import UUID

from common.events.case import CaseSnapshot, Fact, Marking
from hubformats.categories import CATEGORIES
from hubformats.places import is_area, parts_of

EVERYTHING: Final = "*"
"""The category of a shield that covers every place of a person, and not one address."""
_ADDRESSES: Final = ".addresses."
_NAMED_PLACES: Final = frozenset({"danger_place", "incident_place"})


class Shielded:
    """Reads the shields of one snapshot.

    People on the protected side share roof, school run and GP. So a shield on one of them hides
    what would give her address away. That is the schools, practices, work and zones of all, and
    what happened where. It is also every other address of theirs that nobody else is known to have.
    A shielded perpetrator hides only his own places.
    """

    def __init__(self, snapshot: CaseSnapshot) -> None:
        self._facts = snapshot.facts
        self._hidden: dict[int, bool] = {}
        self._perpetrators = {
            subject.subject_id for subject in snapshot.subjects if subject.role == "perpetrator"
        }
        self._subjects = {subject.subject_id for subject in snapshot.subjects}
        marked = [marking for marking in snapshot.markings if marking.kind == "location_shield"]
        self._addresses = tuple(
            marking.category for marking in marked if marking.category != EVERYTHING
        )
        by_address = {marking.subject for marking in marked if marking.category != EVERYTHING}
        self._whole = {
            subject.subject_id
            for subject in snapshot.subjects
            if subject.address_shielded and subject.subject_id not in by_address
        }.union(*(self._covered(marking) for marking in marked if marking.category == EVERYTHING))
        self._by_address = {subject for subject in by_address if subject is not None}

    @property
    def any(self) -> bool:
        """Whether there is a shield at all."""
        return bool(self._whole or self._addresses)

    def hides(self, fact: Fact) -> bool:
        """Tell whether nobody may be shown this fact."""
        known = self._hidden.get(id(fact))
        if known is None:
            known = self._hidden[id(fact)] = self._judge(fact)
        return known

    def _judge(self, fact: Fact) -> bool:
        if fact.category not in CATEGORIES or not CATEGORIES[fact.category].gives_location:
            return False
        if self._names_address(fact):
            return True
        if fact.subject in self._perpetrators:
            return fact.subject in self._whole
        return self._protected and not self._is_open(fact)

    def hides_places_of(self, subject: UUID | None) -> bool:
        """Tell whether the places of this person are hidden, unless known otherwise."""
        return subject in self._whole if subject in self._perpetrators else self._protected

    def is_secret(self, fact: Fact) -> bool:
        """Tell whether a hidden fact must be looked for in texts.

        His own address is no secret because she lived there, too, unless it is shielded itself.
        """
        return self._names_address(fact) or not self._is_his(fact)

    def is_misplaced(self, fact: Fact) -> bool:
        """Tell whether an address stands in the field for the area of somebody shielded.

        At most an area may leave (design section 13, rule 1).
        """
        return (
            fact.category.endswith("_area")
            and self.hides_places_of(fact.subject)
            and not all(is_area(text) for text in texts_of(fact.value))
        )

    def _covered(self, marking: Marking) -> set[UUID]:
        # A shield that names nobody protects every victim on the case.
        return self._subjects - self._perpetrators if marking.subject is None else {marking.subject}

    @cached_property
    def _protected(self) -> bool:
        return bool((self._whole | self._by_address) - self._perpetrators)

    def _names_address(self, fact: Fact) -> bool:
        return any(
            fact.path == address or fact.path.startswith(f"{address}.")
            for address in self._addresses
        )

    def _is_open(self, fact: Fact) -> bool:
        """Tell whether a place of the protected side is none that a shield was made for.

        She may have a second address that the form leaves open. Of everybody else, and of what
        happened, only what is known as such a place is open.
        """
        if self._whole - self._perpetrators:
            return False
        if fact.subject in self._by_address and _ADDRESSES in fact.path:
            return True
        of_address = fact.category.endswith("_address") or fact.category in _NAMED_PLACES
        return of_address and _all_in(fact, self._open_places)

    @cached_property
    def _open_places(self) -> frozenset[str]:
        mine = (
            fact
            for fact in self._facts
            if fact.subject in self._by_address
            and _ADDRESSES in fact.path
            and fact.category.endswith("_address")
            and not self._names_address(fact)
        )
        return self._his_places | _places(mine) | self._areas

    @cached_property
    def _areas(self) -> frozenset[str]:
        found = (fact for fact in self._facts if fact.category.endswith("_area"))
        return frozenset(part for part in _places(found) if is_area(part))

    @cached_property
    def _his_places(self) -> frozenset[str]:
        return _places(
            fact
            for fact in self._facts
            if fact.category == "perpetrator_address" and not self.hides(fact)
        )

    def _is_his(self, fact: Fact) -> bool:
        return fact.category.endswith("_address") and _all_in(fact, self._his_places)


def texts_of(value: Any) -> Iterator[str]:
    """List the strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_of(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts_of(item)


def _places(facts: Iterable[Fact]) -> frozenset[str]:
    return frozenset(
        part for fact in facts for text in texts_of(fact.value) for part in parts_of(text)
    )


def _all_in(fact: Fact, places: frozenset[str]) -> bool:
    """Tell whether each part is known, and one has a house number or is a postcode."""
    parts = [part for text in texts_of(fact.value) for part in parts_of(text)]
    telling = any(letter.isdigit() for part in parts for letter in part)
    return telling and places.issuperset(parts)
