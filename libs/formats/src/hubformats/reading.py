"""How a text reads, whatever it is written with: look-alike letters, full width, characters nobody
sees, and the usual encodings."""

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from hubformats.visible_text import blanked, is_hidden

_GONE: Final = "\0"
_WIDEST: Final = 4
"""Letters that one character is taken for at most; some Arabic ones stand for a sentence."""
_DEEPEST: Final = 3
"""So many times an encoding is undone, such as a link inside a link."""

_LOOKALIKES: Final = dict(
    zip(
        # Cyrillic, Greek, Armenian and small capitals that a reader takes for Latin letters
        # (Unicode Technical Standard 39, confusables).
        "АВСЕНІЈКМОРЅТХУԚԜавсенієјкморѕтхуԛԝһԁɡԛΑΒΕΖΗΙΚΜΝΟΡΤΥΧανικορτυχօսոհ"
        "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢı",
        "abcehijkmopstxyqwabcehiejkmopstxyqwhdgqabezhikmnoptyxavikoptuxounh"
        "abcdefghijklmnoprstuvwyzi",
        strict=True,
    )
)
_ROWS: Final = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
"""Where the alphabets in squares and circles and of flags begin that Unicode does not decompose."""

_WRITTEN: Final = re.compile(
    r"(?P<percent>(?:%[0-9A-Fa-f]{2})+)"
    r"|(?P<entity>&(?:\#\d{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,31});?)"
    r"|\\u(?P<unicode>[0-9A-Fa-f]{4})|\\x(?P<byte>[0-9A-Fa-f]{2})"
)
_PACKED: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{8,}={0,2}")
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2}){5,}")


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a text: small letters in `text`, and the characters they were in `raw`.

    The character at each place of `text` was read from `first` to `last` of the source.
    """

    text: str
    raw: str
    first: Sequence[int]
    last: Sequence[int]


def readings(source: str) -> Iterator[Reading]:
    """Read a text as it stands, and as it reads with each encoding in it undone."""
    yield _read(source, range(len(source)), range(1, len(source) + 1))
    if source[1:].islower() and source.isalpha():
        return
    if "%" in source or "&" in source or "\\" in source:
        yield from _undone(source)
    for found in _PACKED.finditer(source):
        packed = found[0]
        # An ordinary word, a number or a day is nothing packed.
        if packed[1:].islower() and not _HEX.fullmatch(packed):
            continue
        if packed.upper() == packed.lower():
            continue
        for text in _unpacked(packed):
            size = len(text)
            yield _read(text, [found.start()] * size, [found.end()] * size)


def folded(text: str) -> str:
    """Fold a text to small letters and digits, as `readings` has them."""
    return text.lower() if text.isascii() else "".join(map(_fold, blanked(text, _GONE)))


def _read(text: str, first: Sequence[int], last: Sequence[int]) -> Reading:
    if text.isascii():
        return Reading(text.lower(), text, first, last)
    pieces = [
        (letter, one, place)
        for place, one in enumerate(blanked(text, _GONE))
        for letter in _fold(one)
    ]
    return Reading(
        "".join(letter for letter, _, _ in pieces),
        "".join(one for _, one, _ in pieces),
        [first[place] for _, _, place in pieces],
        [last[place] for _, _, place in pieces],
    )


@cache
def _fold(one: str) -> str:
    """Return what a reader takes a character for; empty for one that nobody sees."""
    if one == _GONE or (one not in "\n\t\r" and is_hidden(one)):
        return ""
    if one in _LOOKALIKES:
        return _LOOKALIKES[one]
    for row in _ROWS:
        if row <= ord(one) < row + 26:
            return chr(ord("a") + ord(one) - row)
    parts = unicodedata.normalize("NFKD", one.casefold())[:_WIDEST]
    return "".join(
        str(unicodedata.decimal(part)) if part.isdecimal() else _LOOKALIKES.get(part, part)
        for part in parts
        if not unicodedata.combining(part)
    ).lower()


def _undone(source: str) -> Iterator[Reading]:
    text, first, last = source, list(range(len(source))), list(range(1, len(source) + 1))
    for _ in range(_DEEPEST):
        pieces: list[tuple[str, int, int]] = []
        end = 0
        for found in _WRITTEN.finditer(text):
            pieces += zip(
                text[end : found.start()],
                first[end : found.start()],
                last[end : found.start()],
                strict=True,
            )
            start, end = found.span()
            pieces += [(one, first[start], last[end - 1]) for one in _plain(found)]
        if not end:
            return
        pieces += zip(text[end:], first[end:], last[end:], strict=True)
        text = "".join(one for one, _, _ in pieces)
        first, last = [each[1] for each in pieces], [each[2] for each in pieces]
        yield _read(text, first, last)


def _plain(found: re.Match[str]) -> str:
    if found["percent"]:
        return bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace")
    if found["entity"]:
        return html.unescape(found[0])
    return chr(int(found["unicode"] or found["byte"], 16))


def _unpacked(packed: str) -> Iterator[str]:
    """Read base64, its URL form and hexadecimal, where a text comes of it."""
    if _HEX.fullmatch(packed):
        yield from _texts(bytes.fromhex(packed))
    plain = packed.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        made = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return
    yield from _texts(made)


def _texts(made: bytes) -> Iterator[str]:
    for coding in ("utf-8", "utf-16-le"):
        try:
            text = made.decode(coding)
        except UnicodeDecodeError:
            continue
        if text.isprintable() and (coding == "utf-8" or text.isascii()):
            yield text
            return
