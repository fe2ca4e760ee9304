"""The shapes of addresses: words that name a kind of street or building, postcodes, and how two
spellings become one."""

import re
import unicodedata
from typing import Final

from hubformats.visible_text import bare, blanked

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_ASCII: Final = re.compile(r"[0-9A-Za-z]+")
NUMBER: Final = re.compile(r"\d+[a-z]?")
POSTCODE: Final = re.compile(
    r"(?<![^\W_])([a-z]{1,2}\d[a-z\d]?)[\W_]*(\d[a-z]{2})(?![^\W_])", re.IGNORECASE
)

DWELLING: Final = frozenset(
    {"flat", "apartment", "apt", "unit", "room", "block", "floor", "suite", "no", "number"}
)
TRIVIAL: Final = frozenset(
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
SPELLINGS: Final = {
    word: {other for kind in _KINDS if word in kind for other in kind}
    for kind in _KINDS
    for word in kind
}
STREETS: Final = frozenset(
    "road rd street avenue ave lane ln close drive crescent cres row "  # noqa: SIM905
    "terrace mews wynd".split()
)
"""A text with one of these words names a street, even where the form asks for an area."""
AFTER_A_NUMBER: Final = STREETS | {
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
NUMBERED: Final = ("no", "number", "house", "door")
"""What a house number is called when its street is not named."""
INSTITUTIONS: Final = frozenset(
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
CALLED: Final = (
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


def is_area(text: str) -> bool:
    """Whether a text given as an area can be one.

    It must name no number, no street and no part of a postcode: an address typed into the wrong
    field must neither leave as an area nor be spared in texts.
    """
    words = words_of(text)
    return bool(words) and not any(
        word in STREETS or any(letter.isdigit() for letter in word) for word in words
    )


def gives_place(text: str) -> bool:
    """Whether a text has the shape of an address.

    A postcode, or a number before a street's kind.
    """
    words = words_of(text)
    first = next((place for place, word in enumerate(words) if NUMBER.fullmatch(word)), len(words))
    return POSTCODE.search(text) is not None or any(
        word in AFTER_A_NUMBER for word in words[first:]
    )


def words_of(text: str) -> list[str]:
    return [letters for word in _WORD.findall(bare(text)) if (letters := letters_of(word))]


def letters_of(text: str) -> str:
    """Letters and digits alone, folded."""
    return "".join(_ASCII.findall(text)).casefold() if text.isascii() else squashed(text)[0]


def squashed(text: str) -> tuple[str, list[int]]:
    """Letters and digits alone, folded, and where in the text each came from."""
    if text.isascii():
        places = [place for place, letter in enumerate(text) if letter.isalnum()]
        return "".join(text[place] for place in places).casefold(), places
    text = blanked(text)
    found = [
        (place, folded)
        for place, letter in enumerate(text)
        for folded in unicodedata.normalize("NFKD", letter.casefold())
        if folded.isalnum()
    ]
    return "".join(folded for _, folded in found), [place for place, _ in found]
