"""The shapes of addresses: words that name a kind of street or building, postcodes, and how two
spellings become one."""

import re
from typing import Final

from hubformats.place_words import word_list
from hubformats.reading import folded
from hubformats.visible_text import bare

_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_PARTS: Final = re.compile(r"[,;\n]")
_LETTERS: Final = re.compile(r"[^\W_]+")
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
ORDINARY: Final = word_list("ordinary")
"""Short words that are names of places, too: looked for with a capital letter only."""
_KINDS: Final = (
    ("road", "rd"),
    ("street", "st", "str"),
    ("saint", "st"),
    ("avenue", "ave", "av"),
    ("lane", "ln", "la"),
    ("close", "cl"),
    ("drive", "dr"),
    ("crescent", "cres", "cresc", "cr"),
    ("terrace", "terr", "ter", "tce"),
    ("court", "ct", "crt"),
    ("gardens", "gdns", "gdn"),
    ("grove", "gr", "gro"),
    ("place", "pl"),
    ("square", "sq"),
    ("house", "hse"),
    ("mount", "mt"),
    ("walk", "wlk"),
    ("way", "wy"),
    ("buildings", "bldgs"),
    ("heights", "hts"),
    ("meadows", "mdws"),
    ("parade", "pde"),
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
    "primary",
    "gp",
    "doctors",
    "healthcentre",
    "medicalcentre",
)


def is_area(text: str) -> bool:
    """Tell whether a text given as an area can be one.

    It must name no number, no street and no part of a postcode. An address typed into the wrong
    field must neither leave as an area nor be spared in texts.
    """
    words = words_of(text)
    return bool(words) and not any(
        word in STREETS or any(letter.isdigit() for letter in word) for word in words
    )


def has_address(text: str) -> bool:
    """Tell whether a text holds a postcode, or a number before a usual kind of street."""
    words = words_of(text)
    first = next((place for place, word in enumerate(words) if NUMBER.fullmatch(word)), len(words))
    return POSTCODE.search(text) is not None or any(
        word in AFTER_A_NUMBER for word in words[first:]
    )


def words_of(text: str) -> list[str]:
    """Split a text into words of small letters and figures; what joins a word is left out of it."""
    return ["".join(_LETTERS.findall(word)) for word in _WORD.findall(folded(bare(text)))]


def parts_of(text: str) -> list[str]:
    """List each line and comma part of an address, its words written together."""
    parts = ("".join(words_of(part)) for part in _PARTS.split(text))
    return [part for part in parts if part]
