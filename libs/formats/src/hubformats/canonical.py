"""One way to write JSON that is hashed or signed, and one strict way to read it. Strict base64url,
too."""

import binascii
import json
import math
from typing import Any, NoReturn

MAX_DEPTH = 32  # deeper nesting has no use in the published language and costs a parser stack
MAX_SAFE_INTEGER = (
    2**53 - 1
)  # RFC 7493 section 2.2: larger integers change silently in JavaScript and many Java readers
_NESTING = frozenset({dict, list})
_UNREADABLE = object()
# Circular values are stopped by the depth check, before they get here.
_WRITER = json.JSONEncoder(
    separators=(",", ":"), sort_keys=True, ensure_ascii=False, allow_nan=False, check_circular=False
)
_TO_URL = bytes.maketrans(b"+/", b"-_")
# The URL alphabet becomes the common one, whose own last two characters and padding become what no
# decoder takes.
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")


class CanonicalError(ValueError):
    """The value or the text is not acceptable; the message names the rule, never the content."""


def canonical(obj: object) -> bytes:
    """Return the only bytes this value may have.

    Keys are sorted by code point, without spaces, in UTF-8, with no escapes beyond what JSON
    demands. Equal to RFC 8785 for the values allowed here. They are strings, integers within 2^53,
    booleans, null, arrays and objects whose keys are ASCII.

    Raises CanonicalError for floats, NaN, keys that are not strings, lone surrogates, and depth
    over 32.
    """
    _check(obj, 1)
    octets = _encoded(_WRITER.encode(obj))
    if octets is None:
        raise CanonicalError("a string holds a lone surrogate")
    return octets


def parse(data: bytes | str, *, max_bytes: int = 1_000_000) -> Any:
    """Read JSON whose meaning cannot differ between two readers.

    Raises CanonicalError for invalid UTF-8, a byte-order mark, duplicate keys, NaN, infinities or
    lone surrogates. Depth over 32 is refused, and more than `max_bytes` bytes, against memory
    exhaustion.
    """
    text = _text(data, max_bytes)
    value = _decoded(text)
    if value is _UNREADABLE:
        raise CanonicalError("not JSON")
    if _too_deep(value):
        raise CanonicalError("nested too deeply")
    # Only an escape can hold one, since the text itself is UTF-8; a single character is found far
    # faster than two.
    if "\\" in text and "\\u" in text and _encoded(json.dumps(value, ensure_ascii=False)) is None:
        raise CanonicalError("a string holds a lone surrogate")
    return value


def b64u(data: bytes) -> str:
    """Encode bytes as unpadded base64url (RFC 7515 section 2)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def unb64u(text: str) -> bytes:
    """Decode unpadded base64url.

    Raises CanonicalError for padding, other alphabets or a second spelling of the same bytes.
    """
    if not isinstance(text, str):
        raise CanonicalError("not base64url")
    if not text.isascii():
        raise CanonicalError("not base64url")
    try:
        data = binascii.a2b_base64(
            text.encode().translate(_FROM_URL) + b"=" * (-len(text) % 4), strict_mode=True
        )
    except ValueError:  # its message counts characters, it holds none
        raise CanonicalError("not base64url") from None
    # Whole groups of four have one spelling; a shorter last one has bits to spare, which must be
    # zero.
    if len(text) % 4 and not text.endswith(b64u(data[len(data) // 3 * 3 :])):
        raise CanonicalError("not canonical base64url")
    return data


# Python's own decoding errors carry the whole document, so these answer a sentinel and the caller
# raises
# outside the handler: no error of ours is ever linked to one that holds content.


def _decoded(text: str) -> Any:
    try:
        return _READER.decode(text)
    except CanonicalError:
        raise
    except (ValueError, RecursionError):
        return _UNREADABLE


def _text(data: bytes | str, max_bytes: int) -> str:
    octets = _encoded(data) if isinstance(data, str) else data
    if octets is not None and len(octets) > max_bytes:
        raise CanonicalError("too large")
    text = None if octets is None else data if isinstance(data, str) else _utf8(octets)
    if text is None:
        raise CanonicalError("not UTF-8")
    return text


def _encoded(text: str) -> bytes | None:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return None


def _utf8(octets: bytes) -> str | None:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return None


def _check(value: object, depth: int) -> None:
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise CanonicalError("an integer is outside 53 bits")
        return
    if depth > MAX_DEPTH:
        raise CanonicalError("nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str and not isinstance(key, str):
                raise CanonicalError("a key is not a string")
            if item is not None and type(item) is not str:
                # Most leaves are text, and a call for each costs more than the writing
                _check(item, depth + 1)
    elif isinstance(value, list | tuple):
        for item in value:
            if type(item) is not str:
                _check(item, depth + 1)
    else:
        raise CanonicalError("a value has no canonical form")


def _too_deep(value: object) -> bool:
    """Tell whether arrays and objects stand deeper than allowed, looked through level by level."""
    level: list[Any] = [value] if type(value) in _NESTING else []
    for _ in range(MAX_DEPTH):
        if not level:
            return False
        level = [
            item
            for each in level
            for item in (each.values() if type(each) is dict else each)
            if type(item) in _NESTING
        ]
    return bool(level)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise CanonicalError("a key appears twice")
    return found


def _refuse_constant(_: str) -> NoReturn:
    raise CanonicalError("not a number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise CanonicalError("not a finite number")
    return number


# Made once: `json.loads` makes a decoder at each call that names a hook.
_READER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite
)
