"""Takes the values of withheld fields out of texts, in the spellings people use for them.

They are names, numbers, days, places and phrases.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from enum import Enum, auto
from itertools import pairwise
from typing import Final

from hubformats.account_values import days_of, items_of, numbers_of, people_of
from hubformats.masking import Mask
from hubformats.needles import Needles
from hubformats.places import NUMBER, ORDINARY, TRIVIAL, is_area, words_of
from hubformats.shield import name_needles, place_needles, told_needles

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
    WORD = auto()
    """A phrase that is never a code, such as a language in small letters."""
    ACCOUNT = auto()
    """Somebody's own words: not they are withheld, but the places, numbers and names in them."""
    ITEMS = auto()
    """An account of things listed, each of which is withheld: needs, or where somebody stays."""


@dataclass(frozen=True, slots=True)
class Value:
    """A withheld value."""

    sort: Sort
    text: str


@dataclass(slots=True)
class _Wanted:
    """Needles under way: to be found anywhere, as whole words, or with a capital."""

    anywhere: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    capital: set[str] = field(default_factory=set)

    def add(self, anywhere: set[str], whole: set[str], capital: set[str]) -> None:
        self.anywhere |= anywhere
        self.whole |= whole
        self.capital |= capital

    @property
    def all(self) -> set[str]:
        return self.anywhere | self.whole | self.capital


def values_mask(values: Iterable[Value], spared: Iterable[Value] = ()) -> Mask | None:
    """Make the mask that takes these values out of texts; None when there is nothing to take out.

    A code such as “former_partner” and a word such as “yes” are no values. What an account alone
    names stays if it is `spared`. It stands in a field of its own, which may be read.
    """
    wanted, named, told, known, areas, streets = (_Wanted() for _ in range(6))
    for value in values:
        _add(wanted, value)
        _add_account(told, value)
        if value.sort is Sort.PLACE:
            named.add(*name_needles(value.text))
    for value in spared:
        _add(known, value)
        if value.sort is Sort.PLACE:
            # His 12 Larkspur Wynd, which may be read, does not open the name of hers.
            (areas if is_area(value.text) else streets).add(*name_needles(value.text))
    for found, kept in (
        (told, known.all | streets.all | areas.all),
        (named, known.all | areas.all),
    ):
        wanted.add(found.anywhere - kept, found.whole - kept, found.capital - kept)
    capital = wanted.capital | (wanted.whole & ORDINARY)
    needles = Needles(wanted.anywhere, wanted.whole - ORDINARY, capital, longest=_LONGEST)
    return Mask(needles) if needles else None


def _add(wanted: _Wanted, value: Value) -> None:
    """Add the spellings of what a field itself gives."""
    text = value.text
    if value.sort is Sort.NAME:
        wanted.whole.update(_name(text))
    elif value.sort is Sort.NUMBER:
        wanted.anywhere.update(_number(text))
    elif value.sort is Sort.DAY:
        wanted.whole.update(_day(text))
    elif value.sort is Sort.PLACE:
        wanted.add(*place_needles(text))
    elif value.sort is Sort.WORD or (value.sort is Sort.PHRASE and not _CODE.fullmatch(text)):
        wanted.whole.update(_phrase(text))
    elif value.sort is Sort.ITEMS:
        for item in items_of(text):
            run = "".join(words_of(item))
            (wanted.whole if len(run) > _SHORTEST_WORD else wanted.capital).add(run)


def _add_account(told: _Wanted, value: Value) -> None:
    """Add what stands in a text, also in the remark behind a number: “07700 900123, her aunt's”."""
    if value.sort in {Sort.NAME, Sort.DAY}:
        return
    for number in numbers_of(value.text):
        told.anywhere.update(_number(number))
    for day in days_of(value.text):
        told.whole.update(_day(day))
    if value.sort is Sort.PLACE:
        return
    told.add(*told_needles(value.text))
    for name in people_of(value.text):
        words = words_of(name)
        told.whole.update(run for run in _name(name) if run not in words)
        told.capital.update(word for word in words if len(word) >= _SHORTEST_WORD)


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
    if "@" in text:
        spoken = re.sub(r"@", " at ", text)
        yield from ("".join(words_of(one)) for one in (spoken, spoken.replace(".", " dot ")))
    if run.isdigit():
        rest = _LEADING.sub("", run.removeprefix("00"))
        yield from (rest, *(start + rest for start in ("0", "44", "440", "0044", "00440")))


def _day(text: str) -> Iterator[str]:
    """Spell a day in figures and in words, with its year, with half of it and without."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return
    number, month = day.day, day.month
    years = (f"{day.year}", f"{day.year % 100:02}")
    yield f"{day.year}{month}{number}"
    for year in years:
        yield f"{year}{month:02}{number:02}"
        yield from (f"{one}{two}{year}" for one in _padded(number) for two in _padded(month))
    figures = (*_padded(number), *(f"{number}{end}" for end in _ORDINALS))
    for name in _MONTHS[month - 1]:
        spelt = [figure + name for figure in figures] + [name + figure for figure in figures]
        # “The first may” is no day, “the first of May” is one.
        for figure in (*figures, _said(number)):
            spelt += (f"{figure}of{name}", f"{figure}dayof{name}", f"{name}the{figure}")
        yield from (run + year for run in spelt for year in ("", *years))


def _padded(number: int) -> tuple[str, str]:
    return f"{number}", f"{number:02}"


def _said(number: int) -> str:
    """Say the day of a month in words, such as “twentythird”."""
    tens, ones = divmod(number, 10)
    if number in _WHOLE or tens < 2:
        return _WHOLE.get(number) or _UNDER_20[number - 1]
    return {2: "twenty", 3: "thirty"}[tens] + _UNDER_20[ones - 1]


_ORDINALS: Final = ("st", "nd", "rd", "th")
_WHOLE: Final = {20: "twentieth", 30: "thirtieth"}
_UNDER_20: Final = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    *("tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth"),
    *("seventeenth", "eighteenth", "nineteenth"),
)
_MONTHS: Final = (
    *(("january", "jan"), ("february", "feb"), ("march", "mar"), ("april", "apr"), ("may",)),
    *(("june", "jun"), ("july", "jul"), ("august", "aug"), ("september", "sep", "sept")),
    *(("october", "oct"), ("november", "nov"), ("december", "dec")),
)


def _phrase(text: str) -> Iterator[str]:
    """Yield the whole value, and of a short one every two words."""
    words = words_of(text)
    telling = [word for word in words if word not in TRIVIAL and not NUMBER.fullmatch(word)]
    run = "".join(words)
    if not telling or not _SHORTEST_NUMBER <= len(run) <= _LONGEST:
        return
    yield run
    if len(words) <= _PHRASE:
        yield from (
            first + second for first, second in pairwise(words) if {first, second} & {*telling}
        )
