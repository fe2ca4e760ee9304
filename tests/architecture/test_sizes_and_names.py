"""Limits on the longest file, function and line, and on names that say nothing."""

import ast
from pathlib import Path

from sharing.disclosures.model.disclosure import Hold, Standing, State
from tests.architecture import tree

FILE_LIMIT, TEST_FILE_LIMIT = 400, 500
FUNCTION_LIMIT = 50
COLUMNS = 100
COMMON_LINES, COMMON_SHARE = 12_000, 0.3
BANNED = {"utils", "util", "helpers", "helper", "misc", "core", "base", "manager", "managers"}

# Imports inside functions, each with its reason. Anything else belongs at the top of its file.
LOCAL_IMPORTS: dict[tuple[str, str], str] = {
    (
        "deploy/stack/jars.py",
        "jgo",
    ): "a development package; the rest of the file serves without it",
    (
        "deploy/stack/jars.py",
        "jgo.maven",
    ): "a development package; the rest of the file serves without it",
}


def test_no_file_is_too_long() -> None:
    long = {
        str(path): lines
        for path in tree.python_files()
        if (lines := len((tree.ROOT / path).read_text().splitlines()))
        > (TEST_FILE_LIMIT if tree.is_test(path) else FILE_LIMIT)
    }
    assert not long, "split these by what they are about"


def test_no_function_is_too_long() -> None:
    long = [
        f"{path}:{node.lineno} {node.name} has {length} lines"
        for path in tree.python_files()
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LIMIT
    ]
    assert not long, "give the parts of these names"


def test_common_stays_small() -> None:
    """What is shared has most readers; migrations are not counted."""
    lines = {path: len((tree.ROOT / path).read_text("utf-8").splitlines()) for path in members()}
    common = sum(count for path, count in lines.items() if path.parts[1] == "common")
    assert common <= COMMON_LINES
    assert common < COMMON_SHARE * sum(lines.values())


def test_no_line_of_services_and_libs_is_too_wide() -> None:
    """Ruff lets a line be longer that ends in a suppression."""
    wide = [
        f"{path}:{number} has {width} columns"
        for path in members()
        for number, line in enumerate((tree.ROOT / path).read_text("utf-8").splitlines(), 1)
        if (width := len(line)) > COLUMNS
    ]
    assert not wide, "break these"


def test_the_formatter_is_nowhere_switched_off() -> None:
    marks = ["# fmt: " + word for word in ("skip", "off")]
    assert not [
        str(path)
        for path in tree.python_files()
        if any(mark in (tree.ROOT / path).read_text("utf-8") for mark in marks)
    ]


def test_no_test_is_skipped() -> None:
    """What is missing is an error that says how to get it."""
    marks = ["pytest." + word for word in ("skip(", "importorskip", "mark.skip")]
    assert not [
        str(path)
        for path in tree.python_files()
        if any(mark in (tree.ROOT / path).read_text("utf-8") for mark in marks)
    ]


def test_the_states_of_a_disclosure_are_quoted_in_its_model_alone() -> None:
    """Everything else names `State`, `Standing` and `Hold`, so that one table says what follows what."""
    words = {*State, *Standing, *Hold}
    quoted = [
        f"{path}:{node.lineno} {node.value!r}"
        for path in members()
        if "sharing" in path.parts and path.parts[-3:] != ("disclosures", "model", "disclosure.py")
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Constant) and node.value in words
    ]
    assert not quoted


def test_no_name_that_says_nothing() -> None:
    vague = [
        str(path)
        for path in tree.files()
        if BANNED & {part.lower() for part in (*path.parts[:-1], path.stem)}
    ]
    assert not vague, "name these for what they hold"


def test_every_module_says_in_at_most_five_lines_what_it_is() -> None:
    wrong = []
    for path in tree.python_files():
        module = tree.parsed(path)
        if not module.body:
            continue
        doc = ast.get_docstring(module)
        if not doc or not doc.strip():
            wrong.append(f"{path}: no docstring")
        elif len(doc.splitlines()) > 5:
            wrong.append(f"{path}: {len(doc.splitlines())} lines")
    assert not wrong


def test_imports_stand_at_the_top() -> None:
    hidden = [
        f"{path}:{node.lineno} {name}"
        for path in tree.python_files()
        for function in ast.walk(tree.parsed(path))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _imported(node)
        if (str(path), name) not in LOCAL_IMPORTS
    ]
    assert not hidden, "move these up, or list them with a reason"


def test_each_listed_local_import_still_exists() -> None:
    found = {
        (str(path), name)
        for path in {Path(file) for file, _ in LOCAL_IMPORTS}
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in _imported(node)
    }
    assert set(LOCAL_IMPORTS) <= found


def test_a_suppressed_finding_names_its_rule_and_its_reason() -> None:
    bare = []
    for path in tree.python_files():
        for number, line in enumerate((tree.ROOT / path).read_text().splitlines(), 1):
            mark = line.partition("# noqa")[2]
            if "# noqa" in line and not mark.startswith(":"):
                bare.append(f"{path}:{number}")
            if "# type: ignore" in line and "# type: ignore[" not in line:
                bare.append(f"{path}:{number}")
    assert not [place for place in bare if not place.startswith("tests/architecture/")]


def members() -> list[Path]:
    """List the Python files of services and libs."""
    return [path for path in tree.python_files() if path.parts[0] in {"libs", "services"}]


def _imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    return (
        [alias.name for alias in node.names]
        if isinstance(node, ast.Import)
        else [node.module or ""]
    )
