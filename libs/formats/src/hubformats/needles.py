"""Looks for many short runs of letters in a text at once.

The number of steps grows with the length of the text alone, whatever is looked for.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

from hubformats.reading import Reading

Span = tuple[int, int]
"""First and one past the last character, in the text of a reading."""

_KEY: Final = 6
"""Letters by which a needle is found; one that is shorter counts only as words of its own."""
_LENGTHS: Final = 4
"""Lengths tried for one key; where there are more, the key itself is looked for."""
_WORD: Final = re.compile(r"[^\W_]+")


class Needles:
    """What to look for: small letters and digits without spaces.

    `anywhere` may begin inside a word (“OldLarkspurWynd”). `whole` begins at the start of a word
    and ends at the end of one. `capital` begins with a capital letter besides: “Eye”, not “eye”.
    """

    def __init__(
        self,
        anywhere: Iterable[str] = (),
        whole: Iterable[str] = (),
        capital: Iterable[str] = (),
        *,
        longest: int = 16,
    ) -> None:
        """Of a needle, `longest` letters are compared; the word they end in goes with them."""
        self._longest = longest
        long: set[str] = set()
        short = {needle[:longest] for needle in whole}
        for needle in anywhere:
            (long if len(needle) >= _KEY else short).add(needle[:longest])
        lengths: dict[str, set[int]] = {}
        for needle in long:
            lengths.setdefault(needle[:_KEY], set()).add(len(needle))
        crowded = {key for key, found in lengths.items() if len(found) > _LENGTHS}
        self._lengths = {
            key: (_KEY,) if key in crowded else tuple(sorted(found, reverse=True))
            for key, found in lengths.items()
        }
        self._long = long | crowded
        self._capital = frozenset(capital) - short
        self._short = frozenset(short | self._capital)
        self._most = max(map(len, self._short), default=0)
        self._starts = frozenset(needle[:2] for needle in self._short)
        self.steps = sum(map(len, self._long)) + sum(map(len, self._short))
        """Letters looked at and comparisons made so far."""

    def __bool__(self) -> bool:
        """Tell whether there is anything to look for."""
        return bool(self._long or self._short)

    def find(self, reading: Reading) -> Iterator[Span]:
        """Find every place where one of them stands."""
        text = reading.text
        words = [found.span() for found in _WORD.finditer(text)]
        letters = "".join([text[start:end] for start, end in words])
        self.steps += len(text)
        keys = self._lengths
        starts = [at for at in range(len(letters) - _KEY + 1) if letters[at : at + _KEY] in keys]
        if starts:
            yield from self._inside(letters, words, starts)
        if self._short:
            yield from self._of_words(reading, words)

    def _inside(self, letters: str, words: list[Span], starts: list[int]) -> Iterator[Span]:
        offsets = [0]
        for start, end in words:
            offsets.append(offsets[-1] + end - start)
        for at in starts:
            for size in self._lengths[letters[at : at + _KEY]]:
                self.steps += 1
                if at + size <= len(letters) and letters[at : at + size] in self._long:
                    yield _place(at, offsets, words), self._end(at + size - 1, size, offsets, words)
                    break

    def _of_words(self, reading: Reading, words: list[Span]) -> Iterator[Span]:
        text = reading.text
        for number, (start, end) in enumerate(words):
            if text[start : start + 2] not in self._starts and end - start > 1:
                continue
            run = ""
            for first, last in words[number : number + self._longest]:
                self.steps += 1
                run = (run + text[first:last][: self._longest])[: self._longest]
                if run in self._short and (
                    run not in self._capital or reading.raw[start].isupper()
                ):
                    yield start, last
                if len(run) >= self._most:
                    break

    def _end(self, at: int, size: int, offsets: list[int], words: list[Span]) -> int:
        """Return one past the last character; of a needle that was cut, the end of its word."""
        word = bisect_right(offsets, at) - 1
        return words[word][1] if size == self._longest else words[word][0] + at - offsets[word] + 1


def _place(at: int, offsets: list[int], words: list[Span]) -> int:
    word = bisect_right(offsets, at) - 1
    return words[word][0] + at - offsets[word]
