"""Looks for seeded personal values in everything a hub leaves behind, in every encoding of design
section 11.

A search that finds nothing proves nothing until a planted value shows that it can find one: see
`planted`.
"""

import base64
import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import psycopg
from ahocorasick_rs import BytesAhoCorasick

SHORTEST = 6
"""Characters below which a value is too common to search for."""

PUBLIC = frozenset({"northmoor", "northmoor east", "northmoor west"})
"""Values of the example that name the area itself and stand in every agency's id."""


_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_POSTCODE: Final = re.compile(r"[A-Z]{1,2}\d[A-Z\d]? \d[A-Z]{2}")
_SPACING: Final = re.compile(r"[\s().-]")


@dataclass(frozen=True, slots=True)
class Leak:
    """Where a value was found and as what; never the value itself."""

    place: str
    label: str
    encoding: str


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Every encoding of a value worth looking for."""
    for text_label, text in {
        "as is": value,
        "lower": value.lower(),
        "upper": value.upper(),
    }.items():
        utf8 = text.encode()
        yield f"utf-8 {text_label}", utf8
        yield f"utf-16-le {text_label}", text.encode("utf-16-le")
        yield f"utf-16-be {text_label}", text.encode("utf-16-be")
        yield f"json escaped {text_label}", text.encode("ascii", "backslashreplace")
        yield f"hex {text_label}", utf8.hex().encode()
        yield f"hex upper {text_label}", utf8.hex().upper().encode()
        for offset in range(3):
            yield f"base64+{offset} {text_label}", _inner_base64(utf8, offset, urlsafe=False)
            yield f"base64url+{offset} {text_label}", _inner_base64(utf8, offset, urlsafe=True)
        for name in ("sha256", "sha1", "md5", "sha512"):
            digest = hashlib.new(name, utf8).digest()
            yield f"{name} {text_label}", digest
            yield f"{name} hex {text_label}", digest.hex().encode()
            yield f"{name} base64 {text_label}", base64.b64encode(digest).rstrip(b"=")
            yield f"{name} base64url {text_label}", base64.urlsafe_b64encode(digest).rstrip(b"=")


def _inner_base64(data: bytes, offset: int, *, urlsafe: bool) -> bytes:
    """The base64 characters that depend on `data` alone when it begins `offset` bytes into a group
    of three.
    """
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    text = encode(b"\0" * offset + data)
    start = 0 if offset == 0 else (2 if offset == 1 else 3)
    whole = (offset + len(data)) // 3 * 4
    return text[start:whole]


class Needles:
    """A set of labelled values with all their encodings, made once."""

    def __init__(self, values: Mapping[str, str]) -> None:
        seen: dict[bytes, tuple[str, str]] = {}
        for label, value in values.items():
            if len(value) < SHORTEST or value.lower() in PUBLIC:
                continue
            for encoding, needle in forms(value):
                if len(needle) >= SHORTEST:
                    seen.setdefault(needle, (label, encoding))
        self._labels = list(seen.values())
        # One pass over the data for all needles: a broker's folder and a database cluster are
        # hundreds of megabytes.
        self._search = BytesAhoCorasick(list(seen))

    def in_bytes(self, place: str, data: bytes) -> Iterator[Leak]:
        """Every needle found in `data`, once each."""
        for number in sorted(
            {match[0] for match in self._search.find_matches_as_indexes(data, overlapping=True)}
        ):
            yield Leak(place, *self._labels[number])

    def in_postgres(self, url: str) -> list[Leak]:
        """Search every column of every table as a query reads it: values over some 2 KB lie
        compressed in the server's files.
        """
        found: list[Leak] = []
        with psycopg.connect(url) as connection:
            listed = (
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE "
                "schemaname NOT IN ('pg_catalog', 'information_schema')"
            )
            for (table,) in connection.execute(listed).fetchall():
                # Quoted by the server itself
                query = f"COPY (SELECT t::text FROM {table} t) TO STDOUT"  # noqa: S608
                with connection.cursor().copy(query) as rows:
                    data = b"".join(bytes(row) for row in rows)
                found.extend(self.in_bytes(f"table {table}", data))
        return found

    def in_tree(self, root: Path, *, leave_out: Iterable[Path] = ()) -> list[Leak]:
        """Search every file under `root`, names included."""
        left_out = [path.resolve() for path in leave_out]
        found: list[Leak] = []
        for path in sorted(root.rglob("*")):
            resolved = path.resolve()
            if any(resolved == out or out in resolved.parents for out in left_out):
                continue
            found.extend(self.in_bytes(f"name of {path.parent}", str(path.name).encode()))
            if path.is_file():
                for piece in _pieces(path):
                    found.extend(self.in_bytes(str(path), piece))
        return found


_PIECE: Final = 16 * 1024 * 1024
_OVERLAP: Final = 64 * 1024  # longer than any needle, so that none is cut in two


def _pieces(path: Path) -> Iterator[bytes]:
    """A file in overlapping pieces, its holes left out: a broker's index files are ten megabytes of
    nothing each.
    """
    with path.open("rb") as file:
        handle, size, start = file.fileno(), path.stat().st_size, 0
        while start < size:
            try:
                start = os.lseek(handle, start, os.SEEK_DATA)
            except OSError:
                return  # only a hole is left
            end = min(os.lseek(handle, start, os.SEEK_HOLE), start + _PIECE)
            yield os.pread(handle, end - start + _OVERLAP, max(0, start - _OVERLAP))
            start = end


def seeded_values(form: Mapping[str, Any]) -> dict[str, str]:
    """Names, birth dates, phones, addresses, identifiers and narrative phrases of a referral,
    labelled by where they stood.

    Each also in the forms a program makes of it: see `normal_forms`.
    """
    wanted = {
        "full",
        "knownAs",
        "phone",
        "value",
        "lines",
        "postcode",
        "nhsNumber",
        "school",
        "codeWord",
        "safeToTalkTo",
        "notSafeToTalkTo",
        "summary",
        "reason",
        "place",
        "danger",
        "name",
        "whereabouts",
        "victimsView",
        "note",
        "email",
        "externalReference",
        "whoMayAnswer",
        "birthDates",
        "aliases",
        "doctor",
        "landlord",
        "employer",
        "officerInCase",
        "crimeReference",
    }
    return dict(_walk(form, "", wanted))


def normal_forms(value: str) -> Iterator[tuple[str, str]]:
    """What is stored, compared or shown instead of a number, postcode or date: without spaces, with
    the country's prefix, day first.
    """
    if _DATE.fullmatch(value):
        day = date.fromisoformat(value)
        yield "day first", f"{day:%d/%m/%Y}"
        yield "in words", f"{day.day} {day:%B %Y}"
    elif (compact := _SPACING.sub("", value)) and compact.isdigit():
        yield "digits", compact
        if compact.startswith("0"):
            yield "international", f"44{compact[1:]}"
    elif _POSTCODE.fullmatch(value):
        yield "closed up", compact


def _walk(value: Any, path: str, wanted: set[str]) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _walk(inner, f"{path}.{key}", wanted)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from _walk(inner, f"{path}.{place}", wanted)
    elif isinstance(value, str) and any(part in wanted for part in path.split(".")[-2:]):
        yield path, value
        yield from ((f"{path} ({label})", form) for label, form in normal_forms(value))
        # A narrative rarely leaks whole: a run of its words is enough to know it.
        words = value.split()
        if len(words) > 6:
            yield f"{path} (first words)", " ".join(words[:4])
            yield f"{path} (last words)", " ".join(words[-4:])


def planted(folder: Path, value: str) -> None:
    """Leave `value` in a file, base64 in the middle of other bytes, as a careless log line
    would.
    """
    (folder / "planted.log").write_bytes(
        b'{"event":"x","blob":"' + base64.b64encode(b"ab" + value.encode() + b"yz") + b'"}'
    )
