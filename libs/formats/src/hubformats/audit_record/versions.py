"""The two frozen versions of the record: which fields there are, and of what kind each is.

A record must never hold a name, an address or a free text. Nor may it hold an identifier that means
the same in two entries.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final
from uuid import UUID

from hubformats.audit_record.errors import RecordRefused
from hubformats.audit_record.words import HUMANS, OPERATIONS, OPERATIONS_V1, OUTCOMES
from hubformats.canonical import canonical, parse

RECORD_VERSION: Final = 2
"""The version that is written. Version 1 is read for ever."""
KNOWN_VERSIONS: Final = frozenset({1, 2})
RECORD_LIMIT: Final = 8_192
"""Bytes of one canonical record.

A C2SP entry may hold 65,535; ours stays far below so that 256 fit one batch.
"""
INLINE_SUBJECTS: Final = 64
RELATED_LIMIT: Final = 16
_TEXT_LIMIT: Final = 200
_REQUIRED: Final = frozenset({"v", "id", "te", "op", "out", "svc"})

_HANDLES: Final = frozenset({"act", "ses", "case", "res", "ks", "ka"})
_CODES_V1: Final = frozenset(
    [
        "op",
        "out",
        "svc",
        "org",
        "role",
        "aal",
        "rt",
        "fs",
        "lb",
        "cond",
        "gw",
        "pu",
        "jc",
        "cl",
        "ag",
        "rcp",
        "ch",
        "why",
    ]
)
_DIGESTS_V1: Final = frozenset(["dc", "ed", "rd", "ss", "sa", "ps", "pa"])
_IDS: Final = frozenset({"id", "dec", "dl"})
_NUMBERS_V1: Final = frozenset({"v", "te", "subn", "rv", "n"})

_TEXT_V1: Final = _HANDLES | _CODES_V1 | _DIGESTS_V1 | _IDS
_FIELDS_V1: Final = _TEXT_V1 | _NUMBERS_V1 | {"sub", "bg"}

_DIGEST: Final = re.compile(r"[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
"""The one base64url spelling of each 32 bytes: the last character's two spare bits are zero."""
_HANDLE: Final = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
"""The one base64url spelling of each 16 bytes."""
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CODE: Final = re.compile(r"[!-~]{1,200}")
"""Printable ASCII without a space: no sentence and no name of two words fits in."""
_PLAIN: Final = re.compile(rb"[ !#-\[\]-~\"]*")
"""Printable ASCII without a backslash: JSON of nothing else holds only strings that are printable
ASCII.
"""

# `canonical` checks any value there is and then does this. Only for what has been checked: every
# field of a record, plain leaves.
_canonical_text: Final = json.JSONEncoder(
    separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False
).encode


def written(fields: Mapping[str, Any]) -> bytes:
    """Write the canonical bytes of fields that were checked before."""
    return _canonical_text(fields).encode()


def check_record(data: bytes, *, known: Collection[int] = KNOWN_VERSIONS) -> dict[str, Any]:
    """Parse a record and hold it to the vocabulary of its version, which must be `known`.

    Raises RecordRefused; what it returns is safe to index.
    """
    _check_size(data)
    try:
        raw = parse(data, max_bytes=RECORD_LIMIT)
    except ValueError:
        raise RecordRefused("record-malformed") from None
    if not isinstance(raw, dict):
        raise RecordRefused("record-malformed")
    _check_fields(raw, data, known)
    if _canonical_text(raw).encode() != data:
        raise RecordRefused("record-not-canonical")
    return raw


def write_record(fields: dict[str, Any]) -> bytes:
    """Write the canonical record of these fields, which `check_record` takes.

    Raises RecordRefused as it does, and CanonicalError for what JSON cannot carry. What was written
    a moment ago is not parsed again. Text, whole numbers, lists and truth read back as they were
    written, and no other type is allowed.
    """
    data = canonical(fields)
    _check_size(data)
    _check_fields(fields, data, KNOWN_VERSIONS)
    return data


def _check_size(data: bytes) -> None:
    if len(data) > RECORD_LIMIT:
        raise RecordRefused("record-too-large")


def _check_fields(raw: dict[str, Any], data: bytes, known: Collection[int]) -> None:
    if not raw.keys() >= _REQUIRED:
        raise RecordRefused("record-malformed")
    version = raw["v"]
    if not isinstance(version, int | float) or version not in known:
        raise RecordRefused("record-version-unknown")
    if version == 1:
        _check_v1(raw, data)
    else:
        _check_v2(raw)


def _check_v1(raw: dict[str, Any], data: bytes) -> None:
    if not raw.keys() <= _FIELDS_V1:
        raise RecordRefused("record-field-unknown")
    _check_types_v1(raw, plain=_PLAIN.fullmatch(data) is not None)
    if raw["op"] not in OPERATIONS_V1 or raw["out"] not in OUTCOMES:
        raise RecordRefused("record-word-unknown")


def _check_types_v1(raw: dict[str, Any], *, plain: bool) -> None:
    """Check the types of a v1 record; `plain` says that all its text is printable ASCII."""
    for name, value in raw.items():
        if name in _TEXT_V1:
            if (
                type(value) is not str
                or not 0 < len(value) <= _TEXT_LIMIT
                or not (plain or (value.isascii() and value.isprintable()))
            ):
                raise RecordRefused("record-type-wrong")
        elif name in _NUMBERS_V1 and not _is_number(value):
            raise RecordRefused("record-type-wrong")
    subjects = raw.get("sub", [])
    if (
        not isinstance(subjects, list)
        or len(subjects) > INLINE_SUBJECTS
        or not all(isinstance(s, str) and len(s) == 22 for s in subjects)
    ):
        raise RecordRefused("record-type-wrong")
    if raw.get("bg", True) is not True:
        raise RecordRefused("record-type-wrong")
    if not all(_DIGEST.fullmatch(raw[name]) for name in _DIGESTS_V1 & raw.keys()):
        raise RecordRefused("record-type-wrong")
    try:
        if not _UUID.fullmatch(raw["id"]):
            UUID(raw["id"])
    except ValueError:
        raise RecordRefused("record-type-wrong") from None


def _is_number(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _text(pattern: re.Pattern[str]) -> Callable[[object], bool]:
    matched = pattern.fullmatch
    return lambda value: type(value) is str and matched(value) is not None


def _texts(pattern: re.Pattern[str], limit: int) -> Callable[[object], bool]:
    matched = pattern.fullmatch

    def holds(value: object) -> bool:
        return (
            type(value) is list
            and 0 < len(value) <= limit
            and all(type(each) is str and matched(each) is not None for each in value)
        )

    return holds


def _kinds_v2() -> dict[str, Callable[[object], bool]]:
    """Map each field of record v2 to the check of its value."""
    code, digest, handle, uuid = map(_text, (_CODE, _DIGEST, _HANDLE, _UUID))
    kinds: dict[str, Callable[[object], bool]] = {
        **dict.fromkeys(_NUMBERS_V1 | {"cko"}, _is_number),
        **dict.fromkeys(_CODES_V1, code),
        **dict.fromkeys(["dlb", "dsp", "dcr", "dgw", "dau", "dcf", "rlb", "rsp", "rcr"], code),
        **dict.fromkeys(["hum", "agv", "rlv", "tpl", "st", "cks"], code),
        **dict.fromkeys(_DIGESTS_V1, digest),
        **dict.fromkeys(["sr", "pr", "whc", "ih", "vd", "vc", "sw", "cfg"], digest),
        **dict.fromkeys(_HANDLES | {"kr", "obo", "au2"}, handle),
        **dict.fromkeys(_IDS, uuid),
        "sub": _texts(_HANDLE, INLINE_SUBJECTS),
        "rel": _texts(_DIGEST, RELATED_LIMIT),
        "bg": lambda value: value is True,
    }
    return kinds


_KINDS_V2: Final = _kinds_v2()
_WORDS_V2: Final = {"op": OPERATIONS, "out": OUTCOMES, "hum": HUMANS}
_PARTS: Final = tuple(frozenset(part.split()) for part in ("ss ps ks", "sa pa ka", "sr pr kr"))
_NOT_WITHHELD: Final = frozenset(["why", "sub", "subn", "fs", "rv"])
"""What a record of something withheld never says: the agency it was withheld from may read it."""


def _check_v2(raw: dict[str, Any]) -> None:
    for name, value in raw.items():
        right = _KINDS_V2.get(name)
        if right is None:
            raise RecordRefused("record-field-unknown")
        if not right(value):
            raise RecordRefused("record-type-wrong")
    if any(raw[name] not in words for name, words in _WORDS_V2.items() if name in raw):
        raise RecordRefused("record-word-unknown")
    names = raw.keys()
    if any(part & names and not part <= names for part in _PARTS):
        raise RecordRefused("record-part-incomplete")
    if raw["out"] == "withhold" and _NOT_WITHHELD & names:
        raise RecordRefused("record-says-too-much")
