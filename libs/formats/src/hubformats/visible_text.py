"""What a person can see of a text, and how what cannot be seen is written out.

Control and bidirectional characters steer a terminal or a page. They can rewrite a line that stands
above, or turn a number round (Unicode Technical Reports 36 and 55). `visible` writes each as its
code point, such as ⟨U+202E⟩. It stands before every display, and before free text is stored."""

import re
import unicodedata
from functools import cache
from typing import Final

_NAMED: Final = 100
"""So many are written out by code point; the rest of the same text is one sign each.

A text made of nothing else would otherwise grow beyond what a package holds.
"""
_UNNAMED: Final = "\N{REPLACEMENT CHARACTER}"

_BLANK: Final = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2065\u2800\u3164\uffa0"
    "\U00016fe4\U0001d159"
    + "".join(map(chr, range(0xFE00, 0xFE10)))
    + "".join(map(chr, range(0xFFF0, 0xFFF9)))
    + "".join(map(chr, range(0xE0000, 0xE1000)))
)
"""Drawn as nothing, and yet no format characters: fillers, variation selectors, empty Braille, a
note without a head, and code points that Unicode keeps for more of the kind."""
_SEEN: Final = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2\U000110bd\U000110cd"
)
"""Format characters that are drawn: signs before Arabic, Syriac and Kaithi numbers."""
_JOINERS: Final = frozenset("\u200c\u200d")
_JOINING_SCRIPTS: Final = re.compile(
    r"[\u0620-\u0dff\u1000-\u109f\u1780-\u17ff\ufb50-\ufdff\ufe70-\ufefc]"
)
"""Arabic to Sinhala, Burmese and Khmer: names written in them need joiners between letters."""
_BREAKS: Final = re.compile("\r\n?")
_DOUBTFUL: Final = re.compile(r"[^ -~\xa1-\xac\xae-\u02ff]")
"""Everything but what is certainly drawn; only these are looked at one by one."""

_WRITTEN: Final = re.compile("⟨U\\+[0-9A-F]{4,6}⟩")


def visible(text: str, *, lines: bool = False, named: int | None = _NAMED) -> str:
    """Write out what cannot be seen, each as its code point.

    With `lines`, line breaks and tabs stay as they are, each break as one line feed. After `named`
    of them the rest are one sign each; None names all.
    """
    if lines:
        text = _BREAKS.sub("\n", text)
    found = 0

    def write(match: re.Match[str]) -> str:
        nonlocal found
        if not _steers(match, lines=lines):
            return match[0]
        found += 1
        return f"⟨U+{ord(match[0]):04X}⟩" if named is None or found <= named else _UNNAMED

    return _DOUBTFUL.sub(write, text)


def bare(text: str) -> str:
    """Take out what cannot be seen and what `visible` wrote for it.

    What looks for a number or a place in a text must find it with such characters inside, too.
    """
    seen = _DOUBTFUL.sub(
        lambda match: "" if _steers(match, lines=True) else match[0], blanked(text, "")
    )
    return seen.replace(_UNNAMED, "")


def blanked(text: str, filler: str = " ") -> str:
    """Put `filler` for each character that `visible` wrote: with one of them places stay."""
    return _WRITTEN.sub(lambda match: filler * len(match[0]), text) if "⟨" in text else text


def is_plain(text: str) -> bool:
    """Tell whether a text is one line of which everything can be seen."""
    return not any(_steers(match, lines=False) for match in _DOUBTFUL.finditer(text))


def is_seen(text: str) -> bool:
    """Tell whether a person sees anything of it: a letter, a digit, a sign."""
    return any(not is_hidden(one) and unicodedata.category(one)[0] not in "ZM" for one in text)


def visible_json(text: str) -> str:
    """Write the same characters of a JSON text as JSON's own escapes: every value stays the same.

    A program reads what was sent; a terminal that shows it is not steered.
    """
    return _DOUBTFUL.sub(
        lambda match: _escape(match[0]) if _steers(match, lines=True) else match[0], text
    )


def _steers(match: re.Match[str], *, lines: bool) -> bool:
    """Tell whether this character is hidden where it stands."""
    one = match[0]
    if not is_hidden(one) or (lines and one in "\n\t"):
        return False
    if one not in _JOINERS:
        return True
    start, end = match.span()
    around = (match.string[max(0, start - 1) : start], match.string[end : end + 1])
    return not all(_JOINING_SCRIPTS.fullmatch(side) for side in around)


@cache
def is_hidden(one: str) -> bool:
    """Tell whether nobody sees this character: a control, a format character, or a blank one."""
    if one in _BLANK:
        return True
    return unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and one not in _SEEN


def _escape(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
