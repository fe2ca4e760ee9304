"""Invented streets for the corpus of `place_texts`, and harmless sentences that look like one.

The kinds of street are written down here and taken from no list of the hub's, so that a kind the
hub does not know is seen as missed.
"""

import random
from collections.abc import Callable, Iterator
from typing import Final

NAMES: Final = (
    "Larkspur",
    "Tannery",
    "Ossuary",
    "Upper Thistledown",
    "St Aldhelm's",
    "Corran",
    "Wintle",
    "Castle",
)
PLAIN: Final = (
    "Wynd Road Street Close Lane Avenue Terrace Court Mews Drive Crescent Gardens Grove Parade "  # noqa: SIM905
    "Boulevard Esplanade Promenade Quay Wharf Rd Ave Ln Cres Gdns Blvd".split()
)
"""Kinds that mean a street in small letters, too."""
_MORE: Final = """
Way Hill Bank End Mount Gate View Yard Side Path Place Square Row Rise Walk Green Park
Meadow Meadows Field Fields Orchard Farm Common Circus Passage Alley Approach Link Chase
Dene Dale Copse Wood Bridge Cross Corner Mill Hall Reach Ridge Spinney Grange Lea Nook
Pastures Towers Brae Loan Hey Vale Broadway Garth Fold Croft Villas Cottages Buildings
Mansions Heights House Steps Brow Paddock Top Lodge Drift Dell Glade Hollow Haven Heath Moor
Knoll Mead Embankment Causeway Arcade Ridgeway Cloisters Courtyard Ginnel Snicket Entry Ride
Lawns Lawn Barns Barn Manor Priory Gables Estate Precinct Quays Shore Cliff Weir Lock Fen
Moss Parks Plain Butts Rake Bottom Gait Acre Acres Trees Wells Waters Quarry Quadrant Oval
Point Island Hurst Holt Plaza Av Ter Terr Tce Gr Wlk Gdn Crt Cr Str Cresc Bldgs Sq Pl Cl Ct
Dr
"""
KINDS: Final = (
    *PLAIN,
    *_MORE.split(),
    "Beck Side",
    "Bank Top",
    "Mill Brow",
    "Hill Rise",
)
WELSH: Final = ("Heol Fawr", "Ffordd y Môr", "Maes y Coed", "Rhodfa'r Graig", "Stryd Fechan")
ALONE: Final = ("Strand", "Broadway", "Piccadilly", "The Paddock", "The Wynd", "The Crescent")
IN_WORDS: Final = (
    "seventeen",
    "a hundred and four",
    "twenty-three",
    "sixty two",
    "eleven",
    "one hundred and nine",
)


def every_kind(chance: random.Random) -> Iterator[str]:
    """Yield one house for each kind of street there is."""
    for kind in KINDS:
        yield f"{chance.randint(1, 220)} {chance.choice(NAMES)} {kind}"


def _plain(chance: random.Random) -> str:
    return f"{chance.choice(NAMES[:-1])} {chance.choice(PLAIN)}"


SPELLINGS: Final[dict[str, Callable[[random.Random], str]]] = {
    "number in words": lambda chance: (
        f"{chance.choice(IN_WORDS)} {chance.choice(NAMES)} {chance.choice(KINDS)}"
    ),
    "number and street in small letters": lambda chance: (
        f"{chance.choice(IN_WORDS)} {_plain(chance)}".lower()
    ),
    "letter apart": lambda chance: f"{chance.randint(1, 90)} a {_plain(chance)}".lower(),
    "number and street together": lambda chance: (
        f"{chance.randint(1, 90)}{chance.choice(NAMES[:3:2])}{chance.choice(KINDS[:10])}"
    ),
    "number and name together": lambda chance: (
        f"{chance.randint(1, 90)}{chance.choice(NAMES[:3])} {chance.choice(KINDS)}"
    ),
    "street of one word": lambda chance: f"{chance.randint(1, 90)} {chance.choice(ALONE)}",
    "Welsh street": lambda chance: f"{chance.randint(1, 90)} {chance.choice(WELSH)}",
    "kind on no list": lambda chance: (
        f"{chance.choice(('fled to', 'lives at', 'outside', 'come from'))} {chance.randint(1, 90)} "
        f"{chance.choice(NAMES)} {chance.choice(('Lough', 'Cwtch', 'Howe', 'Kirkgait'))}"
    ),
    "flat in words": lambda chance: (
        f"{chance.choice(('flat', 'apartment', 'Flat'))} {chance.choice(('three', 'twelve', 'two'))}"
    ),
    "flat by number": lambda chance: (
        f"Flat {chance.choice(('no', 'No.', 'number'))} {chance.randint(1, 40)}"
    ),
}

_HOUR: Final = ("three", "two", "four", "nine")

HARMLESS: Final[dict[str, Callable[[random.Random], str]]] = {
    "way": lambda chance: (
        f"There are {chance.randint(2, 4)} {chance.choice(('way out', 'hill walks', 'bank cards', 'farm dogs'))}"
        f" and a {chance.choice(('one', 'two'))} way street."
    ),
    "flat and count": lambda chance: (
        f"He left her flat {chance.choice(_HOUR)} {chance.choice(('times', 'days ago', 'hours later'))}."
    ),
    "quiet streets": lambda chance: (
        f"Seen on {chance.choice(('two', 'three'))} {chance.choice(('quiet', 'dark'))} street corners"
        f" at {chance.randint(1, 12)}, a busy road."
    ),
    "hour and surname": lambda chance: (
        f"At {chance.randint(1, 12)} {chance.choice(('PC', 'Mr', 'Ms', 'DS'))} "
        f"{chance.choice(('Hill', 'Wood', 'Bridge', 'Field'))} rang."
    ),
    "collar and surname": lambda chance: (
        f"PC {chance.randint(100, 4000)} Anna {chance.choice(('Hill', 'Wood', 'Dale'))} attended."
    ),
    "month": lambda chance: (
        f"On {chance.randint(1, 28)} {chance.choice(('May', 'August', 'December'))} "
        f"{chance.choice(('Bank Holiday', 'End of term', 'Court'))} he rang."
    ),
    "year": lambda chance: f"In {chance.randint(1990, 2026)} Barclays Bank closed his account.",
    "short journey": lambda chance: (
        f"A {chance.randint(5, 40)} minute drive, then {chance.randint(5, 20)}mins walk at "
        f"{chance.randint(20, 60)}mph down the road."
    ),
    "crossing": lambda chance: (
        f"At {chance.randint(1, 12)} he crossed the bridge, by the mill, to the far end of the yard."
    ),
    "assault": lambda chance: (
        f"She was hit {chance.randint(2, 9)} times on the left side; {chance.randint(2, 9)} dark marks,"
        f" {chance.choice(_HOUR)} broken ribs, no way back."
    ),
    "from and to": lambda chance: (
        f"Calls rose from {chance.randint(1, 9)} on Monday to {chance.randint(10, 30)} on Friday; "
        f"risk went from {chance.randint(5, 13)} Standard Risk to {chance.randint(14, 24)} High."
    ),
    "people": lambda chance: (
        f"{chance.choice(('Jane Hill', 'Anna Wood', 'Wren Dale'))} and {chance.randint(2, 5)} others"
        " were seen on the top floor of the town hall."
    ),
}
