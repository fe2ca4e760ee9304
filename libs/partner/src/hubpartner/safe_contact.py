"""Which of a victim's numbers and addresses may be used, and until when. One rule for the portal
and for `hubctl`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from hubformats.phones import contact_keys, numbers_in

SAFE_LABEL: Final = "Safe to use"
"""Label of the one fact in a means of contact that says whether it may be used (referral's form).
"""
TIMES_LABEL: Final = "Safe days and times"
VALUE_LABEL: Final = "Number or address of this channel"

_HER_NUMBERS: Final = "victim_phone"
_CALL_BACK: Final = "callback"
"""What an urgent form gave to ring, before anybody said what is safe."""
_REFUSES: Final = re.compile(
    r"\b(do not|don.?t|never) (call|ring|phone|text|contact)", re.IGNORECASE
)
_WORD: Final = re.compile(r"[^\W\d_]{2,}")
_NOTE: Final = 3
"""So many words beside a number are a note on it."""
CALL_BACK_ONLY: Final = "except by the call back below, exactly as it says"
"""What is added to "do not contact" while `call_back` holds."""


def on_day(safe: Mapping[str, Any] | None, day: date) -> Mapping[str, Any] | None:
    """Judge a package's `safeContact` as it stands on `day`, by the reader's own clock.

    Returns None when it was not shared. What was safe when it was decided is unverified after
    `safeUntil`, and without one. Unverified means are the advocate's alone to see (design section
    13, rule 5).
    """
    if safe is None:
        return None
    status = safe["status"]
    if status == "safe" and not _holds(safe.get("safeUntil"), day):
        status = "unverified"
    hidden = status == "unverified" and not safe.get("advocate")
    stop = bool(safe["doNotContact"]) or status != "safe"
    return {
        **safe,
        "status": status,
        "doNotContact": stop,
        "means": [] if hidden else safe["means"],
    }


def usable(means: Iterable[Mapping[str, Any]], *, stop: bool) -> bool:
    """Tell whether this number or address may be used.

    Only a plain yes, on a case where contact is safe at all: silence about one number is not
    safety.
    """
    return (
        not stop
        and next((str(item["value"]) for item in means if item["label"] == SAFE_LABEL), "") == "yes"
    )


def call_back(content: Mapping[str, Any], day: date) -> bool:
    """Tell whether the call back that the caller gave is the one way of contact.

    That is so only while nobody knows yet what is safe, and no form named any means. A call back
    that says not to call is no way.
    """
    safe = on_day(content.get("safeContact"), day)
    if safe is None or safe["status"] != "unknown" or safe["means"]:
        return False
    said = [
        str(item["value"])
        for section in content["sections"]
        if section["category"] == _CALL_BACK
        for item in section["items"]
    ]
    return any(map(numbers_in, said)) and not any(map(_REFUSES.search, said))


class Unsafe:
    """Know what the safe-contact rule of a package does not allow on a day."""

    def __init__(self, content: Mapping[str, Any], day: date) -> None:
        """`content` is the package's, as it came."""
        safe = content.get("safeContact")
        now = on_day(safe, day)
        stop = now is None or bool(now["doNotContact"])
        means = [] if safe is None else list(safe["means"])
        self._called_back = call_back(content, day)
        self._usable = {key for one in means if usable(one, stop=stop) for key in _keys(one)}
        self._unsafe = {key for one in means if not usable(one, stop=stop) for key in _keys(one)}

    def warning(self, category: str, value: object) -> str:
        """Say what may not be used of this; empty when nothing speaks against it."""
        if not self.warns(category, value):
            return ""
        told = category not in {_HER_NUMBERS, _CALL_BACK} and _is_account(value)
        return "Names a number or address that must not be used" if told else "Do not use"

    def warns(self, category: str, value: object) -> bool:
        """Tell whether this may not be used, however it is written.

        A missed warning reaches the wrong person. A number of hers may be used only where the rule
        names it safe. So may what an urgent form said to ring, unless it is the one way of contact.
        Any other thing is warned of where the rule names it.
        """
        if category == _CALL_BACK and _refuses(value):
            return False
        hers = category == _HER_NUMBERS or (category == _CALL_BACK and not self._called_back)
        each = value if isinstance(value, list | tuple) else (value,)
        keys = {key for one in each for key in contact_keys(one)}
        return bool(keys & self._unsafe) or (hers and not keys <= self._usable)


def _is_account(value: object) -> bool:
    """Tell whether this is somebody's words, and not just a number with a note."""
    return len(_WORD.findall(str(value))) > _NOTE


def _refuses(value: object) -> bool:
    """Tell whether this only says not to call: it names nothing that could be used."""
    return bool(_REFUSES.search(str(value))) and not numbers_in(str(value))


def _holds(until: object, day: date) -> bool:
    try:
        return isinstance(until, str) and day <= date.fromisoformat(until)
    except ValueError:
        return False


def _keys(means: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for item in means:
        if item["label"] == VALUE_LABEL and item["value"]:
            yield from contact_keys(item["value"])
