"""Strict look at a JSON body before anything reads it: what two parsers could read differently is
refused."""

from typing import Any

from common.problems import Problem
from hubformats.canonical import CanonicalError, parse


def check_json(body: bytes) -> Problem | None:
    """A `malformed-json` problem if `body` is not one JSON value in UTF-8 that every store can
    hold, else None.

    Refuses repeated names, NaN, lone surrogates, depth over 32 (`canonical.parse`), and NUL, which
    PostgreSQL text cannot hold.
    """
    try:
        value = parse(body)
    except CanonicalError:
        return Problem("malformed-json")
    return Problem("malformed-json") if b"\\u0000" in body and _has_nul(value) else None


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(name) or _has_nul(item) for name, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)
