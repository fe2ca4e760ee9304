"""Finds what somebody's own words hold besides places: numbers, addresses of mail, and names."""

import re
from collections.abc import Iterator
from typing import Final

from hubformats.place_words import word_list
from hubformats.places import NUMBER, TRIVIAL, words_of
from hubformats.visible_text import bare

_DAY: Final = r"(?:\d{4}-\d{1,2}-\d{1,2}|\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2}))"
_A_DAY: Final = re.compile(rf"{_DAY}(?![\d./-]?\d)")
_BORN: Final = re.compile(
    rf"(?i:\bborn|\bd\.?o\.?b\.?|\bbirth)\W{{1,3}}(?:(?i:on|is|was)\W)?({_DAY})(?!\d)"
)
_RUN: Final = re.compile(r"(?<![^\W_])\d(?:[ ().-]{0,2}\d){5,24}(?!\d)")
_GROUP: Final = re.compile(r"\d{3}")
"""A number has a group of so many figures; a row of ages or scores has none."""
_CODE: Final = re.compile(r"(?<![^\W_])[A-Za-z0-9]+(?:[/-][A-Za-z0-9]+)*")
_LEAST_FIGURES: Final = 4
_OF_GROUPS: Final = re.compile(
    r"(?<![^\W_])(?:[A-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]|[A-Z]{2}\d\d ?[A-Z]{3})(?![^\W_])"
)
"""A National Insurance number, or a vehicle's plate."""
_MAIL: Final = re.compile(r"(?<![^\s<>(),;:])[^\s<>(),;:@]+@[^\s<>(),;:@]+\w")

_WORD: Final = re.compile(r"[^\W\d_][\w'’-]*")
_LONGEST_NAME: Final = 4
_BEHIND_CUE: Final = re.compile(r"[,.:]? (?:is |was )?")
_CUES: Final = word_list("person_cues")
_COMMON: Final = TRIVIAL | _CUES | word_list("no_names") | word_list("no_street_names")
_NO_NAMES: Final = (_COMMON | word_list("no_places") | word_list("no_people")) - {
    *("april", "may", "june"),
}
_NO_ITEMS: Final = _COMMON | word_list("no_items")
_LISTED: Final = re.compile(r"[,;\n.]| and ")
_LONGEST_ITEM: Final = 3
"""Words of what is listed between commas, such as “Epilepsy” or “wheelchair user”."""


def numbers_of(text: str) -> Iterator[str]:
    """List phone, reference and other numbers in a text, and addresses of mail; no days."""
    plain = bare(text)
    yield from _MAIL.findall(plain)
    yield from _OF_GROUPS.findall(plain)
    for found in _RUN.finditer(plain):
        if _GROUP.search(found[0]) is not None and _A_DAY.match(found[0]) is None:
            yield found[0]
    for found in _CODE.finditer(plain):
        figures = sum(one.isdigit() for one in found[0])
        is_code = _LEAST_FIGURES <= figures < len(found[0]) and any(map(str.isupper, found[0]))
        if is_code and _A_DAY.match(found[0]) is None:
            yield found[0]


def days_of(text: str) -> Iterator[str]:
    """List the days on which a text says that somebody was born, as year, month and day."""
    for day in _BORN.findall(bare(text)):
        parts = re.split(r"[./-]", day)
        year, month, number = parts if len(parts[0]) == 4 else parts[::-1]
        century = "" if len(year) == 4 else "20" if int(year) < 30 else "19"
        yield f"{century}{year}-{month:0>2}-{number:0>2}"


def people_of(text: str) -> Iterator[str]:
    """List names behind a word such as “with”, “sister” or “Mrs”, each in capitals."""
    words = list(_WORD.finditer(text))
    for place, cue in enumerate(words[:-1]):
        if cue[0].lower() not in _CUES:
            continue
        end = cue.end()
        name: list[str] = []
        for word in words[place + 1 : place + 1 + _LONGEST_NAME]:
            gap = text[end : word.start()]
            near = gap == " " if name else _BEHIND_CUE.fullmatch(gap) is not None
            if not near or not word[0][0].isupper() or word[0].lower() in _NO_NAMES:
                break
            name.append(word[0].removesuffix("'s").removesuffix("’s"))
            end = word.end()
        if name:
            yield " ".join(name)


def items_of(text: str) -> Iterator[str]:
    """List what a text names in a word or a few, between commas or alone."""
    for part in _LISTED.split(text):
        words = words_of(part)
        while words and words[0] in TRIVIAL:
            words.pop(0)
        telling = [word for word in words if word not in _NO_ITEMS and not NUMBER.fullmatch(word)]
        if telling and len(words) <= _LONGEST_ITEM:
            yield " ".join(words)
