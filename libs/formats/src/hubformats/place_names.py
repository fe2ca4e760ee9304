"""The single words by which people call a place: “Larkspur” of 17 Larkspur Wynd.

They are looked for as whole words, and ordinary ones only with a capital letter.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from hubformats.place_words import word_list, word_row
from hubformats.places import DWELLING, INSTITUTIONS, NUMBER, ORDINARY, STREETS, TRIVIAL
from hubformats.reading import readings

_KINDS: Final = (
    STREETS
    | word_list("plain_kinds")
    | word_list("other_kinds")
    | word_list("capital_kinds")
    | word_list("leading_kinds")
)
_NAMING_KINDS: Final = word_list("naming_kinds")
"""Kinds that are a name of their own where they come first, as in Mill Bank."""
_ORDINARY: Final = ORDINARY | word_list("ordinary_words") | _KINDS
_NO_NAMES: Final = (
    TRIVIAL
    | DWELLING
    | INSTITUTIONS
    | word_list("no_names")
    | word_list("no_street_names")
    | word_list("no_places")
    | word_list("no_single_names")
    | word_list("number_words")
)
_SURE: Final = 4
"""Letters from which a word that is no ordinary one is looked for in small letters, too."""
_SHORTEST: Final = 3
_SHORT_PART: Final = 5
"""Words of a part that is no sentence, so that a capital at its start says something."""
_FEW: Final = 2
"""Words of a part in small letters alone that may be a name without a kind: “at asda”."""
_PARTS: Final = re.compile(r"[,;\n]")
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_MARKS: Final = re.compile(r"['’]")
_SAINTS: Final = frozenset(["st", "saint", "saints"])
_ONES: Final = word_row("ones_in_order")
_TENS: Final = word_row("tens_in_order")


class Name(NamedTuple):
    """A word in small letters, and whether it counts with a capital letter only."""

    text: str
    capital: bool


class _Word(NamedTuple):
    text: str
    capital: bool
    owned: str
    """The word without the s of “Aldhelm's”, or the word itself."""


def names_of(text: str) -> Iterator[Name]:
    """Yield each word of a place's name that is no kind of street, institution or trivial word."""
    for part in _PARTS.split(text):
        words = list(_words(part))
        named = any(word.capital for word in words)
        telling = False
        for place, word in enumerate(words):
            if not _may_name(word.text, first=not telling):
                continue
            telling = True
            if word.capital and not _only_begins(words, place):
                sure = word.text not in _ORDINARY and len(word.text) >= _SURE
            elif word.capital or not _is_name(words, place, named=named):
                continue
            else:
                sure = word.text not in _ORDINARY
            yield from (Name(each, not sure) for each in {word.text, word.owned})


def in_words(number: str) -> str | None:
    """Write a house number up to 999 in words without spaces, as in “seventeen”."""
    if not number.isdigit() or not 0 < len(number) <= _SHORTEST or not int(number):
        return None
    hundreds, rest = divmod(int(number), 100)
    said = f"{_ONES[hundreds - 1]}hundred" + ("and" if rest else "") if hundreds else ""
    if rest > len(_ONES):
        said += _TENS[rest // 10 - 2]
        rest %= 10
    return said + (_ONES[rest - 1] if rest else "")


def _words(part: str) -> Iterator[_Word]:
    reading = next(readings(part))
    before = ""
    for found in _WORD.finditer(reading.text):
        pieces = _MARKS.split(found[0])
        text = "".join(pieces)
        owned = "".join(pieces[:-1]) if len(pieces) > 1 and pieces[-1] == "s" else text
        if before in _SAINTS and text.endswith("s"):
            owned = text[:-1]  # “St Aldhelms”
        yield _Word(text, reading.raw[found.start()].isupper(), owned)
        before = text


def _may_name(word: str, *, first: bool) -> bool:
    if len(word) < _SHORTEST or NUMBER.fullmatch(word) or word in _NO_NAMES:
        return False
    return word not in _KINDS or (first and word in _NAMING_KINDS)


def _only_begins(words: Sequence[_Word], place: int) -> bool:
    """Tell whether a capital says no more than that a sentence begins: “Contact her there”."""
    if place or len(words) <= _SHORT_PART:
        return False
    behind = words[1]
    return not (behind.capital or behind.text in _KINDS or behind.text in INSTITUTIONS)


def _is_name(words: Sequence[_Word], place: int, *, named: bool) -> bool:
    """Tell whether a word in small letters is a name: “17 larkspur wynd”, not “with the aunt”."""
    if not named and sum(word.text not in TRIVIAL for word in words) <= _FEW:
        return True
    behind = words[place + 1].text if place + 1 < len(words) else ""
    return behind in _KINDS or behind in INSTITUTIONS


def calls(kept: Sequence[str], called: Sequence[str]) -> Iterator[str]:
    """Yield a school's or practice's name under each word for what it is, also without a kind.

    “Hope surgery” stands for Hope Street Practice.
    """
    short = [word for word in kept if word not in _KINDS]
    for name in {"".join(kept), "".join(short)} - {""}:
        yield from (name + word for word in called)
