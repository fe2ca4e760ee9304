"""Finds codes that stand for a place.

They are postcodes and their halves, coordinates, grid references, plus codes, what3words, property
numbers and links to maps.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final

from hubformats.place_words import word_list
from hubformats.places import TRIVIAL
from hubformats.reading import Reading

Span = tuple[int, int]
"""First and one past the last character, in the text of a reading."""

AREAS: Final = word_list("postcode_areas")
"""Letters that begin a postcode (Royal Mail's postcode areas), and those of invented ones: nz, qx
and the ONS's zz99 for nowhere in particular."""
_INWARD: Final = "abdefghjlnpqrstuwxyz"
"""Letters of the second half; c, i, k, m, o and v never stand there."""
_GAP: Final = r"[^a-z0-9\n]{0,3}"
_BETWEEN: Final = r"[^a-z0-9\n]{1,3}"
_EDGE: Final = r"(?<![a-z0-9])"
_END: Final = r"(?![a-z0-9])"

_WHOLE: Final = re.compile(
    rf"{_EDGE}([a-z]{{1,2}})([\doil])([a-z\d]?){_GAP}([\doil])([{_INWARD}v][{_INWARD}v]){_END}"
)
_APART: Final = re.compile(
    rf"{_EDGE}([a-z])(?:{_GAP}([a-z]))?{_GAP}\d(?:{_GAP}[a-z\d])?{_GAP}\d{_GAP}([{_INWARD}]){_GAP}"
    rf"([{_INWARD}]){_END}"
)
_DIGIT_WORDS: Final = "one|two|three|four|five|six|seven|eight|nine|ten|zero|nought"
_SPELT: Final = re.compile(
    rf"{_EDGE}([a-z]{{1,2}})(?:{_BETWEEN}(?:{_DIGIT_WORDS})|{_GAP}\d[a-z\d]?)"
    rf"{_BETWEEN}(?:(?:{_DIGIT_WORDS}){_BETWEEN}|\d)([{_INWARD}]{{2}}){_END}"
)
"""A postcode with a figure in words, as in “NE one 4ST”."""
_OUTWARD: Final = re.compile(rf"{_EDGE}([a-z]{{1,2}})(\d(?:\d|[a-z])?){_END}")
_INWARD_ALONE: Final = re.compile(rf"{_EDGE}\d([{_INWARD}]{{2}}){_END}")
_UNITS: Final = word_list("units")
"""What stands behind a figure and is no half of a postcode: ordinals, units, four-wheel drive."""
_IN_CAPITALS: Final = word_list("units_in_capitals")
"""Those of them that people write in capitals."""
_THINGS: Final = word_list("things")
"""Things that are written like the first half of a postcode; some are one, too."""
_CALLED: Final = re.compile(
    r"(?:postcode|post code|postal code|district|postal area)[^a-z0-9]{1,3}"
    r"(?:is |of |in |area |was |starts |begins |with |starting |ending |ends |it |that ){0,3}$"
)
_ENDS: Final = re.compile(
    r"(?<![a-z])(?:end(?:s|ed|ing)?|finish(?:es|ed|ing)?|inward(?: code)?|(?:second|last) "
    r"(?:half|part|bit|three))[^a-z0-9]{1,3}(?:is |in |with |of |the |it ){0,3}$"
)
_ORDINAL: Final = re.compile(r"1st|2nd|3rd|[04-9]th")
_NEAR: Final = re.compile(
    r"(?:^|[^a-z0-9])(?:in|near|around|at|to|from|towards|into|outside|of)"
    r"[^a-z0-9]{1,2}$"
)
_PLATE: Final = re.compile(r"\s?[A-Z]{3}(?![A-Za-z0-9])")
"""What stands behind the first half of a vehicle's number plate."""
_LOOK_BACK: Final = 40

_GRID_SQUARES: Final = word_list("grid_squares")
_SQUARES: Final = "|".join(sorted(_GRID_SQUARES))
_GRID: Final = re.compile(
    rf"{_EDGE}({_SQUARES})[^a-z0-9\n]{{0,2}}"
    rf"(\d{{5}}[^a-z0-9\n]{{0,2}}\d{{5}}|\d{{4}}[^a-z0-9\n]{{0,2}}\d{{4}}"
    rf"|\d{{3}}[^a-z0-9\n]{{0,2}}\d{{3}}"
    rf"|\d{{2}}[^a-z0-9\n]{{0,2}}\d{{2}}){_END}"
)
_GOES_ON: Final = re.compile(r"[/-]|[^A-Za-z0-9\n]{0,2}(?:\d|[ABCD](?![A-Za-z0-9]))")
"""What stands behind a reference number, or a National Insurance number, and no grid reference."""
_IRISH: Final = re.compile(rf"{_EDGE}[a-hj-z][ ]?\d{{5}}[ ]\d{{5}}{_END}")
_NUMBERED: Final = re.compile(
    r"(?<![a-z])(?:refs?|references?|logs?|numbers?|nos?|cads?|crimes?|incidents?|"
    r"badge|collar|account|id|urn|phone|tel|case|form|police|exhibit)[^a-z0-9]{0,3}$"
)
_GRID_APART: Final = re.compile(
    rf"{_EDGE}([a-z])([ .-]{{0,2}})([a-z])((?:[ .-]{{1,2}}\d){{6,10}}){_END}"
)
_TWELVE: Final = re.compile(
    r"(?<![\w.,/+-])(?<![\d] )[0-6]\d{5}[ ,;/|]{1,3}(?:0?\d|1[0-2])\d{5}(?![\d/])(?! \d)"
)
"""Easting and northing in metres, as in “384500 398100”."""
_EASTINGS: Final = re.compile(
    r"(?<![a-z])(?:e|x|eastings?)[^a-z0-9]{0,3}\d{6}[^a-z0-9]{1,4}(?:and )?"
    r"(?:n|y|northings?)[^a-z0-9]{0,3}\d{6,7}(?!\d)"
)

_DEGREES: Final = (
    r"[-+−–]?\d{1,3}(?:[.,]\d{1,12})?\s?(?:°|º|˚|deg(?:rees)?)\s?"
    r"(?:\d{1,2}(?:[.,]\d{1,8})?\s?['′’]\s?(?:\d{1,2}(?:[.,]\d{1,6})?\s?[\"″”]\s?)?)?[nsew]?"
)
_ANGLE: Final = r"\d{1,3}(?:[.,]\d{1,12}|[ :]\d{1,2}(?:[ :]\d{1,2})?(?:[.,]\d{1,6})?)"
_COORDINATES: Final = (
    re.compile(
        r"(?<![\d.])[-+−–]?\d{1,3}\s?[.,]\s?\d{3,12}\s?[nsew]?[\s,;/|]{1,4}"
        r"(?:and )?[nsew]?\s?[-+−–]?\d{1,3}\s?[.,]\s?\d{3,12}\s?[nsew]?(?![a-z0-9])"
        r"(?!\s?(?:mg|ml|g|kg)\b)"
    ),
    re.compile(
        rf"(?<![\d.])(?:(?<![a-z])[nsew]\s?)?{_DEGREES}(?:[\s,;/|]{{0,4}}(?:[nsew]\s?)?{_DEGREES})?"
    ),
    re.compile(
        r"(?<![a-z])(?:lat(?:itude)?|lon(?:g|gitude)?|lng)[^a-z0-9\n+−–-]{0,4}(?:is )?"
        r"[-+−–]?\d{1,3}[.,]\d{2,12}"
    ),
    re.compile(r"(?<![\d.])\d{1,3}[.,]\d{4,12}\s?[nsew](?![a-z0-9])"),
    re.compile(r"(?<![a-z0-9])[nsew]\s?\d{1,3}[.,]\d{4,12}(?!\d)"),
    re.compile(r"(?<![\d.])\d{1,3}[ :]\d{1,2}[.,:]\d{2,6}\s?[nsew](?![a-z0-9])"),
    # Few decimals, or degrees, minutes and seconds in figures alone: latitude, then longitude.
    re.compile(
        rf"(?<![\w.]){_ANGLE}\s?[ns][\s,;/|]{{1,4}}{_ANGLE}\s?[ew](?![a-z0-9])"
        rf"|(?<![a-z0-9])[ns]\s?{_ANGLE}[\s,;/|]{{1,4}}[ew]\s?{_ANGLE}(?![a-z0-9])"
    ),
    re.compile(r"(?<![\w.])(?:49|5\d|60)[.,]\d{2,12}\s?[,;/| ]\s?[-−–][0-8][.,]\d{2,12}(?!\w)"),
    # ISO 6709: “+53.4808-002.2426/”.
    re.compile(
        r"(?<![\w.])[+−-]\d{2}(?:\d\d){0,2}(?:\.\d{1,12}[+−-]\d{3}(?:\d\d){0,2}\.\d{1,12}"
        r"(?:[+−-]\d{1,6}(?:\.\d{1,6})?)?(?:crs[\w:]{1,20})?/?|[+−-]\d{3}(?:\d\d){0,2}/)"
    ),
)
_PLUS: Final = re.compile(
    r"(?<![a-z0-9+])(?=[0-9a-z]*[a-z])[2-9cfghjmpqrvwx]{4,8}\+[2-9cfghjmpqrvwx]{2,3}"
    r"(?![a-z0-9])"
)
_PLUS_APART: Final = re.compile(
    r"(?<![a-z0-9+])(?=[0-9 ]{0,9}[a-z])(?:[2-9cfghjmpqrvwx]{4}[ -]?)?[2-9cfghjmpqrvwx]{4}"
    r" ?\+ ?(?=\d?[a-z])[2-9cfghjmpqrvwx]{2,3}(?![a-z0-9])"
)
"""With spaces in it, as in “9C5V FQJ4 + GV”."""
_THREE_WORDS: Final = (
    re.compile(r"/{3}[^\w\n]?[^\W\d_]{2,30}[^\w\n]{1,3}[^\W\d_]{2,30}[^\w\n]{1,3}[^\W\d_]{2,30}"),
    re.compile(
        r"(?:what ?(?:3|three) ?words?|w3w)[^a-z0-9\n]{0,5}"
        r"(?:(?:is|are|location|address|says?)\s){0,2}"
        r"[^\W\d_]{2,30}[^\w\n]{1,3}[^\W\d_]{2,30}[^\w\n]{1,3}[^\W\d_]{2,30}"
    ),
    re.compile(
        r"(?<![\w.@/:-])[^\W\d_]{3,24}[.。・･︒·•∙⋅‧][^\W\d_]{3,24}[.。・･︒·•∙⋅‧][^\W\d_]{3,24}"
        r"(?![\w@/-])(?!\.\w)"
    ),
)
_ENDINGS: Final = word_list("web_endings")
_PROPERTY: Final = re.compile(
    r"(?<![a-z])(?:uprn|usrn|toid|unique property reference(?: number)?|osgb)[^a-z0-9\n]{0,5}"
    r"(?:(?:is|no|number|of)[^a-z0-9\n]{0,3}){0,2}(?:\d{9,16}|\d{1,8}(?:[ .-]\d{2,5}){0,5})(?!\d)"
)
_POINT: Final = r"(?:\.|[\[({](?:\.|dot)[\])}]| dot )"
"""The point of a web address, also where it is written so that nothing opens it."""
_LINK: Final = re.compile(
    (
        r"google\.[a-z.]{2,6}/maps|maps\.google|goo\.gl/maps|maps\.app\.goo\.gl|g\.co/maps|"
        r"maps\.apple|find\.apple|icloud\.com/find|bing\.com/maps|openstreetmap\.org|osm\.org|"
        r"w3w\.co|what3words\.com|plus\.codes|waze\.com|streetmap\.co\.uk|gridreferencefinder|"
        r"(?<![a-z])here\.com|geograph\.org|map\.snapchat|snapchat\.com/map|citymapper\.com|"
        r"glympse\.com|life360\.com|strava\.com|//maps?\.|/maps?[/?@]|(?<![a-z])geo:-?\d"
    ).replace(r"\.", _POINT)
)
_LONGEST_LINK: Final = 2_000
_UNBROKEN: Final = re.compile(r"[^\s<>\"]*")
_HINT: Final = re.compile(
    r"\d|\+|/{3}|w3w|what|[^\W\d_]{3}[.。・･︒·•∙⋅‧][^\W\d_]{3}|map|osm|waze|here|geo"
    rf"|find|glympse|strava|{_DIGIT_WORDS}"
)


def codes_in(reading: Reading, areas: frozenset[str] = AREAS) -> Iterator[Span]:
    """Find what is written like the code of a place.

    `areas` are the letters with which a postcode may begin, in small letters.
    """
    if _HINT.search(reading.text) is None:
        return
    for find in _FINDERS:
        yield from find(reading, areas)


def _postcodes(reading: Reading, areas: frozenset[str]) -> Iterator[Span]:
    for found in _WHOLE.finditer(reading.text):
        if _is_postcode(reading.raw, found):
            yield found.span()
    for found in _APART.finditer(reading.text):
        raw = reading.raw[found.start() : found.end()]
        known = found[1] + (found[2] or "") in areas and found[3] + found[4] not in TRIVIAL
        if raw.upper() == raw or known or re.search(r"[a-z0-9]{2}", found[0]) is None:
            yield found.span()
    for found in _SPELT.finditer(reading.text):
        if found[1] in areas and _is_spelt(reading.raw, found):
            yield found.span()


def _is_postcode(raw: str, found: re.Match[str]) -> bool:
    """Tell whether digits stand where a postcode has them.

    One may be a letter that is taken for it, as in “NZ9 OQX”. The rest is in capitals then.
    """
    figures, inward = (found[2] + found[4]), found[5]
    if "v" in inward and found[1] != "zz":
        return False
    if not figures.isdigit():
        # What is taken for a figure may be a small l.
        letters = "".join(raw[slice(*found.span(group))] for group in (1, 3, 5))
        return any(one.isdigit() for one in figures) and letters.upper() == letters
    return inward not in _UNITS or not raw[found.start(5)].islower()


def _is_spelt(raw: str, found: re.Match[str]) -> bool:
    """Tell whether a postcode with figures in words is one, and not “me one 2nd”."""
    written = raw[found.start(1) : found.end(1)].isupper()
    unit = found[2] in _UNITS and raw[found.start(2)].islower()
    in_words = re.search(_DIGIT_WORDS, found[0]) is not None
    return in_words and not unit and (written or (len(found[1]) > 1 and found[1] not in TRIVIAL))


def _halves(reading: Reading, areas: frozenset[str]) -> Iterator[Span]:
    text, raw = reading.text, reading.raw
    for found in _OUTWARD.finditer(text):
        start, end = found.span()
        if found[1] not in areas or text[end : end + 1] in {"/", "-"} or found[2][0] == "0":
            continue
        before = text[max(0, start - _LOOK_BACK) : start]
        if before.endswith(("/", "-", "£", "#")) or _NUMBERED.search(before):
            continue
        if _PLATE.match(raw, end):
            continue
        written = raw[start : start + len(found[1])].isupper()
        called = _CALLED.search(before) is not None
        if called or (found[0] not in _THINGS and written and _stands_alone(found, before)):
            yield start, end
    for found in _INWARD_ALONE.finditer(text):
        if text[found.end() : found.end() + 1] != "/" and _is_inward(reading, found):
            yield found.span()


def _is_inward(reading: Reading, found: re.Match[str]) -> bool:
    """Tell whether this is the second half of a postcode: in capitals, or called one.

    “ends 4ST” is one, “ends 4TH” a day.
    """
    start, end = found.span()
    before = reading.text[max(0, start - _LOOK_BACK) : start]
    written = reading.raw[start + 1 : end].isupper()
    called, ordinal = _CALLED.search(before), _ORDINAL.fullmatch(found[0]) is not None
    if called is not None and (written or not ordinal or called[0].startswith("post")):
        return True
    named = not ordinal and _ENDS.search(before) is not None
    return written and (named or found[1] not in _IN_CAPITALS)


def _stands_alone(found: re.Match[str], before: str) -> bool:
    """Tell whether the first half of a postcode is one by itself.

    One letter and a number are also a motorway, a section of an Act, or a company. They need a word
    such as “in” before them, or the letter that ends central districts.
    """
    area, rest = found[1], found[2]
    if len(area) == 2:
        return True
    if rest[-1].isalpha():
        return found[0] != "g4s" and area in "enw"
    return area in "beglnw" and _NEAR.search(before) is not None


def _grid(reading: Reading, _areas: frozenset[str]) -> Iterator[Span]:
    for found in _GRID.finditer(reading.text):
        if _is_grid(reading, found):
            yield found.span()
    for found in _IRISH.finditer(reading.text):
        if reading.raw[found.start()].isupper():
            yield found.span()
    yield from (found.span() for found in _EASTINGS.finditer(reading.text))
    for found in _GRID_APART.finditer(reading.text):
        square, figures = found[1] + found[3], sum(one.isdigit() for one in found[4])
        word = not found[2] and square in {"no", "so", "st"}
        if square in _GRID_SQUARES and figures % 2 == 0 and not word:
            yield found.span()
    for found in _TWELVE.finditer(reading.text):
        before = reading.text[max(0, found.start() - _LOOK_BACK) : found.start()]
        if _NUMBERED.search(before) is None:
            yield found.span()


def _is_grid(reading: Reading, found: re.Match[str]) -> bool:
    """Tell whether this is a grid reference and no police log or insurance number."""
    (start, end), figures = found.span(), found[2]
    digits, split = sum(one.isdigit() for one in figures), not figures.isdigit()
    written, near = reading.raw[start : start + 2].isupper(), reading.text[start + 2].isdigit()
    before = reading.text[max(0, start - _LOOK_BACK) : start]
    if _NUMBERED.search(before) or _GOES_ON.match(reading.raw, end):
        return False
    if found[1] in {"no", "so", "st"} and not (written and split and digits > 4):
        return False
    return digits > 4 or (written and (split or near))


def _coordinates(reading: Reading, _areas: frozenset[str]) -> Iterator[Span]:
    for pattern in _COORDINATES:
        for found in pattern.finditer(reading.text):
            if not _is_temperature(found[0], reading.text[found.end() : found.end() + 3]):
                yield found.span()


def _is_temperature(text: str, behind: str) -> bool:
    """Recognise “38.5°C”, and a turn of “180°” that gives no minutes."""
    if not re.search(r"[°º˚]|deg", text):
        return False
    if re.match(r"\s?[cf](?![a-z])", behind):
        return True
    return (
        re.search(
            r"['′’nsew]$|[nsew][\s,;/|]|['′’]|\.\d{3}", text.replace("deg", "°").replace("rees", "")
        )
        is None
    )


def _plus_codes(reading: Reading, _areas: frozenset[str]) -> Iterator[Span]:
    for pattern in (_PLUS, _PLUS_APART):
        yield from (found.span() for found in pattern.finditer(reading.text))


def _three_words(reading: Reading, _areas: frozenset[str]) -> Iterator[Span]:
    marked, called, bare = _THREE_WORDS
    yield from (found.span() for found in marked.finditer(reading.text))
    yield from (found.span() for found in called.finditer(reading.text))
    for found in bare.finditer(reading.text):
        words = re.split(r"[.。・･︒·•∙⋅‧]", found[0])
        if (
            (all(len(word) > 3 for word in words) or sum(map(len, words)) > 13)
            and not _ENDINGS & set(words)
            and reading.raw[slice(*found.span())].islower()
        ):
            yield found.span()


def _property_numbers(reading: Reading, _areas: frozenset[str]) -> Iterator[Span]:
    return (found.span() for found in _PROPERTY.finditer(reading.text))


def _links(reading: Reading, _areas: frozenset[str]) -> Iterator[Span]:
    """Find each link to a map, whole: from the space before it to the space behind it."""
    text, end = reading.text, 0
    for found in _LINK.finditer(text):
        if found.start() < end:
            continue
        before = text[max(end, found.start() - _LONGEST_LINK) : found.start()]
        start = found.start() - len(before.split()[-1]) if before[-1:].strip() else found.start()
        end = found.end() + len(_UNBROKEN.match(text, found.end())[0])  # type: ignore[index]
        yield start, end


_FINDERS: Final[tuple[Callable[[Reading, frozenset[str]], Iterator[Span]], ...]] = (
    _postcodes,
    _halves,
    _grid,
    _coordinates,
    _plus_codes,
    _three_words,
    _property_numbers,
    _links,
)
