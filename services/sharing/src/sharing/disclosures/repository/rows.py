"""How a disclosure stands in its row, and the check that the row is as it was written."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, Final

from sqlalchemy import ColumnElement, and_

from common.sealed import RowSeal
from sharing.disclosures.model.answers import Answer
from sharing.disclosures.model.disclosure import Disclosure, Hold, Phase, Standing, State
from sharing.tables import CaseRow, DisclosureRow, table_of

CASE: Final = table_of(CaseRow)
DISCLOSURE: Final = table_of(DisclosureRow)
IN_CASE: Final = CASE.c.case_id == DISCLOSURE.c.case_id
OWN: Final = tuple(field.name for field in fields(Disclosure))
READ: Final = (*OWN, "row_seal")
"""The columns that are read of a disclosure, in this order."""
NO_WORD: Final = ""
"""What the columns of words hold where the model says None."""
WORDS: Final[Mapping[str, Callable[[str], Any]]] = {
    "state": State,
    "standing": lambda word: Standing(word) if word else None,
    "reason": lambda word: Hold(word) if word else None,
    "sealed_to": lambda word: word or None,
    "answer": lambda word: Answer(word) if word else None,
    "duty": lambda word: word or None,
}
"""How the columns of words are read."""


def in_phase(phase: Phase) -> ColumnElement[bool]:
    """Return the condition that a row stands at this place of the table of transitions."""
    standing = phase.standing.value if phase.standing else NO_WORD
    return and_(DISCLOSURE.c.state == phase.state.value, DISCLOSURE.c.standing == standing)


def disclosure_of(row: Any, seal: RowSeal) -> Disclosure:
    """Read the columns of `READ`. Raises RowAltered unless they are as this service wrote them."""
    kept = dict(zip(OWN, row, strict=False))
    seal.check(kept["id"], kept, row.row_seal)
    for name, read in WORDS.items():
        kept[name] = read(kept[name])
    return Disclosure(**kept)


def sealed_row(disclosure: Disclosure, seal: RowSeal) -> dict[str, Any]:
    """Return every column of `READ` as the row holds it."""
    kept = {name: stored(disclosure, name) for name in OWN}
    return {**kept, "row_seal": seal.of(kept)}


def stored(disclosure: Disclosure, name: str) -> Any:
    """Return a field as its column holds it."""
    value = getattr(disclosure, name)
    if value is None and name in WORDS:
        return NO_WORD
    return value.value if isinstance(value, Enum) else value
