"""Texts that people send: what is taken, and how what cannot be seen in them is kept."""

from typing import Annotated

from pydantic import AfterValidator

from common.models import FieldError
from hubformats.visible_text import is_plain, is_seen, visible


def _one_line(value: str) -> str:
    if not is_plain(value):
        raise FieldError(
            "must be one line without characters that cannot be seen or that turn text round; "
            "type it anew instead of pasting it"
        )
    return _something(value)


def _free(value: str) -> str:
    return visible(_something(value), lines=True)


def _something(value: str) -> str:
    if value and not is_seen(value):
        raise FieldError("must hold something that a person can see")
    return value


def _danger(value: str) -> str:
    return visible(value, lines=True)


def _danger_line(value: str) -> str:
    return visible(value)


OneLine = AfterValidator(_one_line)
"""A name, a number, a role: refused with line breaks or with what cannot be seen."""
FreeText = AfterValidator(_free)
"""Somebody's own words: line breaks stay, what cannot be seen is written out."""
DangerText = AfterValidator(_danger)
"""Free text of an urgent form: never refused for what it holds (design section 13, rule 2)."""
DangerLine = AfterValidator(_danger_line)
"""One line of an urgent form: line breaks are written out, nothing is refused."""

Reason = Annotated[str, FreeText]
"""Why somebody did something, in their own words."""
