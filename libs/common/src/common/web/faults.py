"""Turns validation errors into pointers and fixed sentences: nothing a caller typed comes back."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from pydantic.alias_generators import to_camel

from common.models import FieldError
from common.problems import Fault

_Where = Literal["body", "query", "path", "header"]

# An unknown name was typed too: it is shown only if it looks like a field's, without digits.
_NAME: Final = re.compile(r"[a-z][A-Za-z_]{0,39}")

_KINDS: Final[Mapping[str, str]] = {
    "is required": "missing",
    "is not a known field": "extra_forbidden",
    "must be a string": "string_type",
    "must have at least {min_length} characters": "string_too_short",
    "must have at most {max_length} characters": "string_too_long",
    "must match {pattern}": "string_pattern_mismatch",
    "must be a whole number": "int_type int_parsing int_from_float",
    "must be a number": "float_type float_parsing",
    "must be true or false": "bool_type bool_parsing",
    "must be at least {ge}": "greater_than_equal",
    "must be more than {gt}": "greater_than",
    "must be at most {le}": "less_than_equal",
    "must be less than {lt}": "less_than",
    "must be one of {expected}": "enum literal_error",
    "must be one of {expected_tags}": "union_tag_invalid",
    "must say which kind it is": "union_tag_not_found",
    "must be an array": "list_type tuple_type set_type frozen_set_type",
    "must have at least {min_length} items": "too_short",
    "must have at most {max_length} items": "too_long",
    "must be an object": "dict_type model_type model_attributes_type mapping_type",
    "must be a date such as 2026-01-31": "date_type date_parsing date_from_datetime_parsing",
    "must be a date without a time": "date_from_datetime_inexact",
    "must be an RFC 3339 date-time": "datetime_type datetime_parsing datetime_from_date_parsing",
    "must have a time zone": "timezone_aware",
    "must be a UUID": "uuid_type uuid_parsing",
    "must be a URL": "url_parsing",
    "must be a URL of an accepted scheme": "url_scheme",
    "must be null": "none_required",
}
_SENTENCES: Final = {kind: said for said, kinds in _KINDS.items() for kind in kinds.split()}
_PARTS: Final[Mapping[str | int, _Where]] = {
    "body": "body",
    "query": "query",
    "path": "path",
    "header": "header",
    "cookie": "header",
}


def faults(errors: Sequence[Mapping[str, Any]], body: object) -> list[Fault]:
    """Make a Fault of each pydantic error, at most 50; the parsed `body` tells keys from tags."""
    return [_fault(error, body) for error in errors[:50]]


def _fault(error: Mapping[str, Any], body: object) -> Fault:
    place = [part for part in error["loc"] if isinstance(part, str | int)]
    where: _Where = "body"
    if place and place[0] in _PARTS:
        where = _PARTS[place.pop(0)]
    if where == "path":  # our own names, in the spelling of the documents
        place = [to_camel(str(part)) for part in place]
    if where == "body":
        place = [*_within(place, body, kind=str(error["type"])), *_tag(error), *_at(error)]
    return Fault("".join("/" + _escape(part) for part in place), sentence(error), where)


def _at(error: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Return where inside the object a validator of the whole object found its fault."""
    raised = (error.get("ctx") or {}).get("error")
    return raised.at if isinstance(raised, FieldError) else ()


def _tag(error: Mapping[str, Any]) -> list[str]:
    """Return the field that says which kind an object is: pydantic names the object only."""
    context = error.get("ctx") or {}
    tagged = str(error["type"]).startswith("union_tag_") and "discriminator" in context
    return [str(context["discriminator"]).strip("'")] if tagged else []


def sentence(error: Mapping[str, Any]) -> str:
    """Say what is wanted, in fixed words; limits and choices come from our schema."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind == "value_error" and isinstance(context.get("error"), FieldError):
        return str(context["error"])
    try:
        return _SENTENCES[kind].format_map(context)
    except KeyError:
        return "is not acceptable"


def _within(place: Sequence[str | int], body: object, *, kind: str) -> list[str | int]:
    """Keep the parts that are places in the body: pydantic's path also names union members."""
    kept: list[str | int] = []
    here: Any = body
    for index, part in enumerate(place):
        last = index == len(place) - 1
        if isinstance(here, Mapping) and part in here:
            here = here[part]
            kept.append(shown(part) if last and kind == "extra_forbidden" else part)
        elif isinstance(here, list) and isinstance(part, int) and 0 <= part < len(here):
            here = here[part]
            kept.append(part)
        elif last and kind == "missing":
            kept.append(part)
    return kept


def shown(part: str | int) -> str | int:
    """Return a name that a caller typed if it looks like a field's, else `*`."""
    return part if isinstance(part, int) or _NAME.fullmatch(part) else "*"


def _escape(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
