"""Takes what would give a shielded place away out of texts that are otherwise permitted, such as a
danger summary that must not wait.

What it catches, and what no machine can, is in docs/threat-model.md.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, product
from typing import Any, Final

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

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ASCII: Final = re.compile(r"[0-9A-Za-z]+")
_PARTS: Final = re.compile(r"[,;\n]")
_NUMBER: Final = re.compile(r"\d+[a-z]?")
_POSTCODE: Final = re.compile(
    r"(?<![^\W_])([a-z]{1,2}\d[a-z\d]?)[\W_]*(\d[a-z]{2})(?![^\W_])", re.IGNORECASE
)
_OUTWARD: Final = re.compile(r"[a-z]{1,2}\d[a-z\d]?")

_DWELLING: Final = frozenset(
    {"flat", "apartment", "apt", "unit", "room", "block", "floor", "suite", "no", "number"}
)
_TRIVIAL: Final = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "has",
        "he",
        "her",
        "here",
        "his",
        "home",
        "in",
        "inside",
        "is",
        "it",
        "known",
        "near",
        "nearby",
        "no",
        "none",
        "not",
        "of",
        "off",
        "on",
        "or",
        "out",
        "outside",
        "same",
        "she",
        "the",
        "their",
        "there",
        "they",
        "to",
        "unknown",
        "up",
        "was",
        "we",
        "were",
        "with",
    ]
)
_KINDS: Final = (
    ("road", "rd"),
    ("street", "st", "str"),
    ("saint", "st"),
    ("avenue", "ave", "av"),
    ("lane", "ln", "la"),
    ("close", "cl"),
    ("drive", "dr"),
    ("crescent", "cres", "cr"),
    ("terrace", "terr", "ter"),
    ("court", "ct", "crt"),
    ("gardens", "gdns"),
    ("grove", "gr", "gro"),
    ("place", "pl"),
    ("square", "sq"),
    ("house", "hse"),
    ("mount", "mt"),
)
_SPELLINGS: Final = {
    word: {other for kind in _KINDS if word in kind for other in kind}
    for kind in _KINDS
    for word in kind
}
_STREETS: Final = frozenset(
    "road rd street avenue ave lane ln close drive crescent cres row terrace mews wynd".split()  # noqa: SIM905
)
"""A text with one of these words names a street, even where the form asks for an area."""
_AFTER_A_NUMBER: Final = _STREETS | {
    "st",
    "court",
    "gardens",
    "grove",
    "square",
    "steps",
    "house",
    "place",
}
"""What names a street behind a number; areas are called so, too."""
_NUMBERED: Final = ("no", "number", "house", "door")
"""What a house number is called when its street is not named."""
_INSTITUTIONS: Final = frozenset(
    [
        *(
            "school",
            "academy",
            "college",
            "nursery",
            "primary",
            "secondary",
            "infant",
            "infants",
            "junior",
            "juniors",
            "high",
            "grammar",
        ),
        *(
            "surgery",
            "practice",
            "clinic",
            "hospital",
            "medical",
            "health",
            "doctors",
            "gp",
            "centre",
            "center",
            "ltd",
            "limited",
            "plc",
        ),
        *(
            "university",
            "community",
            "catholic",
            "rc",
            "ce",
            "preschool",
            "group",
            "partnership",
            "sixth",
            "form",
        ),
    ]
)
"""What people leave out or exchange when they name a school, a practice or an employer."""
_CALLED: Final = (
    "school",
    "academy",
    "college",
    "nursery",
    "surgery",
    "practice",
    "clinic",
    "hospital",
    "centre",
)


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
        """`secrets` are shielded values, `told` shielded accounts in somebody's own words, of which
        only postcodes are looked for.

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
        letters = _letters(text)
        hits = [needle for needle in self._needles if needle in letters]
        if not hits:  # as in nearly every text
            return text
        places = _squashed(text)[1]
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


def is_area(text: str) -> bool:
    """Whether a text given as an area can be one: it names no number, no street and no part of a
    postcode.

    An address typed into the wrong field must neither leave as an area nor be spared in texts.
    """
    words = _words(text)
    return bool(words) and not any(
        word in _STREETS or any(letter.isdigit() for letter in word) for word in words
    )


def gives_place(text: str) -> bool:
    """Whether a text has the shape of an address: a postcode, or a number before a street's
    kind.
    """
    words = _words(text)
    first = next((place for place, word in enumerate(words) if _NUMBER.fullmatch(word)), len(words))
    return _POSTCODE.search(text) is not None or any(
        word in _AFTER_A_NUMBER for word in words[first:]
    )


def _found(
    needle: str, text: str, letters: str, places: list[int], *, whole: bool
) -> Iterator[tuple[int, int]]:
    """Where the needle stands in the text, as first and one past the last character; if `whole`,
    only as words of their own.
    """
    at = letters.find(needle)
    while at >= 0:
        first, last = places[at], places[at + len(needle) - 1] + 1
        within = text[first - 1 : first].isalnum() or text[last : last + 1].isalnum()
        if not within or (len(needle) >= _WHOLE_WORDS_BELOW and not whole):
            yield first, last
        at = letters.find(needle, at + 1)


def _needles(text: str, spared: set[str]) -> Iterator[str]:
    """What must not be read of a shielded value: each part with and without its house number, and
    every two words together.
    """
    for part in (text, *_PARTS.split(text)):
        words = _words(part)
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
    """Whether these words together may name a place: not only numbers and words such as “at
    home”.
    """
    telling = [word for word in run if word not in _TRIVIAL and not _NUMBER.fullmatch(word)]
    return bool(telling) and (len(run) > 1 or len(run[0]) >= _SHORTEST)


def _without_number(words: list[str]) -> list[str]:
    """“Flat 3, 17 Larkspur Wynd” without what stands before the street's name."""
    for place, word in enumerate(words):
        if not (_NUMBER.fullmatch(word) or word in _DWELLING or word in _TRIVIAL):
            return words[place:]
    return []


def _spelt(words: Sequence[str]) -> Iterator[str]:
    """The run under each spelling of a street's kind in it; long runs as they are, their pairs are
    looked for anyway.
    """
    yield "".join(words)
    if len(words) <= _SHORTEST:
        yield from (
            "".join(each)
            for each in product(*(sorted(_SPELLINGS.get(word, {word})) for word in words))
        )


def _postcodes(text: str) -> Iterator[str]:
    for outward, inward in _POSTCODE.findall(text.casefold()):
        yield from (outward, outward + inward)


def _streets(text: str) -> Iterator[str]:
    """What follows a house number, up to its street's kind, written together: “17 Larkspur Wynd,
    Northmoor” names “larkspurwynd”.
    """
    for part in (text, *_PARTS.split(text)):
        words = _words(part)
        rest = _without_number(words)
        if rest and any(_NUMBER.fullmatch(word) for word in words[: -len(rest)]):
            end = next(
                (place for place, word in enumerate(rest, start=1) if word in _AFTER_A_NUMBER),
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
        words = _words(part)
        yield from (
            called + word for word in words if _NUMBER.fullmatch(word) for called in _NUMBERED
        )
        kept = [
            word
            for word in words
            if not (word in _INSTITUTIONS or word in _TRIVIAL or _NUMBER.fullmatch(word))
        ]
        if kept and len(kept) < len(words) and any(word in _INSTITUTIONS for word in words):
            name = "".join(kept)
            yield from (name + called for called in _CALLED)
            if len(kept) > 1 or len(name) >= _WHOLE_WORDS_BELOW:
                yield name


def _runs(text: str) -> Iterator[str]:
    """Every run of up to so many neighbouring words, written together."""
    words = _words(text)
    for first in range(len(words)):
        yield from (
            "".join(words[first:last])
            for last in range(first + 1, min(first + _LONGEST_NAME, len(words)) + 1)
        )


def _words(text: str) -> list[str]:
    return [letters for word in _WORD.findall(text) if (letters := _letters(word))]


def _letters(text: str) -> str:
    """Letters and digits alone, folded."""
    return "".join(_ASCII.findall(text)).casefold() if text.isascii() else _squashed(text)[0]


def _squashed(text: str) -> tuple[str, list[int]]:
    """Letters and digits alone, folded, and where in the text each came from."""
    if text.isascii():
        places = [place for place, letter in enumerate(text) if letter.isalnum()]
        return "".join(text[place] for place in places).casefold(), places
    found = [
        (place, folded)
        for place, letter in enumerate(text)
        for folded in unicodedata.normalize("NFKD", letter.casefold())
        if folded.isalnum()
    ]
    return "".join(folded for _, folded in found), [place for place, _ in found]
