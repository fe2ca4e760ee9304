"""Takes what would give a shielded place away out of texts that are otherwise permitted.

One such text is a danger summary, which must not wait.

What it catches, and what no machine can, is in docs/threat-model.md.
"""

import re
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, takewhile
from typing import Final

from hubformats.masking import REMOVED, Mask
from hubformats.needles import Needles, Span
from hubformats.place_codes import AREAS, codes_in
from hubformats.place_names import calls, in_words, names_of
from hubformats.place_shapes import shapes_in, streets_in
from hubformats.place_words import word_list
from hubformats.places import (
    AFTER_A_NUMBER,
    CALLED,
    DWELLING,
    INSTITUTIONS,
    NUMBER,
    NUMBERED,
    ORDINARY,
    POSTCODE,
    SPELLINGS,
    TRIVIAL,
    is_area,
    words_of,
)
from hubformats.reading import Reading, folded, readings
from hubformats.visible_text import bare

__all__ = ["REMOVED", "Places", "shield"]

_SHORTEST: Final = 4
"""Letters of a single word that may stand for a place wherever it stands in a value."""
_SHORTEST_NUMBER: Final = 3
"""Figures of a value made of nothing else; fewer are an age, a score or a house number."""
_WHOLE_WORDS_BELOW: Final = 6
_LONGEST_NAME: Final = 6
"""Words of an area's or a person's name."""
_LONGEST_KNOWN: Final = 60
"""Letters of a known place that are compared; a longer one is known by its parts."""

_PARTS: Final = re.compile(r"[,;\n]")
_OUTWARD: Final = re.compile(r"[a-z]{1,2}\d[a-z\d]?")
_NAMED: Final = re.compile(
    r"\b(?i:at|in|near|outside|inside|into|towards|behind|opposite|beside|via|above|below|beneath"
    r"|over|round|(?:next|close)\s+to|across\s+from"
    r"|(?:moved|moving|fled|gone|went|drove|driven|travelled|returned|going|driving|run|ran|walked"
    r"|relocated|back|rehoused|transferred|placed|taken)\s+to)\s+(?:the\s+)?"
    r"([A-Z][\w'’-]*(?:[ ]+(?:[A-Z][\w'’-]*|of|the|on|upon|and|&|St\.)){0,4})"
)
_NO_PLACES: Final = word_list("no_places")


@dataclass(frozen=True, slots=True)
class Places:
    """What a snapshot says of places, as far as a shield must know it."""

    secrets: Sequence[str] = ()
    """Shielded values."""
    told: Sequence[str] = ()
    """Shielded accounts: what has the shape of a place in them is a secret, too."""
    known: Sequence[str] = ()
    """Places that are no secret: his address, and the one they shared."""
    areas: Sequence[str] = ()
    """What a shield lets through."""
    names: Sequence[str] = ()
    """People's own names: the alternative is a danger summary without whom."""


@dataclass(slots=True)
class _Wanted:
    """Needles under way: to be found anywhere, as whole words, or with a capital."""

    anywhere: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    capital: set[str] = field(default_factory=set)

    def without(self, spared: set[str]) -> Needles:
        return Needles(self.anywhere - spared, self.whole - spared, self.capital - spared)


def shield(places: Places) -> Mask:
    """Make the mask of one snapshot.

    Case, accents, spacing, punctuation and the usual short forms of street kinds are forgiven.
    """
    # A name with a number in it is an address in the wrong field; a numbered street is no area
    # and nobody's name.
    readable = (
        *(area for area in places.areas if is_area(area)),
        *(name for name in places.names if not any(letter.isdigit() for letter in name)),
    )
    streets = {street for text in places.secrets for street in _streets(text)}
    spared = {run for text in readable for run in _runs(text)} - streets
    # Her surname's other spelling is no street: Lane, La.
    spared |= {run for text in readable for run in _spelt(words_of(text))} - streets
    people = {run for text in places.names for run in _runs(text)} & spared
    wanted = _Wanted()
    for text in places.secrets:
        _add_secret(wanted, text)
    fixed = wanted.anywhere | wanted.whole
    for text in places.secrets:
        _add_names(wanted, text)
    _add_told(wanted, places, spared)
    known = {run for text in places.known for run in _known(text, fixed)} - fixed
    # What is both shielded and known stays shielded: the form contradicts itself.
    known -= {run for text in places.secrets for run in _known(text)}
    areas = AREAS | {
        found[1].rstrip("0123456789")
        for text in (*places.secrets, *places.told, *places.known)
        for found in POSTCODE.finditer(folded(text))
    }

    def shapes(reading: Reading) -> Iterator[Span]:
        for start, end in shapes_in(reading, areas):
            words = words_of(reading.text[start:end])
            # “At 9 Marta Hill rang” is about her, and no street.
            named = words[1:] if words and words[0].isdigit() else words
            if "".join(words) not in spared and "".join(named) not in people:
                yield start, end

    return Mask(wanted.without(spared), known=Needles(known, longest=_LONGEST_KNOWN), shapes=shapes)


def place_needles(text: str) -> tuple[set[str], set[str], set[str]]:
    """List what must not be read of one place: anywhere, as whole words, and with a capital."""
    wanted = _Wanted()
    _add_secret(wanted, text)
    return wanted.anywhere, wanted.whole, wanted.capital


def name_needles(text: str) -> tuple[set[str], set[str], set[str]]:
    """List the single words by which people call a place, as `place_needles` does."""
    wanted = _Wanted()
    _add_names(wanted, text)
    return wanted.anywhere, wanted.whole, wanted.capital


def told_needles(text: str) -> tuple[set[str], set[str], set[str]]:
    """List what must not be read of the places an account names, as `place_needles` does."""
    wanted = _Wanted()
    _add_told(wanted, Places(told=[text]), set())
    return wanted.anywhere, wanted.whole, wanted.capital


def _add_secret(wanted: _Wanted, text: str) -> None:
    wanted.anywhere.update(_needles(text))
    for postcode in _postcodes(text):
        wanted.anywhere.update(postcode)
    wanted.whole.update(_called(text))
    for part in (text, *_PARTS.split(text)):
        words = words_of(part)
        run = "".join(words)
        if run.isdigit() and len(run) >= _SHORTEST_NUMBER:
            wanted.whole.update((run, *(word for word in words if len(word) > _SHORTEST)))
        elif len(words) == 1 and 1 < len(run) < _SHORTEST and run.isalpha() and run not in TRIVIAL:
            (wanted.capital if run in ORDINARY else wanted.whole).add(run)


def _add_names(wanted: _Wanted, text: str) -> None:
    for name in names_of(text):
        (wanted.capital if name.capital else wanted.whole).add(name.text)


def _add_told(wanted: _Wanted, places: Places, spared: set[str]) -> None:
    """Add what an account names: its postcodes, streets, codes, and places behind “at” or “in”."""
    known = {run for text in places.known for run in _known(text)}
    for text in places.told:
        for postcode in _postcodes(text):
            wanted.anywhere.update(set(postcode) - known)
        for found in _named(text):
            run = "".join(words_of(found))
            if run not in spared and run not in known:
                wanted.anywhere.update(set(_needles(found)) - known)
                wanted.whole.update(set(_called(found)) - known)
                _add_names(wanted, found)


def _named(text: str) -> Iterator[str]:
    for reading in readings(text):
        for start, end in streets_in(reading, loosely=True):
            yield reading.raw[start:end]
        for start, end in codes_in(reading):
            if "/" not in reading.text[start:end]:
                yield reading.text[start:end]
    for found in _NAMED.finditer(text):
        words = list(takewhile(_may_be_place, found[1].split()))
        while words and "".join(words_of(words[-1])) in TRIVIAL:
            words.pop()
        if words:
            yield " ".join(words)


def _may_be_place(word: str) -> bool:
    return _NO_PLACES.isdisjoint(words_of(word))


def _needles(text: str) -> Iterator[str]:
    """List what must not be read of a shielded value.

    Every two neighbouring words, and single words that name a place. Its pairs cover all of a
    longer value.
    """
    for part in (text, *_PARTS.split(text)):
        words = words_of(part)
        for run in (words, _without_number(words)):
            if len(run) == 1 and _tells(run):
                yield run[0]
        for place, pair in enumerate(pairwise(words)):
            if _tells(pair):
                yield from _spelt(pair)
                if sum(map(len, pair)) < _WHOLE_WORDS_BELOW:
                    yield "".join(words[place : place + 3])  # “TceQ10AB”
        # Part of a postcode stands alone, too: better a road's number too many than her district.
        yield from (word for word in words if len(word) > 2 and _OUTWARD.fullmatch(word))


def _tells(run: Sequence[str]) -> bool:
    """Tell whether these words together may name a place.

    Numbers and words such as “at home” alone do not.
    """
    telling = [word for word in run if word not in TRIVIAL and not NUMBER.fullmatch(word)]
    return bool(telling) and (len(run) > 1 or len(run[0]) >= _SHORTEST)


def _without_number(words: list[str]) -> list[str]:
    """Leave out what stands before the street's name, as in “Flat 3, 17 Larkspur Wynd”."""
    for place, word in enumerate(words):
        if not (NUMBER.fullmatch(word) or word in DWELLING or word in TRIVIAL):
            return words[place:]
    return []


def _spelt(words: Sequence[str]) -> Iterator[str]:
    """Spell the words with each form of one street's kind in it."""
    yield "".join(words)
    for place, word in enumerate(words):
        for other in SPELLINGS.get(word, ()):
            yield "".join((*words[:place], other, *words[place + 1 :]))


def _postcodes(text: str) -> Iterator[tuple[str, str, str]]:
    """Yield each postcode's first half, the whole, and the second half."""
    for outward, inward in POSTCODE.findall(folded(bare(text))):
        yield outward, outward + inward, inward


def _known(text: str, secret: Container[str] = ()) -> Iterator[str]:
    """Yield how a known place reads: its postcode, and each part of two words or more.

    Part of a `secret` in it is let through behind another house number alone. So his 12 Larkspur
    Wynd is known although she is at number 17.
    """
    for postcode in _postcodes(text):
        yield from postcode[:2]
    for part in _PARTS.split(text):
        words = words_of(part)
        contested = any(run in secret for run in _needles(part))
        if len(words) < 2 or (contested and not NUMBER.fullmatch(words[0])):
            continue
        for run in (words,) if contested else (words, _without_number(words)):
            if len(run) > 1 and sum(map(len, run)) <= _LONGEST_KNOWN:
                yield from _spelt(run)


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
    """Yield other things people call a shielded place, each looked for as words of its own.

    That is a house number without its street (“number 17”). It is also a school, practice or
    employer, without or with another word for what it is. “Fellgate school” stands for Fellgate
    Primary School, “Millbank” for Millbank Surgery.
    """
    for part in _PARTS.split(text):
        words = words_of(part)
        yield from (
            called + said
            for word in words
            if NUMBER.fullmatch(word)
            for said in (word, in_words(word))
            if said
            for called in NUMBERED
        )
        kept = [
            word
            for word in words
            if not (word in INSTITUTIONS or word in TRIVIAL or NUMBER.fullmatch(word))
        ]
        if kept and len(kept) < len(words) and any(word in INSTITUTIONS for word in words):
            name = "".join(kept)
            yield from calls(kept, CALLED)
            if len(kept) > 1 or len(name) >= _WHOLE_WORDS_BELOW:
                yield name


def _runs(text: str) -> Iterator[str]:
    """Yield every run of up to so many neighbouring words, written together."""
    words = words_of(text)
    for first in range(len(words)):
        yield from (
            "".join(words[first:last])
            for last in range(first + 1, min(first + _LONGEST_NAME, len(words)) + 1)
        )
