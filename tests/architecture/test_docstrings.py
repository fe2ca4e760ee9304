"""What can be measured of docstrings: sentences of at most 20 words, each "Raises" at the start of
its own line, and a function's begins with a verb (CONTRIBUTING.md)."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture import tree

WORDS: Final = 20
# What stood at the beginning of docstrings here, or may: articles, pronouns, question words,
# prepositions, numerals, adverbs, adjectives and nouns. Plurals and "Returns" end in -s.
NO_VERBS: Final = frozenset(
    re.findall(
        r"\w+",
        """
        a an the all any both each either every neither no none other several some such he her his
        i it mine my one our ours she that their theirs them there these they this those us we you
        your anybody anyone anything everybody everyone everything nobody nothing somebody someone
        something whatever whichever whoever how what when where whether which who whom whose why
        above after among and as at because before behind below beside between but by during
        except for from if in into of on once only or over since so than then through to under
        until up upon while with within without two three four first second third last next half
        many most much more again almost also already always anew even ever exactly just nearly
        never not now often soon still there too yet can could does false has is may might must
        shall should true was will would decided different exact fresh given made new newest old
        oldest opened plain private proven public released same sealed signed silent single small
        told unpadded usual whole agency alembic caller case content database entry event header
        id java kafka node operator people person policy postgresql referral unix user utc
        """,
    )
)
_ROUTE_METHODS: Final = frozenset({"delete", "get", "head", "patch", "post", "put"})
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9`\"“(*])|(?<=:)\s+(?=[A-Z])")


def docstrings() -> Iterator[tuple[str, str]]:
    """Yield every docstring of services and libraries, with its place."""
    for path in tree.python_files():
        if path.parts[0] not in {"libs", "services"}:
            continue
        for node in ast.walk(tree.parsed(path)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text:
                    line = 1 if isinstance(node, ast.Module) else node.lineno
                    yield f"{path}:{line}", text


def _describes_something_else(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell whether a docstring need not say what its function does.

    A property's names the value, and a constructor's may describe its arguments. A route's is
    published as the operation's description in OpenAPI.
    """
    return node.name == "__init__" or any(
        ast.unparse(each) in {"property", "cached_property"}
        or (
            isinstance(each, ast.Call)
            and isinstance(each.func, ast.Attribute)
            and each.func.attr in _ROUTE_METHODS
        )
        for each in node.decorator_list
    )


def function_docstrings() -> Iterator[tuple[str, str]]:
    """Yield the docstrings that must say what a function does, with their places."""
    for path in tree.python_files():
        if path.parts[0] not in {"deploy", "libs", "services"}:
            continue
        for node in ast.walk(tree.parsed(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node)
                if text and not _describes_something_else(node):
                    yield f"{path}:{node.lineno}", text


def begins_with_a_verb(text: str) -> bool:
    """Tell whether the first word may be an imperative: one plain word that is known for no other.

    A name in backticks, a number, an acronym, a possessive, a plural and "Returns" are none.
    """
    first = re.match(r"([A-Z][a-z]+(?:-[a-z]+)*)(?=[\s.,:;])", text)
    return (
        first is not None
        and first[1].lower() not in NO_VERBS
        and re.search(r"[^s]s$", first[1]) is None
    )


def sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a docstring; a list item or a blank line ends one, too."""
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


def test_a_function_says_first_what_it_does() -> None:
    """Return, Read, Tell whether: not "The", "Whether", "What it is"."""
    wrong = [
        f"{place} {text.splitlines()[0]}"
        for place, text in function_docstrings()
        if not begins_with_a_verb(text)
    ]
    assert not wrong, "begin these with a verb in the imperative"


@pytest.mark.parametrize(
    "text",
    [
        "The path of a file.",
        "Whether it is open.",
        "Opened cases, oldest first.",
        "Returns the path.",
        "Seconds to wait.",
        "`path` and its name.",
        "SHA-256 of a file.",
        "Alembic's configuration.",
        "64 bytes.",
        "None: there is no such path.",
    ],
)
def test_the_check_of_the_first_word_can_fail(text: str) -> None:
    assert not begins_with_a_verb(text)
