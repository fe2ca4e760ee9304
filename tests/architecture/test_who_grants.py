"""Authority is given at the edge: who may call the makers of a `Granted`, and who may reach the web's doors."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path for top in ("libs", "services") for path in (ROOT / top).glob("*/src/**/*.py")
)
EDGE = {"depends.py", "routes.py", "routes", "wiring.py", "api"}
"""Files and folders at a service's edge."""


def imported(path: Path) -> Iterator[str]:
    """Every imported name, as module and member."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def users(name: str) -> set[str]:
    """Files that import this name, from the root of the repository."""
    return {str(path.relative_to(ROOT)) for path in SOURCES if name in set(imported(path))}


def test_grants_are_made_by_the_guard() -> None:
    assert users("common.access.grant") <= {"libs/common/src/common/web/guard.py"}


@pytest.mark.parametrize(
    "door",
    ["common.web.guard", "common.web.provided.provided", "common.web.provided.take"],
)
def test_consumers_and_use_cases_cannot_reach_the_doors_of_the_web(door: str) -> None:
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        if path.is_relative_to(ROOT / "services")
        for name in imported(path)
        if (name == door or name.startswith(f"{door}.")) and EDGE.isdisjoint(path.parts)
    }
    assert not found, "a route's guard decides; what is behind it gets a Granted"


def test_each_table_of_permissions_is_read_by_its_guard_alone() -> None:
    """`depends.py` makes the service's `Guards` of it; everybody else asks that guard."""
    services = sorted(path.name for path in (ROOT / "services").iterdir() if path.is_dir())
    tables = {
        f"{name}.permissions": f"services/{name}/src/{name}/depends.py"
        for name in services
        if (ROOT / f"services/{name}/src/{name}/permissions.py").exists()
    }
    assert len(tables) == 5
    for table, reader in tables.items():
        assert users(f"{table}.ACTIONS") == {reader}
        assert not users(table) | users(f"{table}.*"), "the table has no other door"
        asked = ast.walk(ast.parse((ROOT / reader).read_text("utf-8")))
        named = [node for node in asked if isinstance(node, ast.Name) and node.id == "ACTIONS"]
        assert len(named) == 1, "Guards(ACTIONS) and no more"
