"""Invented sentences for the shield, made from a seed: places in many spellings, and harmless
figures that look a little like places. None of them is anybody's."""

import base64
import html
import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from tests.support import street_texts

SEED: Final = 20_261_129
EACH: Final = 16
"""Sentences of each kind of place."""
EACH_HARMLESS: Final = 16

_AREAS: Final = ("NZ", "NE", "SW", "EC", "LS", "B", "M", "G", "QX", "BT")
_LETTERS: Final = "ABDEFGHJLNPQRSTUWXYZ"
_WORDS: Final = (
    "filled",
    "count",
    "soap",
    "index",
    "home",
    "raft",
    "limit",
    "broom",
    "flock",
    "cable",
)
_SENTENCES: Final = (
    "He is outside {} and will not leave.",
    "Neighbour rang: she is at {}, frightened.",
    "told us {} tonight",
    "Go to {} now; he has been drinking.",
    "He wrote: {}",
    "{}",
)
_CYRILLIC: Final = str.maketrans("ABEKMHOPCTXaeopcxy", "АВЕКМНОРСТХаеорсху")
_LISU: Final = str.maketrans("ABCDEFGHJKLMNOPRSTUVWXYZ", "ꓮꓐꓚꓓꓰꓝꓖꓧꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ")
_CHEROKEE: Final = str.maketrans("DEGHJLRSWYZ", "ᎠᎬᏀᎻᎫᏞᎡᏚᎳᎩᏃ")
_WIDE: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_PLUS: Final = "23456789CFGHJMPQRVWX"


_WORD: Final = re.compile(r"[^\W_]+")
_CALLED: Final = "postcode ends in\nher postcode ends\nlast half is\nends in"
"""What calls the letters behind it half of a postcode, and may stay."""
_CUES: Final = "fled to lives at outside come from and"
"""What stands before a house number, or is in the sentence besides."""


@dataclass(frozen=True, slots=True)
class PlaceText:
    """One sentence, how the place in it is written, and the letters of it that must be gone."""

    kind: str
    text: str
    place: str

    def is_left_in(self, cleaned: str) -> bool:
        """Tell whether any word of the place still stands in the text."""
        words = {*_WORD.findall(self.place)} - {*_WORD.findall(f"{_CALLED} {_CUES}")}
        return not words.isdisjoint(_WORD.findall(cleaned))


def places() -> list[PlaceText]:
    """Make a sentence for each spelling of each kind of place, none of which a form holds."""
    chance = random.Random(SEED)
    made = []
    for kind, written in _SPELLINGS.items():
        for _ in range(EACH):
            place = written(chance)
            made.append(PlaceText(kind, chance.choice(_SENTENCES).format(place), place))
    made += [
        PlaceText("kind of street", chance.choice(_SENTENCES).format(place), place)
        for place in street_texts.every_kind(chance)
    ]
    return made


def harmless() -> list[tuple[str, str]]:
    """Make sentences with figures that are no place, each with its kind."""
    chance = random.Random(SEED + 1)
    return [
        (kind, written(chance))
        for kind, written in (_HARMLESS | street_texts.HARMLESS).items()
        for _ in range(EACH_HARMLESS)
    ]


def _halves(chance: random.Random) -> tuple[str, str]:
    area = chance.choice(_AREAS)
    end = "A" if area in {"SW", "EC"} else ""
    inward = f"{chance.randint(0, 9)}{chance.choice(_LETTERS)}{chance.choice(_LETTERS)}"
    while inward[1:] in {
        "ST",
        "ND",
        "RD",
        "TH",
        "GB",
        "TB",
        "WD",
        "HD",
        "HR",
        "LB",
        "FT",
        "PT",
        "YR",
    }:
        inward = f"{chance.randint(0, 9)}{chance.choice(_LETTERS)}{chance.choice(_LETTERS)}"
    return f"{area}{chance.randint(1, 9)}{end}", inward


def _postcode(chance: random.Random) -> str:
    return " ".join(_halves(chance))


def _street(chance: random.Random, kinds: Sequence[str] = street_texts.KINDS) -> str:
    number = chance.choice((str(chance.randint(1, 220)), f"{chance.randint(1, 40)}b"))
    return f"{number} {chance.choice(street_texts.NAMES)} {chance.choice(kinds)}"


def _three_words(chance: random.Random) -> str:
    return ".".join(chance.sample(_WORDS, 3))


def _coordinates(chance: random.Random) -> tuple[float, float]:
    return round(chance.uniform(50, 58), 5), round(chance.uniform(-5, -0.1), 5)


def _degrees(chance: random.Random) -> str:
    return (
        f"{chance.randint(50, 58)}°{chance.randint(10, 59)}'{chance.randint(10, 59)}\"N "
        f"{chance.randint(1, 5)}°{chance.randint(10, 59)}'{chance.randint(10, 59)}\"W"
    )


def _grid(chance: random.Random, figures: int, gap: str) -> str:
    square = chance.choice(("NZ", "TQ", "SJ", "SE", "NT", "SU"))
    east, north = (str(chance.randint(10 ** (figures - 1), 10**figures - 1)) for _ in range(2))
    return gap.join((square, east, north))


def _plus_code(chance: random.Random) -> str:
    start = "9C" + "".join(chance.choice(_PLUS) for _ in range(6))
    return f"{start}+{chance.choice(_PLUS)}{chance.choice(_PLUS)}"


def _link(chance: random.Random) -> str:
    north, west = _coordinates(chance)
    return chance.choice(
        (
            f"https://www.google.com/maps/@{north},{west},17z",
            f"https://maps.google.co.uk/?q={quote(_street(chance))}",
            f"https://maps.app.goo.gl/{chance.getrandbits(40):x}",
            f"https://www.openstreetmap.org/#map=18/{north}/{west}",
            f"http://maps.apple.com/?ll={north},{west}",
            f"https://w3w.co/{_three_words(chance)}",
            f"geo:{north},{west}",
        )
    )


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _ending(chance: random.Random) -> str:
    """Halves that are also an ordinal or a unit: “4ST”."""
    return f"{chance.choice(_CALLED.splitlines())} {chance.randint(4, 9)}{chance.choice(('ST', 'RD', 'ND'))}"


def _in_words(chance: random.Random) -> str:
    outward, inward = _two_letters(chance)
    figure = chance.choice(("one", "two", "three", "four", "five", "six", "seven", "eight"))
    return chance.choice((f"{outward[:2]} {figure} {inward}", f"{outward} {figure} {inward[1:]}"))


def _metres(chance: random.Random) -> str:
    between = chance.choice((" ", ",", ", ", "/"))
    return f"{chance.randint(300_000, 560_000)}{between}{chance.randint(100_000, 690_000)}"


def _few_decimals(chance: random.Random) -> str:
    north, west = (f"{one:.2f}" for one in (chance.uniform(50, 58), chance.uniform(0.1, 5)))
    return chance.choice(
        (f"{north}N {west}W", f"N{north} W{west}", f"{north}, -{west}", f"{north} N, {west} W")
    )


def _iso_6709(chance: random.Random) -> str:
    north, west = _coordinates(chance)
    return f"+{north:08.5f}-{-west:09.5f}/"


def _bare_degrees(chance: random.Random) -> str:
    return re.sub("[°'\"]+(?=[NW])|[°'\"]", " ", _degrees(chance)).replace("  ", " ")


def _spaced(chance: random.Random) -> str:
    words = _three_words(chance)
    return chance.choice(
        (
            "/// " + words.replace(".", " . "),
            "///" + words.replace(".", " "),
            words.replace(".", "·"),
        )
    )


def _plus_code_apart(chance: random.Random) -> str:
    code = _plus_code(chance)
    code = f"{code[:4]} {code[4:]}".replace("+", " + ")
    return code if code[-2:].isalpha() else _plus_code_apart(chance)


def _property_in_groups(chance: random.Random) -> str:
    figures = str(chance.randint(10**11, 10**12 - 1))
    return f"UPRN {figures[:2]} {figures[2:6]} {figures[6:9]} {figures[9:]}"


def _shared(chance: random.Random) -> str:
    """A link in which somebody shows where they are, or one that nothing opens."""
    north, west = _coordinates(chance)
    return chance.choice(
        (
            f"https://map.snapchat.com/@{north},{west}",
            f"citymapper.com/directions?endcoord={chance.getrandbits(32):x}",
            f"https://glympse.com/{chance.getrandbits(32):X}",
            f"find.apple.com/{chance.getrandbits(32):x}",
            f"hxxps://maps[.]google[.]com/{chance.getrandbits(32):x}",
            f"maps(dot)app(dot)goo(dot)gl/{chance.getrandbits(32):x}",
        )
    )


def _letters_as_octal(text: str) -> str:
    return "".join(f"\\{ord(one):03o}" for one in text)


_SPELLINGS: Final[dict[str, Callable[[random.Random], str]]] = {
    "postcode": _postcode,
    "postcode in small letters": lambda chance: _postcode(chance).lower(),
    "postcode without a space": lambda chance: "".join(_halves(chance)),
    "postcode with points": lambda chance: ".".join("".join(_halves(chance))),
    "postcode letter by letter": lambda chance: " ".join("".join(_halves(chance)).lower()),
    "postcode with dashes": lambda chance: "-".join(_halves(chance)),
    "postcode in full width": lambda chance: _postcode(chance).translate(_WIDE),
    "postcode in look-alikes": lambda chance: _postcode(chance).translate(_CYRILLIC),
    "postcode with hidden characters": lambda chance: "\u200b".join(_postcode(chance)),
    "postcode in percent": lambda chance: "".join(f"%{ord(one):02X}" for one in _postcode(chance)),
    "postcode in a link's words": lambda chance: quote(_postcode(chance)),
    "postcode in entities": lambda chance: "".join(f"&#{ord(one)};" for one in _postcode(chance)),
    "postcode in base64": lambda chance: _encoded(_postcode(chance)),
    "first half of a postcode": lambda chance: _two_letters(chance)[0],
    "second half of a postcode": lambda chance: _halves(chance)[1],
    "street and number": _street,
    "street in small letters": lambda chance: _street(chance, street_texts.PLAIN).lower(),
    "street in capitals": lambda chance: _street(chance).upper(),
    "flat and street": lambda chance: f"Flat {chance.randint(1, 20)}, {_street(chance)}",
    "street in full width": lambda chance: _street(chance).translate(_WIDE),
    "street in look-alikes": lambda chance: _street(chance).translate(_CYRILLIC),
    "street in percent": lambda chance: quote(_street(chance)),
    "street in base64": lambda chance: _encoded(_street(chance)),
    "street in entities": lambda chance: html.escape(_street(chance)).replace(" ", "&nbsp;"),
    "coordinates": lambda chance: "{}, {}".format(*_coordinates(chance)),
    "coordinates close together": lambda chance: "{},{}".format(*_coordinates(chance)),
    "degrees": _degrees,
    "grid reference": lambda chance: _grid(chance, 5, " "),
    "grid reference of six": lambda chance: _grid(chance, 3, ""),
    "plus code": _plus_code,
    "short plus code": lambda chance: _plus_code(chance)[4:],
    "what3words": lambda chance: "///" + _three_words(chance),
    "what3words by name": lambda chance: "what3words " + _three_words(chance),
    "second half of a postcode that is a unit": _ending,
    "postcode with a figure in words": _in_words,
    "postcode with a small l": lambda chance: f"{_halves(chance)[0]} l{_halves(chance)[1][1:]}",
    "postcode in base64 of Latin-1": lambda chance: base64.urlsafe_b64encode(
        f"{_postcode(chance)}, so she says ÿþ".encode("latin-1")
    ).decode(),
    "street in hexadecimal": lambda chance: "0x" + _street(chance).encode().hex(),
    "street in groups of hexadecimal": lambda chance: (
        _street(chance).encode().hex(chance.choice(" :-"), chance.choice((1, 2)))
    ),
    "street in quoted-printable": lambda chance: _street(chance).replace(" ", "=20"),
    "street in octal": lambda chance: _letters_as_octal(_street(chance)),
    "street in braces": lambda chance: "".join(f"\\u{{{ord(one):x}}}" for one in _street(chance)),
    "postcode in Lisu": lambda chance: _postcode(chance).translate(_LISU),
    "postcode in Cyrillic and Cherokee": lambda chance: (
        _postcode(chance).translate(_CYRILLIC).translate(_CHEROKEE)
    ),
    "grid reference in metres": _metres,
    "grid reference letter by letter": lambda chance: " ".join(_grid(chance, 3, "")),
    "coordinates of few decimals": _few_decimals,
    "coordinates of ISO 6709": _iso_6709,
    "degrees in figures alone": _bare_degrees,
    "plus code with spaces": _plus_code_apart,
    "what3words apart": _spaced,
    "UPRN in groups": _property_in_groups,
    "link to where somebody is": _shared,
    "UPRN": lambda chance: f"UPRN {chance.randint(10**9, 10**12 - 1)}",
    "link to a map": _link,
} | street_texts.SPELLINGS


def _two_letters(chance: random.Random) -> tuple[str, str]:
    halves = _halves(chance)
    return halves if halves[0][:2].isalpha() else _two_letters(chance)


def _day(chance: random.Random) -> str:
    day, month = chance.randint(1, 28), chance.randint(1, 12)
    names = "January February March April May June July August September October November December"
    return chance.choice(
        (
            f"{day}/{month:02}/2026",
            f"{day}.{month}.26",
            f"2026-{month:02}-{day:02}",
            f"{day} {names.split()[month - 1]} 2026",
            f"the {day}th of {names.split()[month - 1]}",
        )
    )


def _hour(chance: random.Random) -> str:
    hour, minute = chance.randint(0, 23), chance.randint(0, 59)
    return chance.choice(
        (
            f"{hour:02}:{minute:02}",
            f"{hour % 12 + 1}.{minute:02}pm",
            f"{hour % 12 + 1}am",
            f"{hour:02}{minute:02} hours",
        )
    )


_HARMLESS: Final[dict[str, Callable[[random.Random], str]]] = {
    "date": lambda chance: f"He was arrested on {_day(chance)} and bailed.",
    "time": lambda chance: f"She rang at {_hour(chance)} and again at {_hour(chance)}.",
    "age": lambda chance: (
        f"She is {chance.randint(16, 90)}, he is {chance.randint(18, 90)}, the child is {chance.randint(1, 15)}."
    ),
    "score": lambda chance: (
        f"DASH {chance.randint(10, 24)} of 27, {chance.randint(1, 4)} critical, S-DASH {chance.randint(1, 11)}/11."
    ),
    "mobile": lambda chance: (
        f"Do not ring 07700 900{chance.randint(100, 999)} or +44 (0)7700 900{chance.randint(100, 999)}."
    ),
    "landline": lambda chance: (
        f"Desk: 01632 960{chance.randint(100, 999)} ext {chance.randint(10, 999)}."
    ),
    "log": lambda chance: (
        f"Log {chance.randint(10, 999)} of {_day(chance)}, CAD {chance.randint(1000, 9999)}/{chance.randint(10, 28)}NOV26."
    ),
    "crime": lambda chance: (
        f"Crime NP/26/{chance.randint(100000, 999999)}, see also NP-2026-{chance.randint(100000, 999999)}."
    ),
    "reference": lambda chance: (
        f"Your ref {chance.choice(('AB', 'NE', 'SW', 'CT'))}{chance.randint(10, 99)}/{chance.randint(100, 999)}, exhibit {chance.choice(('RM', 'DL'))}{chance.randint(1, 9)}."
    ),
    "dose": lambda chance: (
        f"Sertraline {chance.choice((25, 50, 100))}mg daily, then {chance.randint(1, 9)}.{chance.randint(1, 9)} ml of {chance.randint(2, 9)}00 mcg."
    ),
    "money": lambda chance: (
        f"He took £{chance.randint(10, 999)}.{chance.randint(10, 99)} and owes £{chance.randint(1, 9)},{chance.randint(100, 999)}.00, in all {chance.randint(20, 900)} pounds."
    ),
    "NHS number": lambda chance: (
        f"NHS 999 {chance.randint(100, 999)} {chance.randint(1000, 9999)}."
    ),
    "insurance number": lambda chance: (
        f"NI number QQ {chance.randint(10, 99)} {chance.randint(10, 99)} {chance.randint(10, 99)} C."
    ),
    "number plate": lambda chance: (
        f"Silver Golf, {chance.choice(('NK', 'YT', 'BD'))}{chance.randint(51, 75)} {''.join(chance.choice('ABDEFGHJ') for _ in range(3))}, seen twice."
    ),
    "officer": lambda chance: (
        f"PC {chance.randint(100, 9999)} Wintle and DC {chance.randint(10, 999)} Corran attended."
    ),
    "section": lambda chance: (
        f"Charged under s.{chance.choice((18, 20, 39, 47))} and S{chance.choice((4, 5, 76))}; s{chance.choice((42, 47))} enquiry open."
    ),
    "road number": lambda chance: (
        f"Stopped on the {chance.choice(('M', 'A'))}{chance.randint(1, 69)} at junction {chance.randint(1, 40)}."
    ),
    "count": lambda chance: (
        f"{chance.randint(2, 40)} {chance.choice(('calls', 'texts', 'visits', 'messages'))} in {chance.randint(2, 14)} {chance.choice(('days', 'weeks', 'hours'))}, {chance.randint(2, 9)} close together."
    ),
    "distance": lambda chance: (
        f"He lives {chance.randint(2, 90)} miles off, a {chance.randint(5, 55)} minute drive; order says {chance.choice((100, 200, 500))} metres."
    ),
    "measure": lambda chance: (
        f"About {chance.randint(5, 6)}ft {chance.randint(1, 11)}, {chance.randint(60, 110)}kg, temperature {chance.randint(36, 39)}.{chance.randint(0, 9)}°C."
    ),
    "thing": lambda chance: (
        f"He has {chance.choice(('an AK47 replica', 'a PS5', 'a 4WD', 'an MP3 player', 'a 2TB drive', 'a CO2 canister'))} and {chance.randint(2, 9)} knives."
    ),
    "mail": lambda chance: (
        f"Write to {chance.choice(('desk', 'duty', 'safeguarding.desk'))}{chance.randint(1, 99)}@police.example.org or see www.example.org/help/{chance.randint(1, 99)}."
    ),
    "list": lambda chance: (
        f"Items {chance.randint(1, 9)}, {chance.randint(10, 19)} and {chance.randint(20, 29)} answered yes; version {chance.randint(1, 3)}.{chance.randint(0, 9)}.{chance.randint(0, 9)}."
    ),
    "row of numbers": lambda chance: (
        f"Logs {chance.randint(100000, 299999)}, {chance.randint(300000, 499999)}; exhibits {chance.randint(1, 9)} {chance.randint(10, 19)} {chance.randint(20, 29)}."
    ),
    "end": lambda chance: (
        f"The order ends {chance.randint(4, 9)}TH {chance.choice(('MARCH', 'JUNE'))}; her lease ended 1ST MAY; finished {chance.choice(('1st', '2nd', '3rd'))}."
    ),
    "sum": lambda chance: (
        f"He paid £{chance.randint(10, 90)} + £{chance.randint(10, 90)}, so {chance.randint(1000, 9999)} + {chance.randint(10, 99)} and {chance.randint(1, 9)}hr + {chance.randint(10, 50)} min."
    ),
    "size": lambda chance: (
        f"In one {chance.randint(2, 9)}ft box, so two {chance.randint(2, 9)}kg bags, to six {chance.randint(2, 9)}yr olds; {chance.randint(10, 60)}.{chance.randint(10, 99)} and {chance.randint(1, 9)}.{chance.randint(10, 99)}."
    ),
    "escape": lambda chance: (
        f"See file C:\\{chance.randint(100, 377)}\\reports and a={chance.randint(10, 99)}, b=={chance.randint(10, 99)}; he said I {chance.randint(100000, 999999)} times."
    ),
    "court": lambda chance: (
        f"{chance.choice(('Crown', 'Family', 'Magistrates'))} Court on {_day(chance)}, room {chance.randint(1, 12)}, case {chance.randint(1000, 9999)}."
    ),
}


def kinds() -> Iterator[str]:
    """Name every kind of place there is a spelling for."""
    yield from _SPELLINGS
