"""How an audit record's `fs` names kinds of information. All of them fit the 200 characters it has,
however many there are."""

from collections.abc import Sequence
from typing import Final

KINDS: Final = (
    "callback",
    "child_address",
    "child_area",
    "child_employer",
    "child_health_contact",
    "child_identity",
    "child_needs",
    "child_phone",
    "child_school",
    "child_whereabouts",
    "concern",
    "consent",
    "danger_place",
    "danger_summary",
    "household_address",
    "household_area",
    "household_employer",
    "household_health_contact",
    "household_identity",
    "household_needs",
    "household_phone",
    "household_school",
    "household_whereabouts",
    "immigration_status",
    "incident",
    "incident_children",
    "incident_narrative",
    "incident_place",
    "informant_identity",
    "order",
    "order_zone",
    "perpetrator_address",
    "perpetrator_area",
    "perpetrator_employer",
    "perpetrator_health_contact",
    "perpetrator_identity",
    "perpetrator_needs",
    "perpetrator_phone",
    "perpetrator_school",
    "perpetrator_whereabouts",
    "referrer",
    "relationship",
    "risk_answers",
    "risk_summary",
    "victim_address",
    "victim_area",
    "victim_employer",
    "victim_health_contact",
    "victim_identity",
    "victim_needs",
    "victim_phone",
    "victim_safe_contact",
    "victim_school",
    "victim_whereabouts",
)
"""Kind number n of list 1, by its place here.

Records of years hold these numbers: a new kind goes to the end, none ever moves or goes.
"""

_NUMBER: Final = {kind: number for number, kind in enumerate(KINDS)}
_LIST: Final = "/1:"
_LIMIT: Final = 200
"""Characters that record v1 has for a field."""
_ROOM: Final = 150
"""Of them for names when not all fit; the rest is for the whole set in numbers, good for some 170
kinds.
"""


def written(kinds: Sequence[str]) -> str:
    """Join names by commas in the order given, within the limit.

    If they do not fit: the first of them, how many more, and the whole set in numbers.
    `danger_place,victim_identity+9/1:2c1f`: bit n of the hexadecimal number stands for kind n of
    list 1.

    Raises KeyError for a kind without a number.
    """
    whole = ",".join(kinds)
    if len(whole) <= _LIMIT:
        return whole
    shown = [kind for place, kind in enumerate(kinds) if len(",".join(kinds[: place + 1])) <= _ROOM]
    bits = sum(1 << _NUMBER[kind] for kind in set(kinds))
    return f"{','.join(shown)}+{len(kinds) - len(shown)}{_LIST}{bits:x}"


def read(field_set: str) -> tuple[tuple[str, ...], int]:
    """Return the names in a field set, and how many more it does not name.

    There are such only in one written before sets had numbers.
    """
    named, _, rest = field_set.partition("+")
    names = tuple(kind for kind in named.split(",") if kind)
    more, numbered, bits = rest.partition(_LIST)
    try:
        if numbered:
            others = int(bits, 16)
            return names + tuple(
                kind
                for kind, number in _NUMBER.items()
                if others >> number & 1 and kind not in names
            ), 0
        return names, int(more or 0)
    except ValueError:
        return names, 0
