"""What can be measured of the docstrings of services and libraries: sentences of at most 20 words,
and each "Raises" at the start of its own line (CONTRIBUTING.md)."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.architecture import tree

WORDS: Final = 20
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`\"“(*])|(?<=:)\s+(?=[A-Z])")
_UNSWEPT: Final = (
    "libs/common/src/common/sealed.py",
    "services/referral/src/referral/cases",
    "services/referral/src/referral/vetoes",
    "services/sharing/src/sharing/agreements/repository.py",
    "services/sharing/src/sharing/case_keys.py",
    "services/sharing/src/sharing/cases",
    "services/sharing/src/sharing/decisions",
    "services/sharing/src/sharing/disclosures",
    "services/sharing/src/sharing/inbox",
    "services/sharing/src/sharing/look_tables.py",
    "services/sharing/src/sharing/second_look",
    "services/sharing/src/sharing/tables.py",
    "services/sharing/src/sharing/wiring.py",
)
"""Written before this was measured, and still to be gone through; nothing is added here."""


def docstrings() -> Iterator[tuple[str, str]]:
    """Every docstring of services and libraries, with its place."""
    for path in tree.python_files():
        if path.parts[0] not in {"libs", "services"} or _is_unswept(path):
            continue
        for node in ast.walk(tree.parsed(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    line = 1 if isinstance(node, ast.Module) else node.lineno
                    yield f"{path}:{line}", text


def _is_unswept(path: Path) -> bool:
    return str(path).startswith(_UNSWEPT)


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
