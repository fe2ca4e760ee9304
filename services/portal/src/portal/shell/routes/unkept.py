"""What a person sent that was not kept: what to say of it, and how they get back to it."""

import re
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from fastapi import Request
from starlette.responses import Response

from portal.shell.model import LONGEST, CallRefused, NoAnswer, TokenRefused

SUPPORT: Final = "call the hub's support on 01632 960000"
DANGER: Final = "If somebody is in danger now, call 999."
_NONE: Final = (
    "What you just sent was not kept. No veto was set, and nothing was accepted, answered or "
    "released."
)
_URGENT: Final = f"If it cannot wait, {SUPPORT}. {DANGER}"
SIGN_IN: Final = (_NONE, f"Sign in and do it again. {_URGENT}")
NOT_KEPT: Final = (_NONE, f"Try again in a minute. {_URGENT}")
UNKNOWN: Final = ("It is not known whether it was kept. Look again before you rely on it.", _URGENT)
FIELDS: Final = 40
"""More than any form of ours has."""
_LONGEST: Final = 4 * LONGEST
"""Characters of one field that wait for a sign-in."""
_COMINGS: Final = frozenset({"/sign-in", "/sign-in/again", "/sign-out", "/stay"})
_ID: Final = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ACT: Final = re.compile(
    rf"(/(?:deliveries|emergency|liftings|second-looks|vetoes)(?:/{_ID}){{1,2}})"
    "(?:/(?:accept|answer|owner))?"
)
_SEVERAL: Final = "/deliveries/"
"""Acts of several steps: a later one can fail when an earlier one was kept."""
_NEVER: Final = frozenset({"csrf", "confirm"})
"""A confirmation is given anew; a token is of its own visit."""


@dataclass(frozen=True, slots=True)
class Unkept:
    """An act that did not come through."""

    place: str = ""
    """The page of ours on which it is done again, empty when there is none."""
    writer: str = field(default="", repr=False)
    """The form's token: it tells whose form it was."""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def words(self) -> str:
        """Return the text that they wrote, to be shown to them."""
        return self.typed.get("reason", "")


def is_act(request: Request) -> bool:
    """Tell whether the request was to do something, other than to come in or go."""
    return request.method == "POST" and request.url.path not in _COMINGS


def has_steps(request: Request) -> bool:
    """Tell whether part of the act may be done although the rest failed."""
    return request.url.path.startswith(_SEVERAL)


def page_of(path: str) -> str:
    """Return the page on which an act is done, empty for an address that does none."""
    found = _ACT.fullmatch(path)
    return found.group(1) if found else ""


async def unkept(request: Request, *, ours: bool) -> Unkept:
    """Read what was sent. A form that is not `ours` gives nothing but its page."""
    place = page_of(request.url.path)
    if not ours or not place or place.startswith(_SEVERAL):
        return Unkept(place)
    try:
        body = (await request.body()).decode("utf-8", "strict")
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError:
        return Unkept(place)
    typed = {name: value for name, value in fields.items() if name not in _NEVER and value}
    return Unkept(place, fields.get("csrf", ""), typed if fits(typed) else {})


async def shown_again(page: Awaitable[Response], *, unknown: bool) -> Response:
    """Render a form again after an act of which it is `unknown` whether it was kept.

    Raises NoAnswer where the page cannot be read, so that nobody reads that nothing was kept.
    """
    try:
        return await page
    except (CallRefused, NoAnswer, TokenRefused) as error:
        if unknown:
            raise NoAnswer("the act before had no answer") from error
        raise


def fits(typed: Mapping[str, str]) -> bool:
    """Tell whether it is little enough to wait while its writer signs in."""
    return sum(len(name) + len(value) for name, value in typed.items()) <= _LONGEST
