"""Authority is given at the edge: who may call the makers of a `Granted`, and who may reach the
web's doors.
"""

import ast
from pathlib import Path

import pytest

from tests.architecture import tree
from tests.architecture.reach import Sources

ROOT = tree.ROOT
SOURCES = Sources(
    ROOT, [path for path in tree.python_files() if "src" in path.parts and not tree.is_test(path)]
)
EDGE = {"depends.py", "routes.py", "routes", "wiring.py", "api"}
"""Files and folders at a service's edge."""
MAKERS = {
    "common.access.grant": {
        "libs/common/src/common/web/guard.py",
        "services/sharing/src/sharing/inbox/consumers.py",
    },
    "common.access.own_work": {"services/sharing/src/sharing/context.py"},
}
DOORS = ["common.web.guard", "common.web.provided.provided", "common.web.provided.take"]
ROADS = {
    "a name": "from {module} import {name}\n",
    "an alias": "from {module} import {name} as made\n",
    "a module": "from {package} import {last}\n{last}.{name}()\n",
    "a module by another name": "from {package} import {last} as other\nother.{name}()\n",
    "the whole path": "import {module}\n{module}.{name}()\n",
    "the path by another name": "import {module} as other\nother.{name}()\n",
    "a second name": "from {package} import {last}\nother = {last}\nother.{name}()\n",
    "an attribute's name": "from {package} import {last}\ngetattr({last}, '{name}')()\n",
    "who may": "from planted.allowed import {name}\n",
    "inside a function": "def f():\n    from {package} import {last}\n    return {last}.{name}\n",
}


def users(name: str) -> set[str]:
    """Files that reach this name, from the root of the repository."""
    return SOURCES.users(name)


def planted(folder: Path, maker: str, road: str) -> set[str]:
    """Plant a use of a maker in a scratch tree, beside one that may, and return the users found."""
    module, _, name = maker.rpartition(".")
    package, _, last = module.rpartition(".")
    written = {"module": module, "name": name, "package": package, "last": last}
    place = Path("services/planted/src/planted")
    (folder / place).mkdir(parents=True)
    texts = {"allowed.py": ROADS["a name"], "bad.py": ROADS[road], "good.py": "import {package}\n"}
    for file, text in texts.items():
        (folder / place / file).write_text(text.format(**written), "utf-8")
    found = Sources(folder, [place / file for file in texts]).users(maker)
    return {Path(path).name for path in found}


@pytest.mark.parametrize("maker", MAKERS)
def test_grants_are_made_at_the_edge(maker: str) -> None:
    assert users(maker) == MAKERS[maker]


def test_nobody_takes_all_names_or_a_seal() -> None:
    for path in SOURCES.files:
        reached = SOURCES.reached(path)
        assert not {name for name in reached if name.endswith((".*", "._SEAL"))}, path


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("maker", MAKERS)
def test_every_road_to_a_maker_is_seen(tmp_path: Path, maker: str, road: str) -> None:
    assert planted(tmp_path, maker, road) == {"allowed.py", "bad.py"}


@pytest.mark.parametrize("door", DOORS)
def test_consumers_and_use_cases_cannot_reach_the_doors_of_the_web(door: str) -> None:
    found = {
        str(path)
        for path in SOURCES.files
        if path.parts[0] == "services" and EDGE.isdisjoint(path.parts)
        for name in SOURCES.reached(path)
        if name == door or name.startswith(f"{door}.")
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
