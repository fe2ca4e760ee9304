"""What kinds of information there are, and what each of them gives away. They are the smallest
things an agreement can permit or withhold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Sensitivity = Literal["ordinary", "personal", "special", "criminal", "location", "source"]


class CategoryUnknown(ValueError):
    """A fact has no known data category, so it can be neither stored nor shown.

    Design section 2, point 4. Never carries the fact.
    """


@dataclass(frozen=True, slots=True)
class Category:
    """One kind of information, the smallest thing a sharing agreement can permit or withhold."""

    code: str
    label: str
    about: Literal["victim", "perpetrator", "child", "household", "source", "case"]
    sensitivity: Sensitivity
    gives_location: bool = False
    """Knowing it tells where somebody lives or can be found; an address shield withholds it."""
    free_text: bool = False
    """Somebody's own words, which may name what other fields withhold."""


_PERSON: Final[tuple[tuple[str, str, Sensitivity, bool, bool], ...]] = (
    # suffix, label, sensitivity, gives location, free text
    ("identity", "{}", "personal", False, False),
    ("phone", "{}'s phone and e-mail", "personal", False, False),
    ("area", "{}'s area", "personal", False, False),
    ("address", "{}'s address", "location", True, False),
    ("whereabouts", "{}'s whereabouts", "location", True, True),
    ("school", "{}'s school", "location", True, False),
    ("employer", "{}'s work or study", "location", True, False),
    ("health_contact", "{}'s GP practice", "location", True, False),
    ("needs", "{}'s support and access needs", "special", False, True),
)


def _person(
    code: Literal["victim", "perpetrator", "child", "household"], name: str
) -> tuple[Category, ...]:
    """List what there is to know of a person in one role, from least to most telling."""
    return tuple(
        Category(
            f"{code}_{suffix}",
            label.format(name),
            code,
            sensitivity,
            gives_location=place,
            free_text=text,
        )
        for suffix, label, sensitivity, place, text in _PERSON
    )


# In the order in which a practitioner reads them.
_ROWS: Final = (
    Category("danger_summary", "Immediate danger", "case", "personal", free_text=True),
    Category("danger_place", "Where the danger is", "case", "location", gives_location=True),
    Category("callback", "Call back", "victim", "personal"),
    Category("concern", "Concern", "case", "criminal"),
    Category("risk_summary", "Risk", "case", "personal"),
    Category("risk_answers", "Risk assessment answers", "case", "special", free_text=True),
    *_person("victim", "Victim"),
    Category("victim_safe_contact", "Safe contact", "victim", "personal"),
    Category("consent", "Awareness and agreement", "victim", "personal", free_text=True),
    Category("relationship", "Relationship", "household", "personal"),
    *_person("perpetrator", "Perpetrator"),
    *_person("child", "Child"),
    *_person("household", "Other household member"),
    Category("incident", "Incident", "case", "criminal"),
    Category("incident_children", "Children at the incident", "case", "personal"),
    Category("incident_place", "Place of the incident", "case", "location", gives_location=True),
    Category(
        "incident_narrative",
        "Account of the incident",
        "case",
        "criminal",
        gives_location=True,
        free_text=True,
    ),
    Category("order", "Orders and conditions", "case", "criminal"),
    Category("order_zone", "Zone of an order", "case", "location", gives_location=True),
    Category("immigration_status", "Immigration status", "victim", "special"),
    Category("referrer", "Referred by", "source", "source"),
    Category("informant_identity", "Who reported it", "source", "source"),
)

CATEGORIES: Final[Mapping[str, Category]] = {row.code: row for row in _ROWS}
"""Every data category there is.

A narrative counts as location, because no machine can promise that a text names no place.
"""

FROM_SNAPSHOT: Final = frozenset({"concern"})
"""Categories that a snapshot's own parts fill, without a fact."""


def category(code: str) -> Category:
    """Return the category of that code. Raises CategoryUnknown."""
    found = CATEGORIES.get(code)
    if found is None:
        raise CategoryUnknown("category-unknown")
    return found
