"""Takes given words, and on demand whatever has a given shape, out of texts."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable
from typing import Any, Final

from hubformats.needles import Needles, Span
from hubformats.reading import Reading, readings

REMOVED: Final = "[removed]"
"""Stands where a text would have given something away."""

Finder = Callable[[Reading], Iterable[Span]]
_WORD: Final = re.compile(r"[^\W_]+")
_PREFIXES: Final = frozenset(["no", "number", "nos", "house", "flat"])
"""What may stand before a known address and says no more than it does."""


class Mask:
    """Takes `hidden` needles out of texts, and what `shapes` finds.

    What stands inside something `known` stays. Each text is cleaned once. `steps` counts the
    letters read and the comparisons made, by which the cost is judged.
    """

    def __init__(
        self, hidden: Needles, *, known: Needles | None = None, shapes: Finder | None = None
    ) -> None:
        self._hidden = hidden
        self._known = known or Needles()
        self._shapes = shapes
        self._cleaned: dict[str, str] = {}
        self._read = 0

    @property
    def steps(self) -> int:
        """Letters read and comparisons made so far."""
        return self._read + self._hidden.steps + self._known.steps

    def clean(self, value: Any) -> Any:
        """Return the JSON value with REMOVED for each such place in its strings."""
        if not self._hidden and self._shapes is None:
            return value
        if isinstance(value, str):
            if value not in self._cleaned:
                self._cleaned[value] = self._text(value)
            return self._cleaned[value]
        if isinstance(value, list | tuple):
            return [self.clean(item) for item in value]
        if isinstance(value, dict):
            return {key: self.clean(item) for key, item in value.items()}
        return value

    def _text(self, text: str) -> str:
        spans: list[Span] = []
        for reading in readings(text):
            self._read += len(reading.text)
            found = list(self._hidden.find(reading)) if self._hidden else []
            if self._shapes is not None:
                found += self._shapes(reading)
            if found and self._known:
                found = _outside(found, list(self._known.find(reading)), reading.text)
            spans += [(reading.first[start], reading.last[end - 1]) for start, end in found]
        return _without(text, sorted(spans)) if spans else text


def _outside(found: list[Span], known: list[Span], text: str) -> list[Span]:
    """Drop what stands inside a known place."""
    whole = _joined(sorted(known), text)
    starts = [start for start, _ in whole]
    kept = []
    for start, end in found:
        for word in _WORD.finditer(text, start, end):
            if word[0] not in _PREFIXES:
                begin = word.start()
                break
        else:
            begin = start
        place = bisect_right(starts, begin) - 1
        if place < 0 or whole[place][1] < end:
            kept.append((start, end))
    return kept


def _joined(spans: list[Span], text: str) -> list[Span]:
    """Make one of neighbours that only spaces and points stand between."""
    whole: list[Span] = []
    for start, end in spans:
        if whole and _WORD.search(text, whole[-1][1], start) is None:
            whole[-1] = (whole[-1][0], max(whole[-1][1], end))
        else:
            whole.append((start, end))
    return whole


def _without(text: str, spans: list[Span]) -> str:
    pieces: list[str] = []
    end = 0
    for first, last in spans:
        # Neighbours become one: their number and order would say how the address is made.
        if pieces and not any(letter.isalnum() for letter in text[end:first]):
            end = max(end, last)
            continue
        pieces += (text[end:first], REMOVED)
        end = last
    return "".join((*pieces, text[end:]))
