"""Finds in a text what has the shape of a place, whether or not anybody knows the place.

That is streets with and without their numbers, flats, and the codes of `place_codes`.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from hubformats.place_codes import AREAS, Span, codes_in
from hubformats.place_words import word_list
from hubformats.places import DWELLING, ORDINARY, TRIVIAL, has_address
from hubformats.reading import Reading, readings

_PLAIN_KINDS: Final = word_list("plain_kinds")
"""Words that hardly ever mean anything but a street."""
_OTHER_KINDS: Final = word_list("other_kinds")
"""Words that mean other things as well: a street only behind a name in capitals, or a number."""
_CAPITAL_KINDS: Final = word_list("capital_kinds")
"""Words that mean so much else that they need a number and a name in capitals."""
_SELDOM_ELSE: Final = word_list("seldom_else")
"""Of these, what nobody's surname ends in: a street without a number."""
_KINDS: Final = _PLAIN_KINDS | _OTHER_KINDS | _CAPITAL_KINDS
_LEADING: Final = word_list("leading_kinds")
"""Kinds of street that stand before the name."""
_LEADING_ALONE: Final = word_list("leading_alone")
_WHOLE_STREETS: Final = word_list("whole_streets")
_CALLED_BY_NUMBER: Final = frozenset(
    ["flat", "apartment", "apt", "maisonette", "bedsit", "caravan", "chalet", "pitch"]
)
_FIGURES: Final = re.compile(r"\d{1,4}[a-z]?")
_MONTHS: Final = word_list("months")
_DAYS: Final = re.compile(r"[12]?\d|3[01]")
_YEAR: Final = re.compile(r"(?:19|20)\d\d")
_NUMBER_WORDS: Final = word_list("number_words")
_NUMBERED_PEOPLE: Final = word_list("numbered_people")
_CALLED: Final = frozenset(["no", "number", "nos"])
_NO_NAMES: Final = TRIVIAL | word_list("no_names")
_NO_STREET_NAMES: Final = _NO_NAMES | word_list("no_street_names")
_CUES: Final = frozenset(["address", "from", "near", "opposite", "outside", "to", "towards"])
_LIVES: Final = word_list("living_words")
_NO_CUED_NAMES: Final = _NO_STREET_NAMES | word_list("no_places") | {"medium", "risk", "standard"}
_NO_KIND_BEFORE: Final = word_list("no_kind_before")
"""What follows “close”, “drive” or “court” when they are no part of a street's name."""
_ORDINARY: Final = ORDINARY | word_list("ordinary_words")
_LEADING_STARTS: Final = frozenset(word[:4] for word in _LEADING) | {"lon'", "lon’"}
_LETTERS: Final = frozenset("abcdefgh")
"""What may stand apart behind a house number."""
_SHORT_KIND: Final = 3
"""Letters of a kind that in small letters is no end of a word: “4lord” is no road."""
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_NEIGHBOUR: Final = re.compile(r"[\s,.;:#/'’-]{1,6}")
_LETTER_GAP: Final = re.compile(r"[ \t\xa0/-]{1,3}")
_IN_LINE: Final = re.compile(r"[ \t\xa0.'’-]{1,3}")
_CAPITAL_BEHIND: Final = re.compile(r"\.?[ \t]+[A-Z]")
_LONGEST_STREET: Final = 4
"""Words of a street's name, between its number and the word for what it is."""
_BEFORE_NUMBER: Final = frozenset(
    ["no", "number", "nos", "flat", "unit", "apartment", "apt", "room", "house", "block"]
)


_BEHIND_FLAT: Final = word_list("behind_flat")
"""What may follow “flat three”; “the flat three times” counts something else."""
_PACKED: Final = re.compile(
    rf"(?<![^\W_])\d{{1,4}}([^\W\d_]{{3,24}}?)(?:({'|'.join(sorted(_PLAIN_KINDS | _OTHER_KINDS))})"
    rf"|(?:[ ][^\W\d_]{{3,24}})?[ ]({'|'.join(sorted(_KINDS))}))(?![^\W_])"
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
        elif word.text in _KINDS or word.text in _WHOLE_STREETS:
            first = _start(reading, words, place, loosely=loosely)
            if first is not None:
                yield words[first].start, word.end
        elif word.text[0].isdigit():
            yield from _cued(reading, words, place)
        if word.text[:4] in _LEADING_STARTS:
            yield from _led(reading, words, place)
    yield from _packed(reading)


def _cued(reading: Reading, words: Sequence[Word], place: int) -> Iterator[Span]:
    """Find “fled to 17 Corran Lough”: a street of a kind that is on no list.

    It needs a word such as “to” before the number, and two capitals behind it.
    """
    before = [word.text for word in words[max(0, place - 2) : place]]
    cue = bool(before) and (
        before[-1] in _CUES or (before[-1] == "at" and before[0] in _LIVES) or before[-1] in _CALLED
    )
    if not cue or not _FIGURES.fullmatch(words[place].text) or _YEAR.fullmatch(words[place].text):
        return
    last = place
    for behind in range(place + 1, min(place + 1 + _LONGEST_STREET, len(words))):
        gap = reading.text[words[last].end : words[behind].start]
        near = _NEIGHBOUR if last == place else _IN_LINE
        if (
            near.fullmatch(gap) is None
            or not reading.raw[words[behind].start].isupper()
            or words[behind].text in _NO_CUED_NAMES
        ):
            break
        last = behind
    if last > place + 1:
        yield words[_first_number(reading, words, place)].start, words[last].end


def _packed(reading: Reading) -> Iterator[Span]:
    """Find a number and a street written together: “17LarkspurRoad”, “17Larkspur Road”."""
    for found in _PACKED.finditer(reading.text):
        kind = found[2] or found[3]
        capital = reading.raw[found.start(1)].isupper()
        plain = kind in _PLAIN_KINDS and (found[3] or len(kind) > _SHORT_KIND)
        apart = found[3] or reading.raw[found.start(2)].isupper()
        if found[1] not in _NO_NAMES and (plain or (capital and apart)):
            yield found.span()


def _led(reading: Reading, words: Sequence[Word], place: int) -> Iterator[Span]:
    """Find a street whose kind stands first: “17 Heol Fawr”, “Ffordd y Môr”."""
    kind = words[place].text.partition("'")[0].partition("’")[0]
    if kind not in _LEADING:
        return
    last = behind = place
    for behind in range(place + 1, min(place + 1 + _LONGEST_STREET, len(words))):
        gap = reading.text[words[behind - 1].end : words[behind].start]
        if _IN_LINE.fullmatch(gap) is None:
            break
        if reading.raw[words[behind].start].isupper():
            last = behind
        elif words[behind].text not in {"a", "y", "yr"}:
            break
    before = words[place - 1] if place else None
    gap = reading.text[before.end : words[place].start] if before else ""
    if last == place:
        return
    if before and _is_number(before.text) and _NEIGHBOUR.fullmatch(gap):
        yield words[_first_number(reading, words, place - 1)].start, words[last].end
    elif kind in _LEADING_ALONE and reading.raw[words[place].start].isupper():
        yield words[place].start, words[last].end


def _flat(reading: Reading, words: Sequence[Word], place: int) -> Iterator[Span]:
    number = place + 1
    called = number < len(words) and words[number].text in _CALLED
    number += called
    if number >= len(words):
        return
    between = reading.text[words[place].end : words[number].start]
    if called:
        between = between.replace(words[place + 1].text, "", 1)
    if between.strip(" .#"):
        return
    text = words[number].text
    if _FIGURES.fullmatch(text) or (
        text in _NUMBER_WORDS and (called or _ends(reading, words, number))
    ):
        yield words[place].start, words[number].end


def _ends(reading: Reading, words: Sequence[Word], number: int) -> bool:
    """Tell whether a number in words counts nothing behind it."""
    if number + 1 == len(words):
        return True
    behind = words[number + 1]
    gap = reading.text[words[number].end : behind.start]
    return gap.strip() != "" or behind.text in _BEHIND_FLAT or reading.raw[behind.start].isupper()


def _start(reading: Reading, words: Sequence[Word], kind: int, *, loosely: bool) -> int | None:
    """Find the first word of the street whose kind stands at that place, if it is one."""
    name = kind
    for place in range(kind - 1, max(-1, kind - 3 - _LONGEST_STREET), -1):
        gap = reading.text[words[place].end : words[place + 1].start]
        text = words[place].text
        number = _number_at(reading, words, place)
        if number is not None:
            if text == "the":
                name = place
            if _NEIGHBOUR.fullmatch(gap) and _may_be_numbered(reading, words, (number, name, kind)):
                return _first_number(reading, words, number)
            break
        if _IN_LINE.fullmatch(gap) is None or text in _NO_NAMES or kind - place > _LONGEST_STREET:
            break
        name = place
    return _named(reading, words, name, kind, loosely=loosely)


def _number_at(reading: Reading, words: Sequence[Word], place: int) -> int | None:
    """Return where the number is that ends at this word.

    Behind it may stand the letter of “17 a”, or “The” of “17 The Wynd”.
    """
    text = words[place].text
    if _is_number(text):
        return place
    if place == 0 or not (text in _LETTERS or text == "the"):
        return None
    before = words[place - 1]
    gap = reading.text[before.end : words[place].start]
    near = _NEIGHBOUR if text == "the" else _LETTER_GAP
    if not near.fullmatch(gap) or not _is_number(before.text):
        return None
    called = place > 1 and words[place - 2].text in _CALLED
    capital = reading.raw[words[place].start].isupper()
    told = before.text.isdigit() if text != "the" else called or capital
    return place - 1 if told else None


def _is_number(text: str) -> bool:
    return _FIGURES.fullmatch(text) is not None or text in _NUMBER_WORDS


def _may_be_numbered(reading: Reading, words: Sequence[Word], places: tuple[int, int, int]) -> bool:
    """Tell whether the words from a name to the kind may be a street behind that number."""
    number, name, kind = places
    text, figures = words[kind].text, words[number].text[0].isdigit()
    capital = reading.raw[words[name].start].isupper()
    if name == kind:
        return text in _WHOLE_STREETS and capital and figures
    if text in _CAPITAL_KINDS:
        return _is_capital_street(reading, words, places)
    names = {word.text for word in words[name:kind]}
    if _DAYS.fullmatch(words[number].text) and names <= _MONTHS and text not in _PLAIN_KINDS:
        return False  # “12 May Court”
    called = words[name].text == "the" and not capital
    after = words[kind + 1].text if kind + 1 < len(words) else ""
    if text in _PLAIN_KINDS:
        if capital or called or (figures and number == name - 1):
            return True
    elif text not in _OTHER_KINDS or not (
        capital or words[number].text[-1].isalpha() or after not in _NO_KIND_BEFORE
    ):
        return False
    elif capital or number == name - 1:
        return True
    # “a hundred and four acacia avenue”, not “two quiet street corners”.
    return words[number].text != "one" and not _ORDINARY.issuperset(names)


def _is_capital_street(
    reading: Reading, words: Sequence[Word], places: tuple[int, int, int]
) -> bool:
    """Tell whether “17 Corran Way” is one, which “3 way out” and “2 hill walks” are not."""
    number, name, kind = places
    before = words[number - 1].text if number else ""
    names = words[name:kind]
    after = words[kind + 1].text if kind + 1 < len(words) else ""
    return (
        all(
            reading.raw[word.start].isupper()
            and (word.text == "the" or word.text not in _NO_STREET_NAMES)
            for word in names
        )
        and before not in _NUMBERED_PEOPLE
        and _YEAR.fullmatch(words[number].text) is None
        and (reading.raw[words[kind].start].isupper() or after not in _NO_KIND_BEFORE)
    )


def _first_number(reading: Reading, words: Sequence[Word], place: int) -> int:
    """Go back over “Flat 3, 17”, “3/1” and “a hundred and” to what the address begins with."""
    while place > 0:
        before = words[place - 1].text
        gap = reading.text[words[place - 1].end : words[place].start]
        near = _NEIGHBOUR.fullmatch(gap) is not None
        if near and before == "and" and place > 1 and words[place - 2].text == "hundred":
            place -= 2
            continue
        if not near or not (
            before in _BEFORE_NUMBER
            or before in DWELLING
            or (_is_number(before) and len(gap.strip()) < 2)
            or (before == "a" and words[place].text == "hundred")
        ):
            break
        if before in {"no", "room", "house", "block"} and gap.strip(" .") != "":
            break
        place -= 1
    return place


def _named(
    reading: Reading, words: Sequence[Word], name: int, kind: int, *, loosely: bool
) -> int | None:
    """Find a street without a number: its name in capitals, right before the word for its kind.

    Of an account, `loosely`, every kind counts, in which a surname may be one.
    """
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
    telling = word.text in _OTHER_KINDS or word.text in (
        _CAPITAL_KINDS if loosely else _SELDOM_ELSE
    )
    if first < kind and (plain or (capital and telling)):
        return first
    if loosely and plain and name < kind and words[kind - 1].text not in _NO_STREET_NAMES:
        return kind - 1
    return None


_STREET_HINT: Final = re.compile(
    rf"(?<![^\W_])(?:{'|'.join(sorted(_KINDS | _CALLED_BY_NUMBER | _LEADING | _WHOLE_STREETS))})"
    rf"(?![^\W_])|\d[^\W\d_]{{6}}"
    rf"|(?<![^\W_])(?:{'|'.join(sorted(_CUES | _CALLED | {'at'}))})[^\w\n]{{1,3}}\d{{1,4}}[a-z]?"
    rf"[ ,]{{1,2}}[^\W\d_]"
)


def gives_place(text: str) -> bool:
    """Tell whether a text looks like an address: a postcode, or a number and a street."""
    if has_address(text):
        return True
    reading = next(readings(text))
    return any(
        any(one.isdigit() for one in reading.text[start:end]) for start, end in streets_in(reading)
    )
