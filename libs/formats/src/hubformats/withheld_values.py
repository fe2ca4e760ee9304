"""Takes the values of withheld fields out of texts, in the spellings people use for them.

They are names, numbers, days, places and phrases.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from itertools import pairwise
from typing import Final

from hubformats.masking import Mask
from hubformats.needles import Needles
from hubformats.places import NUMBER, ORDINARY, TRIVIAL, words_of
from hubformats.shield import place_needles

_LONGEST: Final = 60
"""Letters of a value that are compared."""
_SHORTEST_WORD: Final = 3
_SHORTEST_NUMBER: Final = 4
_PHRASE: Final = 4
"""Words of a value up to which every two of them are looked for, too."""
_CODE: Final = re.compile(r"[a-z0-9_]*[a-z][a-z0-9_]*")
_LEADING: Final = re.compile(r"0(?=\d{9,10}$)|44(?:0)?(?=\d{10}$)")


class Sort(Enum):
    """What sort of value it is, by which its spellings differ."""

    NAME = auto()
    NUMBER = auto()
    DAY = auto()
    PLACE = auto()
    PHRASE = auto()


@dataclass(frozen=True, slots=True)
class Value:
    """A withheld value."""

    sort: Sort
    text: str


def values_mask(values: Iterable[Value]) -> Mask | None:
    """Make the mask that takes these values out of texts; None when there is nothing to take out.

    A code such as “former_partner” and a word such as “yes” are no values.
    """
    anywhere: set[str] = set()
    whole: set[str] = set()
    capital: set[str] = set()
    for value in values:
        if value.sort is Sort.NAME:
            whole.update(_name(value.text))
        elif value.sort is Sort.NUMBER:
            anywhere.update(_number(value.text))
        elif value.sort is Sort.DAY:
            whole.update(_day(value.text))
        elif value.sort is Sort.PLACE:
            inside, words, names = place_needles(value.text)
            anywhere.update(inside)
            whole.update(words)
            capital.update(names)
        else:
            whole.update(_phrase(value.text))
    capital |= whole & ORDINARY
    needles = Needles(anywhere, whole - ORDINARY, capital, longest=_LONGEST)
    return Mask(needles) if needles else None


def _name(text: str) -> Iterator[str]:
    """Yield the whole name, every two words, and each word of it."""
    words = words_of(text)
    yield "".join(words)
    yield from (first + second for first, second in pairwise(words))
    parts = {part for word in re.split(r"[\s-]+", text) for part in words_of(word)}
    yield from (
        part for part in (*words, *parts) if len(part) >= _SHORTEST_WORD and part not in TRIVIAL
    )


def _number(text: str) -> Iterator[str]:
    """Yield a phone number under every way to dial it, a reference number, or an e-mail address."""
    run = "".join(words_of(text))
    if len(run) < _SHORTEST_NUMBER:
        return
    yield run
    if run.isdigit():
        rest = _LEADING.sub("", run.removeprefix("00"))
        yield from (rest, *(start + rest for start in ("0", "44", "440", "0044", "00440")))


def _day(text: str) -> Iterator[str]:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return
    number, month, year = day.day, day.month, day.year
    yield from (f"{year}{month:02}{number:02}", f"{number:02}{month:02}{year}")
    for short in (f"{number}{month}", f"{number:02}{month:02}"):
        yield from (f"{short}{year}", f"{short}{year % 100:02}")
    for name in (f"{day:%B}", f"{day:%b}"):
        for figure in (str(number), f"{number:02}", *(f"{number}{end}" for end in _ORDINALS)):
            yield from (f"{figure}{name}{year}".lower(), f"{name}{figure}{year}".lower())
            yield f"{figure}{name}".lower()


_ORDINALS: Final = ("st", "nd", "rd", "th")


def _phrase(text: str) -> Iterator[str]:
    """Yield the whole value, and of a short one every two words."""
    words = words_of(text)
    telling = [word for word in words if word not in TRIVIAL and not NUMBER.fullmatch(word)]
    run = "".join(words)
    if _CODE.fullmatch(text) or not telling or not _SHORTEST_NUMBER <= len(run) <= _LONGEST:
        return
    yield run
    if len(words) <= _PHRASE:
        yield from (
            first + second for first, second in pairwise(words) if {first, second} & {*telling}
        )
