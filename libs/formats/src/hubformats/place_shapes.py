"""Finds in a text what has the shape of a place, whether or not anybody knows the place.

That is streets with and without their numbers, flats, and the codes of `place_codes`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from hubformats.place_codes import AREAS, Span, codes_in
from hubformats.place_words import word_list
from hubformats.places import DWELLING, TRIVIAL
from hubformats.reading import Reading

_PLAIN_KINDS: Final = word_list("plain_kinds")
"""Words that hardly ever mean anything but a street."""
_OTHER_KINDS: Final = word_list("other_kinds")
"""Words that mean other things as well: a street only behind a name in capitals, or a number."""
_AFTER_A_NUMBER: Final = _OTHER_KINDS - word_list("never_after_a_number")
_CALLED_BY_NUMBER: Final = frozenset(["flat", "apartment", "apt", "maisonette", "bedsit"])
_FIGURES: Final = re.compile(r"\d{1,4}[a-z]?")
_NUMBER_WORDS: Final = word_list("number_words")
_NO_NAMES: Final = TRIVIAL | word_list("no_names")
_NO_STREET_NAMES: Final = _NO_NAMES | word_list("no_street_names")
_NO_KIND_BEFORE: Final = word_list("no_kind_before")
"""What follows “close”, “drive” or “court” when they are no part of a street's name."""
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NEIGHBOUR: Final = re.compile(r"[\s,.;:#/'’-]{1,6}")
_IN_LINE: Final = re.compile(r"[ \t\xa0.'’-]{1,3}")
_CAPITAL_BEHIND: Final = re.compile(r"\.?[ \t]+[A-Z]")
_LONGEST_STREET: Final = 4
"""Words of a street's name, between its number and the word for what it is."""
_BEFORE_NUMBER: Final = frozenset(
    ["no", "number", "nos", "flat", "unit", "apartment", "apt", "room", "house", "block"]
)


class Word(NamedTuple):
    """A word in small letters and where it stands in the text of a reading."""

    text: str
    start: int
    end: int


def shapes_in(reading: Reading, areas: frozenset[str] = AREAS) -> Iterator[Span]:
    """Find what a reader takes for a place, in the text of the reading."""
    yield from codes_in(reading, areas)
    if _STREET_HINT.search(reading.text) is not None:
        yield from streets_in(reading)


def streets_in(reading: Reading, *, loosely: bool = False) -> Iterator[Span]:
    """Find streets, with their numbers where they have one, and flats.

    A street without a number needs a name in capitals, unless `loosely`, which also takes
    “larkspur wynd”.
    """
    words = [Word(found[0], *found.span()) for found in _WORD.finditer(reading.text)]
    for place, word in enumerate(words):
        if word.text in _CALLED_BY_NUMBER:
            yield from _flat(reading, words, place)
        elif word.text in _PLAIN_KINDS or word.text in _OTHER_KINDS:
            first = _start(reading, words, place, loosely=loosely)
            if first is not None:
                yield words[first].start, word.end


def _flat(reading: Reading, words: Sequence[Word], place: int) -> Iterator[Span]:
    if place + 1 < len(words):
        word, number = words[place], words[place + 1]
        between = reading.text[word.end : number.start]
        if _FIGURES.fullmatch(number.text) and between.strip(" .#") == "":
            yield word.start, number.end


def _start(reading: Reading, words: Sequence[Word], kind: int, *, loosely: bool) -> int | None:
    """Find the first word of the street whose kind stands at that place, if it is one."""
    name = kind
    for place in range(kind - 1, max(-1, kind - 2 - _LONGEST_STREET), -1):
        gap = reading.text[words[place].end : words[place + 1].start]
        text = words[place].text
        if _is_number(text):
            if _NEIGHBOUR.fullmatch(gap) and _may_be_numbered(reading, words, name, kind):
                return _first_number(reading, words, place)
            break
        if _IN_LINE.fullmatch(gap) is None or text in _NO_NAMES:
            break
        name = place
    return _named(reading, words, name, kind, loosely=loosely)


def _is_number(text: str) -> bool:
    return _FIGURES.fullmatch(text) is not None or text in _NUMBER_WORDS


def _may_be_numbered(reading: Reading, words: Sequence[Word], name: int, kind: int) -> bool:
    """Tell whether the words from `name` to the kind may be a street behind a number."""
    if name == kind:
        return False
    capital = reading.raw[words[name].start].isupper()
    if words[kind].text in _PLAIN_KINDS:
        return capital or reading.text[words[name - 1].start].isdigit()
    after = words[kind + 1].text if kind + 1 < len(words) else ""
    return words[kind].text in _AFTER_A_NUMBER and (
        capital or words[name - 1].text[-1].isalpha() or after not in _NO_KIND_BEFORE
    )


def _first_number(reading: Reading, words: Sequence[Word], place: int) -> int:
    """Go back over “Flat 3, 17” and “3/1” to what the address begins with."""
    while place > 0:
        before = words[place - 1].text
        gap = reading.text[words[place - 1].end : words[place].start]
        near = _NEIGHBOUR.fullmatch(gap) is not None
        if not near or not (
            before in _BEFORE_NUMBER
            or before in DWELLING
            or (_is_number(before) and len(gap.strip()) < 2)
        ):
            break
        if before in {"no", "room", "house", "block"} and gap.strip(" .") != "":
            break
        place -= 1
    return place


def _named(
    reading: Reading, words: Sequence[Word], name: int, kind: int, *, loosely: bool
) -> int | None:
    """Find a street without a number: its name in capitals, right before the word for its kind."""
    word = words[kind]
    capital = reading.raw[word.start].isupper()
    first = kind
    for place in range(kind - 1, name - 1, -1):
        if words[place].text in _NO_STREET_NAMES or not reading.raw[words[place].start].isupper():
            break
        first = place
    plain = word.text in _PLAIN_KINDS
    if word.text in {"dr", "st"} and _CAPITAL_BEHIND.match(reading.raw, word.end):
        return None  # “GP Dr Wintle”, “Church St Peter”
    if first < kind and (plain or (capital and word.text in _AFTER_A_NUMBER)):
        return first
    if loosely and plain and name < kind and words[kind - 1].text not in _NO_STREET_NAMES:
        return kind - 1
    return None


_STREET_HINT: Final = re.compile(
    rf"(?<![^\W_])(?:{'|'.join(sorted(_PLAIN_KINDS | _OTHER_KINDS | _CALLED_BY_NUMBER))})(?![^\W_])"
)
