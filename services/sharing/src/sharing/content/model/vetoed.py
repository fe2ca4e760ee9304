"""What a veto on a category covers, and how its values are kept out of other texts."""

from collections.abc import Collection, Container, Iterator, Sequence
from typing import Final
from uuid import UUID

from common.events.case import CaseSnapshot, Fact, Marking
from hubformats.categories import category
from hubformats.masking import Mask
from hubformats.withheld_values import Sort, Value, values_mask
from sharing.content.model.projection import SubjectCategory
from sharing.content.model.shielded import texts_of

_SOUGHT: Final = frozenset({"must_not_disclose", "informant"})
"""Vetoes whose values must not be read in a text either."""
_SORTS: Final = {
    "full": Sort.NAME,
    "known_as": Sort.NAME,
    "aliases": Sort.NAME,
    "name": Sort.NAME,
    "officer_in_case": Sort.NAME,
    "birth_dates": Sort.DAY,
    "nhs_number": Sort.NUMBER,
    "phone": Sort.NUMBER,
    "email": Sort.NUMBER,
    "value": Sort.NUMBER,
    "crime_reference": Sort.NUMBER,
    "language": Sort.WORD,
    "code_word": Sort.WORD,
    "whereabouts": Sort.ITEMS,
    "care_and_support_needs": Sort.ITEMS,
}
"""What the last part of a field's path says of its value."""
_TOLD: Final = frozenset({Sort.ACCOUNT, Sort.ITEMS})
"""What is somebody's own words opens nothing by naming it."""
_OWN_FIELDS: Final = "_identity"
"""Names in their own field stay: of two people of one surname one may be told."""


def covers(
    marking: Marking, agency: str, subject_category: SubjectCategory, people: Collection[UUID]
) -> bool:
    """Tell whether a veto covers this agency and subject_category.

    `people` are those of the case. A veto about nobody among them covers everybody: who it was
    about cannot be told any more. A location shield has its own rule,
    `SnapshotReader.is_location_shielded`.
    """
    if marking.kind == "location_shield" or marking.agency not in {"*", agency}:
        return False
    if marking.kind == "informant" and marking.category == "*" and marking.subject is None:
        # Who is protected is not said, so what could name a source is.
        return subject_category.category in {"informant_identity", "referrer"}
    if marking.subject in people and subject_category.subject != marking.subject:
        return False
    return marking.category in {"*", subject_category.category}


def vetoed_values(
    snapshot: CaseSnapshot,
    placed: Sequence[tuple[Fact, SubjectCategory]],
    agency: str,
    permitted: Container[SubjectCategory],
) -> Mask | None:
    """Make the mask of what vetoes withhold from this agency; None when nothing is sought.

    What only an account names stays if a field that the agency may read gives it, too. So a veto on
    an account takes neither her phone number from her advocate nor anybody's name from the danger.
    """
    people = people_of(snapshot)
    sought = [marking for marking in snapshot.markings if marking.kind in _SOUGHT]
    if not sought:
        return None
    withheld: list[Value] = []
    spared = [Value(Sort.PLACE, snapshot.area)]
    for fact, about in placed:
        values = list(_values(fact))
        if any(covers(marking, agency, about, people) for marking in sought):
            withheld += values
        elif about in permitted:
            spared += [value for value in values if value.sort not in _TOLD]
        else:
            spared += [value for value in values if value.sort is Sort.NAME]
    return values_mask(withheld, spared)


def people_of(snapshot: CaseSnapshot) -> frozenset[UUID]:
    """Return who is on the case."""
    return frozenset(each.subject_id for each in snapshot.subjects)


def keeps_names(fact: Fact) -> bool:
    """Tell whether the fact is somebody's own name, which is decided by its category alone."""
    return fact.category.endswith(_OWN_FIELDS)


def _values(fact: Fact) -> Iterator[Value]:
    about = category(fact.category)
    leaf = fact.path.rpartition(".")[2]
    if leaf in _SORTS:
        sort = _SORTS[leaf]
    elif about.free_text:
        sort = Sort.ACCOUNT
    elif about.gives_location:
        sort = Sort.PLACE
    elif about.sensitivity == "source":
        return  # "Response officer" names nobody
    else:
        sort = Sort.PHRASE
    yield from (Value(sort, text) for text in texts_of(fact.value))
