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
from typing import Final, NamedTuple

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
        "ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢı"
        "ԌЬҽѵѴѡүҮгӏӀϲϹϜϳͿϺσγքգռզՏաłøđħŧɨƀɖɗƙƥƭɑʋɩ"
        # Lisu, Cherokee (its small letters fold to these), Coptic and Canadian syllabics.
        "ꓮꓐꓚꓒꓓꓰꓝꓖꓧꓲꓙꓗꓡꓟꓠꓳꓑꓣꓢꓔꓴꓦꓪꓫꓬꓜ"
        "ᎪᏏᏴᏟᎠᏧᎬᏀᏳᏂᎻᎥᎫᏦᏞᎷᏢᎡᏒᏕᏚᎢᏌᏙᎳᏔᎩᎽᏃᏎᏮ"
        "ⲥⲏⲓⲕⲙⲛⲟⲣⲧⲭⲩⳑᗅᑲᗷᑯᗞᗪᖴᕼᒍᒪᗰᑭᖇᑌᐯ",
        "abcehijkmopstxyqwabcehiejkmopstxyqwhdgqabezhikmnoptyxavikoptuxounh"
        "abcdefghijklmnoprstuvwyzi"
        "gbevvwyyrllccfjjmoyfgnqswlodhtibddkptavi"
        "abcddefghijklmnoprstuvwxyz"
        "abbcddegghhijklmprrsstuvwwyyz46"
        "chikmnoptxylabbdddfhjlmpruv",
        strict=True,
    )
)
_ROWS: Final = (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)
"""Where the alphabets in squares and circles and of flags begin that Unicode does not decompose."""

_WRITTEN: Final = re.compile(
    r"(?P<bytes>(?:%[0-9A-Fa-f]{2})+|(?:=[0-9A-Fa-f]{2})+)"
    r"|(?P<entity>&(?:\#\d{1,7}|\#[xX][0-9A-Fa-f]{1,6}|[A-Za-z]{2,31});?)"
    r"|(?:[\\%]u|\\U0{4}|\b[Uu]\+)(?P<unicode>[0-9A-Fa-f]{4})|\\x(?P<byte>[0-9A-Fa-f]{2})"
    r"|\\[ux]\{(?P<braced>[0-9A-Fa-f]{1,5})\}|\\(?P<octal>[0-3]?[0-7]{2})"
    r"|(?P<broken>=\r?\n)"
)
_MARKS: Final = ("%", "&", "\\", "=", "U+", "u+")
"""One of them stands in every text in which something is written so."""
_PACKED: Final = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{8,}={0,2}")
_PIECE: Final = re.compile(r"(?<![A-Za-z0-9])[A-Za-z0-9]{8,}={0,2}")
"""Part of such a word, as behind the stroke of a link."""
_HEX: Final = re.compile(r"(?:0[xX])?((?:[0-9A-Fa-f]{2}){5,})")
_DUMP: Final = re.compile(
    r"(?<![0-9A-Za-z])(?:0[xX])?(?:[0-9A-Fa-f]{2}){1,8}"
    r"(?:[ :,.-]{1,2}(?:0[xX])?(?:[0-9A-Fa-f]{2}){1,8}){3,}(?![0-9A-Za-z])"
)
"""Hexadecimal in groups, as in “4c 61 72 6b”."""
_FIGURES: Final = re.compile(
    r"(?<![^\W_])[\dOoIl](?:[ ().-]{0,2}[\dOoIl]){5,}(?![^\W_])",
)
"""What is read as figures if it has six and more of them, as in “07700 9OO123”."""
_MEANT: Final = str.maketrans("OoIl", "0011")
_LEAST_FIGURES: Final = 6
_MOSTLY: Final = 0.8
"""Share of plain letters in what is taken for a text of one byte for each letter."""
_BLANKS: Final = str.maketrans("\r\n\t", "   ", "\ufeff")


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
    first, last = range(len(source)), range(1, len(source) + 1)
    yield _read(source, first, last)
    if source[1:].islower() and source.isalpha():
        return
    figures = _FIGURES.sub(_as_figures, source)
    if figures != source:
        yield _read(figures, first, last)
    yield from _undone(_Layer(source, first, last), _DEEPEST, set())


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


class _Layer(NamedTuple):
    """A text that came of undoing, and where in the source its characters were."""

    text: str
    first: Sequence[int]
    last: Sequence[int]


def _undone(layer: _Layer, deep: int, done: set[tuple[int, int, str]]) -> Iterator[Reading]:
    """Read what comes of undoing, so many layers deep; what is packed in `done` was read."""
    if not deep:
        return
    plainer = _plainer(layer)
    for under in (*_inside(layer, done), *([] if plainer is None else [plainer])):
        yield _read(*under)
        yield from _undone(under, deep - 1, done)


def _plainer(layer: _Layer) -> _Layer | None:
    """Undo what is written with signs; None where nothing is."""
    text, first, last = layer
    if not any(mark in text for mark in _MARKS):
        return None
    pieces: list[tuple[str, int, int]] = []
    end = 0
    for found in _WRITTEN.finditer(text):
        before = slice(end, found.start())
        pieces += zip(text[before], first[before], last[before], strict=True)
        start, end = found.span()
        pieces += [(one, first[start], last[end - 1]) for one in _plain(found)]
    if not end:
        return None
    pieces += zip(text[end:], first[end:], last[end:], strict=True)
    return _Layer(
        "".join(one for one, _, _ in pieces),
        [each[1] for each in pieces],
        [each[2] for each in pieces],
    )


def _inside(layer: _Layer, done: set[tuple[int, int, str]]) -> Iterator[_Layer]:
    """Unpack each word that is a text in itself, and each row of hexadecimal groups."""
    for pattern in (_PACKED, _PIECE, _DUMP):
        for found in pattern.finditer(layer.text):
            packed = found[0]
            start, end = layer.first[found.start()], layer.last[found.end() - 1]
            # An ordinary word, a number or a day is nothing packed.
            ordinary = packed[1:].islower() and not _HEX.fullmatch(packed)
            if pattern is not _DUMP and (ordinary or packed.upper() == packed.lower()):
                continue
            if (start, end, packed) in done:
                continue
            done.add((start, end, packed))
            for text in _dumped(packed) if pattern is _DUMP else _unpacked(packed):
                yield _Layer(text, [start] * len(text), [end] * len(text))


def _as_figures(found: re.Match[str]) -> str:
    enough = sum(one.isdigit() for one in found[0]) >= _LEAST_FIGURES
    return found[0].translate(_MEANT) if enough else found[0]


def _plain(found: re.Match[str]) -> str:
    if found["bytes"]:
        return bytes.fromhex(re.sub("[%=]", "", found[0])).decode("utf-8", "replace")
    if found["entity"]:
        return html.unescape(found[0])
    if found["octal"]:
        return chr(int(found["octal"], 8))
    code = found["unicode"] or found["byte"] or found["braced"]
    return chr(int(code, 16)) if code else ""


def _unpacked(packed: str) -> Iterator[str]:
    """Read base64, its URL form and hexadecimal, where a text comes of it."""
    whole = _HEX.fullmatch(packed)
    if whole is not None:
        yield from _texts(bytes.fromhex(whole[1]))
    plain = packed.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        made = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return
    yield from _texts(made)


def _dumped(packed: str) -> Iterator[str]:
    return _texts(bytes.fromhex(re.sub(r"0[xX]|[^0-9A-Fa-f]", "", packed)))


def _texts(made: bytes) -> Iterator[str]:
    """Read bytes as a text, in the first coding in which they are one."""
    for coding in ("utf-8", "utf-16-le", "utf-16-be", "latin-1"):
        try:
            text = made.decode(coding).translate(_BLANKS)
        except UnicodeDecodeError:
            continue
        if text.isprintable() and _is_likely(text, coding):
            yield text
            return


def _is_likely(text: str, coding: str) -> bool:
    if coding == "latin-1":
        return sum(one.isascii() for one in text) >= _MOSTLY * len(text)
    return coding == "utf-8" or text.isascii()
