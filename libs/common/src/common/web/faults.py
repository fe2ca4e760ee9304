"""Turns validation errors into RFC 6901 pointers and fixed sentences, so that nothing a caller
typed comes back."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, cast

from common.models import FieldError
from common.problems import Fault

_Where = Literal["body", "query", "path", "header"]

# An unknown name is typed by the caller too: it is shown only if it looks like a field name, never
# with digits or spaces.
_NAME: Final = re.compile(r"[a-z][A-Za-z]{0,39}")

_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is required",
    "extra_forbidden": "is not a known field",
    "string_type": "must be a string",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "union_tag_invalid": "must be one of {expected_tags}",
    "union_tag_not_found": "must say which kind it is",
    "list_type": "must be an array",
    "tuple_type": "must be an array",
    "set_type": "must be an array",
    "frozen_set_type": "must be an array",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "mapping_type": "must be an object",
    "date_type": "must be a date such as 2026-01-31",
    "date_parsing": "must be a date such as 2026-01-31",
    "date_from_datetime_parsing": "must be a date such as 2026-01-31",
    "date_from_datetime_inexact": "must be a date without a time",
    "datetime_type": "must be an RFC 3339 date-time",
    "datetime_parsing": "must be an RFC 3339 date-time",
    "datetime_from_date_parsing": "must be an RFC 3339 date-time",
    "timezone_aware": "must have a time zone",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "url_parsing": "must be a URL",
    "url_scheme": "must be a URL of an accepted scheme",
    "none_required": "must be null",
}


def faults(errors: Sequence[Any], body: object) -> list[Fault]:
    """One Fault per pydantic error, in the order found, at most 50; `body` is the parsed request,
    to tell keys from tags.
    """
    return [_fault(cast(Mapping[str, Any], error), body) for error in errors[:50]]


def _fault(error: Mapping[str, Any], body: object) -> Fault:
    place = [part for part in error["loc"] if isinstance(part, str | int)]
    where: _Where = "body"
    if place and place[0] in {"body", "query", "path", "header", "cookie"}:
        first = place.pop(0)
        where = "header" if first == "cookie" else cast(_Where, first)
    if where == "body":
        place = [*_within(place, body, kind=str(error["type"])), *_tag(error), *_at(error)]
    return Fault("".join("/" + _escape(part) for part in place), sentence(error), where)


def _at(error: Mapping[str, Any]) -> tuple[str | int, ...]:
    """Where inside the object a validator of the whole object found its fault."""
    raised = (error.get("ctx") or {}).get("error")
    return raised.at if isinstance(raised, FieldError) else ()


def _tag(error: Mapping[str, Any]) -> list[str]:
    """The field that says which kind an object is: pydantic names the object only."""
    kind, context = str(error["type"]), error.get("ctx") or {}
    return (
        [str(context["discriminator"]).strip("'")]
        if kind.startswith("union_tag_") and "discriminator" in context
        else []
    )


def sentence(error: Mapping[str, Any]) -> str:
    """What is wanted, in fixed words; limits and lists of choices come from our schema, never from
    the input.
    """
    kind, context = str(error["type"]), error.get("ctx") or {}
    if kind == "value_error" and isinstance(context.get("error"), FieldError):
        return str(context["error"])
    template = _SENTENCES.get(kind)
    if template is None:
        return "is not acceptable"
    try:
        return template.format_map(context)
    except KeyError:
        return "is not acceptable"


def _within(place: Sequence[str | int], body: object, *, kind: str) -> list[str | int]:
    """Keep the parts that are places in the body; pydantic's path also names union members, which
    are not.
    """
    kept: list[str | int] = []
    here: Any = body
    for index, part in enumerate(place):
        last = index == len(place) - 1
        if isinstance(here, Mapping) and part in here:
            here = here[part]
            kept.append(shown(part) if last and kind == "extra_forbidden" else part)
        elif (
            isinstance(here, Sequence)
            and not isinstance(here, str | bytes)
            and isinstance(part, int)
            and 0 <= part < len(here)
        ):
            here = here[part]
            kept.append(part)
        elif last and kind == "missing":
            kept.append(part)
    return kept


def shown(part: str | int) -> str | int:
    """A name a caller typed, if it looks like a field name; `*` otherwise."""
    return part if isinstance(part, int) or _NAME.fullmatch(part) else "*"


def _escape(part: str | int) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")
