"""Which of a victim's numbers and addresses may be used: one rule for the portal and for `hubctl`."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

SAFE_LABEL: Final = "Safe to use"
"""Label of the one fact in a means of contact that says whether it may be used (referral's form)."""
VALUE_LABEL: Final = "Number or address of this channel"

_PUNCTUATION: Final = re.compile(r"[\s().-]")
_ABROAD: Final = re.compile(r"^(\+|00)44(?=\d)")


def usable(means: Iterable[Mapping[str, Any]], *, stop: bool) -> bool:
    """Silence about one number is not safety: only a plain yes, on a case where contact is safe at all, may be used."""
    return not stop and next((str(item["value"]) for item in means if item["label"] == SAFE_LABEL), "") == "yes"


class Unsafe:
    """The numbers and addresses that the safe-contact rule of a package does not call safe, wherever else they are shown."""

    def __init__(self, safe: Mapping[str, Any] | None) -> None:
        """`safe` is the package's `safeContact`, None when it was not shared."""
        means = [] if safe is None else [one for one in safe["means"] if not usable(one, stop=bool(safe["doNotContact"]))]
        self._values = {_plain(item["value"]) for one in means for item in one if item["label"] == VALUE_LABEL and item["value"]}

    def __contains__(self, value: object) -> bool:
        """Whether this is one of them, however it is spaced or prefixed: a missed warning reaches the wrong person."""
        each = value if isinstance(value, list | tuple) else (value,)
        return any(_plain(one) in self._values for one in each)


def _plain(value: object) -> str:
    return _ABROAD.sub("0", _PUNCTUATION.sub("", str(value)).casefold())
