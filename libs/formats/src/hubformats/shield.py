"""Takes what would give a shielded place away out of texts that are otherwise permitted, such as a
danger summary that must not wait.

What it catches, and what no machine can, is in docs/threat-model.md.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, product
from typing import Any, Final

from hubformats.places import (
    AFTER_A_NUMBER,
    CALLED,
    DWELLING,
    INSTITUTIONS,
    NUMBER,
    NUMBERED,
    POSTCODE,
    SPELLINGS,
    TRIVIAL,
    is_area,
    letters_of,
    squashed,
    words_of,
)
from hubformats.visible_text import bare

REMOVED: Final = "[removed]"
"""Stands where a text would have given a shielded place away."""

_SHORTEST: Final = 4
"""Letters and digits of a single word that may stand for a place."""
_WHOLE_WORDS_BELOW: Final = 6
"""Anything shorter counts only from the start of a word to the end of one: “Hall” is not in
“hallway”.
"""

_LONGEST_NAME: Final = 6
"""Words of an area's or a person's name."""

_PARTS: Final = re.compile(r"[,;\n]")
_OUTWARD: Final = re.compile(r"[a-z]{1,2}\d[a-z\d]?")


class Shield:
    """Made once per snapshot.

    Case, accents, spacing, punctuation and the usual short forms of street kinds are forgiven.
    """

    def __init__(
        self,
        secrets: Iterable[str],
        told: Iterable[str],
        areas: Iterable[str],
        names: Iterable[str],
    ) -> None:
        """`secrets` are shielded values; in `told`, shielded accounts, only postcodes are sought.

        `areas` a shield lets through, and people's own `names`, stay readable: the alternative is a
        danger summary without whom.
        """
        secrets, told = tuple(secrets), tuple(told)
        self._cleaned: dict[str, str] = {}
        self._needles: tuple[str, ...] = ()
        self._whole: frozenset[str] = frozenset()
        if not secrets and not told:
            return
        # A name with a number in it is an address in the wrong field; a numbered street is no area
        # and nobody's name.
        readable = (
            *(area for area in areas if is_area(area)),
            *(name for name in names if not any(letter.isdigit() for letter in name)),
        )
        spared = {run for text in readable for run in _runs(text)} - {
            street for text in secrets for street in _streets(text)
        }
        found: set[str] = set()
        for text in secrets:
            found.update(_needles(text, spared))
        found.update(
            needle
            for text in (*secrets, *told)
            for needle in _postcodes(text)
            if needle not in spared
        )
        bare = {needle for text in secrets for needle in _called(text) if needle not in spared}
        self._whole = frozenset(bare - found)
        self._needles = tuple(sorted(found | bare))

    def clean(self, value: Any) -> Any:
        """The JSON value with REMOVED for each shielded place in its strings."""
        if not self._needles:
            return value
        if isinstance(value, str):
            if value not in self._cleaned:
                self._cleaned[value] = self._text(value)
            return self._cleaned[value]
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        if isinstance(value, dict):
            return {key: self.clean(item) for key, item in value.items()}
        return value

    def _text(self, text: str) -> str:
        letters = letters_of(text)
        hits = [needle for needle in self._needles if needle in letters]
        if not hits:  # as in nearly every text
            return text
        places = squashed(text)[1]
        spans = sorted(
            span
            for needle in hits
            for span in _found(needle, text, letters, places, whole=needle in self._whole)
        )
        pieces: list[str] = []
        end = 0
        for first, last in spans:
            # Neighbours become one: their number and order would say how the address is made.
            if pieces and not any(letter.isalnum() for letter in text[end:first]):
                end = max(end, last)
                continue
            pieces += (text[end:first], REMOVED)
            end = last
        return "".join((*pieces, text[end:]))


def _found(
    needle: str, text: str, letters: str, places: list[int], *, whole: bool
) -> Iterator[tuple[int, int]]:
    """Find the needle in the text: first and one past the last character of each place.

    If `whole`, only as words of their own.
    """
    at = letters.find(needle)
    while at >= 0:
        first, last = places[at], places[at + len(needle) - 1] + 1
        within = text[first - 1 : first].isalnum() or text[last : last + 1].isalnum()
        if not within or (len(needle) >= _WHOLE_WORDS_BELOW and not whole):
            yield first, last
        at = letters.find(needle, at + 1)


def _needles(text: str, spared: set[str]) -> Iterator[str]:
    """List what must not be read of a shielded value.

    Each part with and without its house number, and every two words together.
    """
    for part in (text, *_PARTS.split(text)):
        words = words_of(part)
        rest = _without_number(words)
        for run in (words, rest, *pairwise(words)):
            if _tells(run) and "".join(run) not in spared:
                yield from _spelt(run)
        # Part of a postcode stands alone, too: better a road's number too many than her district.
        yield from (
            word
            for word in words
            if len(word) > 2 and _OUTWARD.fullmatch(word) and word not in spared
        )


def _tells(run: Sequence[str]) -> bool:
    """Whether these words together may name a place.

    Numbers and words such as “at home” alone do not.
    """
    telling = [word for word in run if word not in TRIVIAL and not NUMBER.fullmatch(word)]
    return bool(telling) and (len(run) > 1 or len(run[0]) >= _SHORTEST)


def _without_number(words: list[str]) -> list[str]:
    """“Flat 3, 17 Larkspur Wynd” without what stands before the street's name."""
    for place, word in enumerate(words):
        if not (NUMBER.fullmatch(word) or word in DWELLING or word in TRIVIAL):
            return words[place:]
    return []


def _spelt(words: Sequence[str]) -> Iterator[str]:
    """Spell the run with each form of a street's kind in it.

    Long runs stay as they are: their pairs are looked for anyway.
    """
    yield "".join(words)
    if len(words) <= _SHORTEST:
        yield from (
            "".join(each)
            for each in product(*(sorted(SPELLINGS.get(word, {word})) for word in words))
        )


def _postcodes(text: str) -> Iterator[str]:
    for outward, inward in POSTCODE.findall(bare(text).casefold()):
        yield from (outward, outward + inward)


def _streets(text: str) -> Iterator[str]:
    """Name the street behind a house number, written together.

    “17 Larkspur Wynd, Northmoor” names “larkspurwynd”.
    """
    for part in (text, *_PARTS.split(text)):
        words = words_of(part)
        rest = _without_number(words)
        if rest and any(NUMBER.fullmatch(word) for word in words[: -len(rest)]):
            end = next(
                (place for place, word in enumerate(rest, start=1) if word in AFTER_A_NUMBER),
                len(rest),
            )
            yield "".join(rest[:end])


def _called(text: str) -> Iterator[str]:
    """Other things people call a shielded place, each looked for as words of its own.

    A house number without its street (“number 17”), and a school, practice or employer without or
    with another word for what it is: “Fellgate school” for Fellgate Primary School, “Millbank” for
    Millbank Surgery.
    """
    for part in _PARTS.split(text):
        words = words_of(part)
        yield from (
            called + word for word in words if NUMBER.fullmatch(word) for called in NUMBERED
        )
        kept = [
            word
            for word in words
            if not (word in INSTITUTIONS or word in TRIVIAL or NUMBER.fullmatch(word))
        ]
        if kept and len(kept) < len(words) and any(word in INSTITUTIONS for word in words):
            name = "".join(kept)
            yield from (name + called for called in CALLED)
            if len(kept) > 1 or len(name) >= _WHOLE_WORDS_BELOW:
                yield name


def _runs(text: str) -> Iterator[str]:
    """Every run of up to so many neighbouring words, written together."""
    words = words_of(text)
    for first in range(len(words)):
        yield from (
            "".join(words[first:last])
            for last in range(first + 1, min(first + _LONGEST_NAME, len(words)) + 1)
        )
