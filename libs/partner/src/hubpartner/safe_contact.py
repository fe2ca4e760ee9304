"""Which of a victim's numbers and addresses may be used, and until when. One rule for the portal
and for `hubctl`."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

from hubformats.phones import contact_keys

SAFE_LABEL: Final = "Safe to use"
"""Label of the one fact in a means of contact that says whether it may be used (referral's form).
"""
VALUE_LABEL: Final = "Number or address of this channel"

_HER_NUMBERS: Final = "victim_phone"
_CALL_BACK: Final = "callback"
"""What an urgent form gave to ring, before anybody said what is safe."""


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


class Unsafe:
    """Know what the safe-contact rule of a package does not allow on a day."""

    def __init__(self, safe: Mapping[str, Any] | None, day: date) -> None:
        """`safe` is the package's `safeContact` as it came, None when it was not shared."""
        now = on_day(safe, day)
        stop = now is None or bool(now["doNotContact"])
        means = [] if safe is None else list(safe["means"])
        self._ruled = now is not None and now["status"] != "unknown"
        self._usable = {key for one in means if usable(one, stop=stop) for key in _keys(one)}
        self._unsafe = {key for one in means if not usable(one, stop=stop) for key in _keys(one)}

    def warns(self, category: str, value: object) -> bool:
        """Tell whether this may not be used, however it is written.

        A missed warning reaches the wrong person. A number of hers may be used only where the rule
        names it safe. Once there is a rule, so may what an urgent form said to ring. Any other
        thing is warned of where the rule names it.
        """
        hers = category == _HER_NUMBERS or (category == _CALL_BACK and self._ruled)
        each = value if isinstance(value, list | tuple) else (value,)
        keys = {key for one in each for key in contact_keys(one)}
        return bool(keys & self._unsafe) or (hers and not keys <= self._usable)


def _holds(until: object, day: date) -> bool:
    try:
        return isinstance(until, str) and day <= date.fromisoformat(until)
    except ValueError:
        return False


def _keys(means: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for item in means:
        if item["label"] == VALUE_LABEL and item["value"]:
            yield from contact_keys(item["value"])
