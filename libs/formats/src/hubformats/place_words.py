"""The dated word lists of `place_words.toml`."""

import tomllib
from importlib.resources import files
from typing import Any, Final

_LISTS: Final[dict[str, Any]] = tomllib.loads(
    (files("hubformats") / "place_words.toml").read_text("utf-8")
)


def word_list(name: str) -> frozenset[str]:
    """Return the list of that name. Raises KeyError."""
    return frozenset(_LISTS[name].split())


def word_row(name: str) -> tuple[str, ...]:
    """Return the list of that name in its order. Raises KeyError."""
    return tuple(_LISTS[name].split())
