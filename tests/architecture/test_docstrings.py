"""What can be measured of the docstrings of services and libraries: sentences of at most 20 words,
and each "Raises" at the start of its own line (CONTRIBUTING.md)."""

import ast
import re
from collections.abc import Iterator
from typing import Final

from tests.architecture import tree

WORDS: Final = 20
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`\"“(*])|(?<=:)\s+(?=[A-Z])")


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of services and libraries, with its place."""
    for path in tree.python_files():
        if path.parts[0] not in {"libs", "services"}:
            continue
        for node in ast.walk(tree.parsed(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    line = 1 if isinstance(node, ast.Module) else node.lineno
                    yield f"{path}:{line}", text


def sentences(text: str) -> Iterator[str]:
    """The sentences of a docstring; a list item or a blank line ends one, too."""
    for part in re.split(r"\n\s*\n|\n(?=\s*(?:- |[0-9]+\. |Raises ))", text):
        yield from _SENTENCE.split(" ".join(part.split()))


def test_sentences_are_short() -> None:
    long = [
        f"{place} has {count} words: {sentence}"
        for place, text in docstrings()
        for sentence in sentences(text)
        if (count := len(sentence.split())) > WORDS
    ]
    assert not long, "say these in two sentences"


def test_raises_stands_on_its_own_line() -> None:
    """A docstring of one line may end with it."""
    hidden = [
        f"{place} {line.strip()}"
        for place, text in docstrings()
        if "\n" in text
        for line in text.splitlines()
        if re.search(r"\S.*\bRaises [A-Z`]", line)
    ]
    assert not hidden, "begin a line with these"
