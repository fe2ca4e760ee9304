"""Documents that cannot drift: paths, links, commands, functions, crash points and examples named
in them are there."""

import ast
import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import TypeAdapter

from hubpartner.cli import app
from referral.intake.model.form import AnyReferral
from tests.architecture import tree

PAGES = [path for path in tree.files() if path.suffix == ".md"]
PROSE = [
    path
    for path in PAGES
    if path.parts[0] == "docs" or path.name in {"README.md", "CONTRIBUTING.md", "SECURITY.md"}
]
LIFE = Path("docs/life-of-a-referral.md")
TOPS = {path.parts[0] for path in tree.files()}
MADE_AT_RUN_TIME = {".run", ".venv", ".tools"}
WRITTEN_BY_A_HUB = {"bootstrap.json", "operator.toml", "auditor.toml"}
"""Files of a data folder; what writes them is tested in tests/unit/identity/test_bootstrap.py."""
SHAPE = ["Purpose", "Life of", "Events", "Tables", "Settings"]


def text(path: Path) -> str:
    return (tree.ROOT / path).read_text(encoding="utf-8")


def spans(path: Path) -> list[str]:
    """Every `code span` outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^ *```.*?^ *```", "", text(path)))


def is_path(span: str) -> bool:
    """A path from the repository's root, as opposed to a URL, a module or a pattern."""
    first, slash, rest = span.partition("/")
    return bool(
        slash and rest and first in TOPS - MADE_AT_RUN_TIME and re.fullmatch(r"[\w.@/-]+", span)
    )


@pytest.mark.parametrize("page", PROSE, ids=str)
def test_every_path_named_exists(page: Path) -> None:
    missing = sorted(
        {span for span in spans(page) if is_path(span) and not (tree.ROOT / span).exists()}
    )
    assert not missing, "these moved or went"


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_relative_link_resolves(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text(page)):
        place, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        wanted = tree.ROOT / page.parent / place if place else tree.ROOT / page
        if not wanted.exists() or (anchor and anchor not in anchors(wanted)):
            broken.append(target)
    assert not broken


def anchors(page: Path) -> set[str]:
    """The anchors a page's headings get."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readers_map_is_true() -> None:
    """The README names each folder, and where to start reading in it."""
    rows = re.findall(r"(?m)^    ((?:services|libs)/\w+)/ .* (src/\S+)$", text(Path("README.md")))
    assert len(rows) == 9
    assert not [
        f"{folder}/{start}" for folder, start in rows if not (tree.ROOT / folder / start).exists()
    ]


def named_functions() -> Iterator[tuple[str, str]]:
    """In the life of a referral: each `name()` or `Name` with the path that stands before it."""
    current = ""
    for span in spans(LIFE):
        if is_path(span):
            current = span
        elif current.endswith(".py") and re.fullmatch(r"[\w.]+\(\)", span):
            yield current, span.removesuffix("()")


@cache
def defined(path: str) -> frozenset[str]:
    """Functions of a module, and methods as `Class.method`."""
    found: set[str] = set()
    for node in tree.parsed(Path(path)).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}.{part.name}"
                for part in node.body
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return frozenset(found)


def test_every_function_of_the_story_is_where_it_says() -> None:
    named = list(named_functions())
    assert len(named) > 50
    assert not [f"{path}: {name}" for path, name in named if name not in defined(path)]


def test_every_crash_point_of_the_story_is_in_the_code() -> None:
    code = "".join(tree.text(path) or "" for path in tree.python_files() if not tree.is_test(path))
    points = set(re.findall(r'crash_point\("([\w.-]+)"\)', code))
    named = {
        span
        for note in re.findall(r"\*Crash[^*]*\*\s*\(([^)]*)\)", text(LIFE))
        for span in re.findall(r"`([\w.-]+)`", note)
    }
    assert named
    assert named <= points


def test_the_story_is_numbered_without_a_gap_and_names_every_operation_it_logs() -> None:
    numbers = [int(number) for number in re.findall(r"(?m)^(\d+)\. ", text(LIFE))]
    assert numbers == list(range(1, len(numbers) + 1))
    operations = {
        "collection",
        "disclosure",
        "blocked",
        "delivered",
        "consultation",
        "saved",
        "acknowledged",
        "audit_query",
        "denied",
    }
    assert not [name for name in operations if f"`{name}`" not in text(LIFE)]


# commands


def make_targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z][a-z-]*):", text(Path("Makefile"))))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_make_target_exists(page: Path) -> None:
    inline = [span for span in spans(page) if span.startswith("make ")]
    blocks = re.findall(r"(?m)^(?: {4}|\$ )(make [^\n#]*)", text(page))
    named = {
        line.split()[1]
        for line in (*inline, *blocks)
        if len(line.split()) > 1 and re.fullmatch(r"[a-z-]+", line.split()[1])
    }
    assert named <= make_targets()


def command_lines() -> list[tuple[str, str]]:
    """Every `hubctl …` line of the documents, with the page it stands on."""
    found = []
    for page in PROSE:
        inline = [span for span in spans(page) if span.startswith("hubctl ")]
        blocks = re.findall(r"(?m)^(?: {4})?((?:\S*/)?hubctl (?!=)[^\n]*)$", text(page))
        found += [
            (str(page), line)
            for line in dict.fromkeys((*inline, *blocks))
            if not line.startswith("hubctl …")
        ]
    return found


def alternatives(line: str) -> Iterator[list[str]]:
    """The commands of one line: comments and brackets off; `a ID | b ID`, `a|b` and `; c` read as
    the commands they stand for.
    """
    line = re.sub(
        r"[\[\]]", "", re.split(r"\s#|\s\\\\$| > ", line)[0].replace("…", "...")
    ).partition("hubctl ")[2]
    for segment in line.split(";"):
        first, *others = (shlex.split(part) for part in segment.split(" | "))
        group = next((place for place, word in enumerate(first) if word in GROUPS), len(first))
        for words in (first, *([*first[: group + 1], *other] for other in others)):
            yield from spelled_out(words)


def spelled_out(words: list[str]) -> Iterator[list[str]]:
    """`pause|resume NAME` as two commands."""
    for place, word in enumerate(words):
        if re.fullmatch(r"[a-z]+(\|[a-z]+)+", word):
            yield from ([*words[:place], choice, *words[place + 1 :]] for choice in word.split("|"))
            return
    yield words


GROUPS = set(app.commands)


@pytest.mark.parametrize(("page", "line"), command_lines(), ids=lambda value: value)
def test_every_hubctl_command_is_one(page: str, line: str) -> None:
    for words in alternatives(line):
        names, options, strange = subcommand(words)
        assert names, f"{page} names a command that is none: {line}"
        assert not strange, f"{page}: {' '.join(names)} has no {strange}"
        shown = CliRunner().invoke(app, [*names, "--help"])
        assert shown.exit_code == 0, shown.output
        assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options, (
            f"{page}: {line}"
        )


def subcommand(words: list[str]) -> tuple[list[str], set[str], list[str]]:
    """Names of the subcommand that these words call, the options it and its parents have, and words
    that a group does not know.
    """
    command: Any = app
    names: list[str] = []
    options = {option for parameter in command.params for option in parameter.opts}
    rest = words
    for place, word in enumerate(words):
        inner = getattr(command, "commands", {}).get(word)
        if inner is not None:
            command, rest = inner, words[place + 1 :]
            names.append(word)
            options |= {option for parameter in command.params for option in parameter.opts}
    if not hasattr(command, "commands"):
        return names, options, []
    return (
        names,
        options,
        [
            w
            for before, w in zip(["", *rest], rest, strict=False)
            if not w.startswith("--") and not before.startswith("--")
        ],
    )


@pytest.mark.parametrize(
    "line",
    [
        "hubctl inbox keep ID",
        "hubctl inbox show ID | keep ID",
        "hubctl service pause x ; service stop x",
        "hubctl sing",
    ],
)
def test_a_command_that_is_none_would_be_noticed(line: str) -> None:
    found = [subcommand(words) for words in alternatives(line)]
    assert any(strange or not names for names, _, strange in found)


def test_commands_were_found_at_all() -> None:
    assert len(command_lines()) > 20


# examples


@pytest.mark.parametrize(
    "example",
    sorted(path for path in tree.files() if path.parts[0] == "examples" and path.suffix == ".json"),
    ids=str,
)
def test_every_example_is_a_form_that_referral_takes(example: Path) -> None:
    adapter: TypeAdapter[object] = TypeAdapter(AnyReferral)
    adapter.validate_json((tree.ROOT / example).read_bytes())
    assert json.loads(text(example))["form"] in {"full", "urgent"}


def test_an_example_with_an_unknown_field_would_be_noticed() -> None:
    adapter: TypeAdapter[object] = TypeAdapter(AnyReferral)
    with pytest.raises(ValueError, match="surprise"):
        adapter.validate_python(
            {**json.loads(text(Path("examples/referral-urgent.json"))), "surprise": 1}
        )


# one page per member


@pytest.mark.parametrize(
    "member", ["referral", "sharing", "audit", "identity", "portal", "standalone"]
)
def test_every_service_has_its_page_in_the_same_shape(member: str) -> None:
    page = Path("services") / member / "README.md"
    headings = re.findall(r"(?m)^## (.+)$", text(page))
    assert text(page).startswith("# ")
    places = [
        next((place for place, heading in enumerate(headings) if heading.startswith(word)), None)
        for word in SHAPE[1:]
    ]
    found = [place for place in places if place is not None]
    assert len(found) == len(SHAPE) - 1, f"{page} lacks one of {SHAPE[1:]}"
    assert found == sorted(found), f"{page} has them in another order"


@pytest.mark.parametrize("member", ["common", "partner"])
def test_every_library_has_its_page(member: str) -> None:
    assert text(Path("libs") / member / "README.md").startswith("# ")


@pytest.mark.parametrize(
    "page", [path for path in PAGES if path.name == "README.md" and len(path.parts) == 3], ids=str
)
def test_every_file_a_members_page_names_exists(page: Path) -> None:
    """Paths there are relative to the package, or to the member's folder."""
    member = tree.ROOT / page.parent
    packages = [path for path in (member / "src").iterdir() if path.is_dir()]
    named = {
        span.partition(":")[0]
        for span in spans(page)
        if re.fullmatch(r"[\w/-]+\.(py|toml|cedar|cedarschema|yaml|json)(:\w+)?", span)
    }
    missing = sorted(
        name
        for name in named - WRITTEN_BY_A_HUB
        if not any((place / name).exists() for place in (member, tree.ROOT, *packages))
        and not bare(member, name)
    )
    assert not missing


def bare(member: Path, name: str) -> bool:
    """A file named without its folder, which the sentence around it gives."""
    return "/" not in name and any(member.rglob(name))
