"""The import contracts refuse each planted violation, and what they cannot see is asserted here
on the real tree.
"""

import ast
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import pytest

from tests.architecture import planted, tree
from tests.architecture.planted import LAYERS, NO_HTTP, ORDER, PURE, WIRED, Scratch

KNOWN: Final = frozenset(
    {"model", "use_cases", "ports", "repository", "routes", "schemas", "consumers", "worker"}
)
"""File names of a capability; at least one of them is in each folder."""

APART: Final = next(
    name for name in planted.contracts() if name.startswith("Services never import")
)

# name: (module, text, contract that refuses it). LOW and HIGH are the lowest and the highest folder
# of a service, SERVICE and OTHER two services.
PLANTED: Final = {
    "a model imports a use case": (
        "SERVICE.LOW.model",
        "from SERVICE.LOW import use_cases",
        LAYERS,
    ),
    "a use case imports its repository": (
        "SERVICE.LOW.use_cases",
        "from SERVICE.LOW import repository",
        LAYERS,
    ),
    "consumers import routes": (
        "SERVICE.LOW.consumers",
        "from SERVICE.LOW import routes",
        LAYERS,
    ),
    "a file that is not named": ("SERVICE.LOW.strange", "", LAYERS),
    "a folder that is not named": ("SERVICE.strange.model", "", ORDER),
    "a lower folder imports a higher one": (
        "SERVICE.LOW.use_cases",
        "from SERVICE.HIGH import model",
        ORDER,
    ),
    "a use case imports common.web": (
        "SERVICE.LOW.use_cases",
        "from common.web import guard",
        PURE,
    ),
    "a use case imports an HTTP problem": (
        "SERVICE.LOW.use_cases",
        "from common.problems import Problem",
        PURE,
    ),
    "a model imports a web framework": ("SERVICE.LOW.model", "import fastapi", PURE),
    "a port imports the database inside a function": (
        "SERVICE.LOW.ports",
        "def late():\n    import sqlalchemy",
        PURE,
    ),
    "a port imports the database for its types": (
        "SERVICE.LOW.ports",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import sqlalchemy",
        PURE,
    ),
    "a model that is a package": (
        "SERVICE.LOW.model.inner",
        "import fastapi",
        PURE,
    ),
    "a consumer raises an HTTP problem": (
        "SERVICE.LOW.consumers",
        "from common.problems import Problem",
        NO_HTTP,
    ),
    "a worker imports common.web": (
        "SERVICE.LOW.worker",
        "from common.web import guard",
        NO_HTTP,
    ),
    "one service imports another": (
        "SERVICE.LOW.use_cases",
        "import OTHER",
        APART,
    ),
    "a folder imports the repository of another": (
        "SERVICE.HIGH.use_cases",
        "from SERVICE.LOW import repository",
        WIRED,
    ),
    "a route imports its own repository": (
        "SERVICE.LOW.routes",
        "from SERVICE.LOW import repository",
        WIRED,
    ),
}


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return planted.mirror(tmp_path)


def test_the_copied_tree_breaks_no_contract(scratch: Scratch) -> None:
    assert scratch.broken() == set()


def filled(scratch: Scratch, service: str, text: str) -> str:
    """Put real names in a template, and make the files that it imports."""
    known = planted.folders(service)
    other = next(name for name in ("audit", "referral") if name != service)
    for folder in (known[0], known[-1]):
        for name in KNOWN:
            path = scratch.folder / service / folder / name
            if not path.is_dir() and not path.with_suffix(".py").exists():
                scratch.add(f"{service}.{folder}.{name}", "")
    for word, value in (
        ("SERVICE", service),
        ("OTHER", other),
        ("LOW", known[0]),
        ("HIGH", known[-1]),
    ):
        text = text.replace(word, value)
    return text


@pytest.mark.parametrize(
    ("service", "name"),
    [
        (service, name)
        for place, service in enumerate(planted.converted())
        for name, (_, _, contract) in PLANTED.items()
        if place == 0 or contract == ORDER  # the other contracts are one for all services
    ],
)
def test_a_planted_violation_breaks_its_contract(scratch: Scratch, service: str, name: str) -> None:
    template, text, contract = PLANTED[name]
    module, text = filled(scratch, service, template), filled(scratch, service, text)
    package = (scratch.folder / Path(*module.split("."))).parent
    package.with_suffix(".py").unlink(missing_ok=True)
    scratch.add(module, text)
    wanted = contract + service if contract == ORDER else contract
    assert wanted in scratch.broken()


@pytest.mark.parametrize("service", planted.converted()[:1])
def test_a_use_case_reaches_no_database_by_way_of_common(scratch: Scratch, service: str) -> None:
    """The chain through a module that may itself import the database is found as well."""
    module = filled(scratch, service, "SERVICE.LOW.use_cases")
    scratch.add("common.database", "import sqlalchemy")
    scratch.add(module, "import common.database")
    assert PURE in scratch.broken()


# What no contract sees.


def code_folders() -> list[Path]:
    """Every folder of services and libs that holds code, migrations apart."""
    return sorted(
        {
            path.parent
            for path in tree.python_files()
            if path.parts[0] in {"libs", "services"} and "src" in path.parts
        }
    )


def test_each_folder_of_code_is_a_package() -> None:
    """The contracts see no folder without an `__init__.py`."""
    assert not [
        str(folder)
        for folder in code_folders()
        if not (tree.ROOT / folder / "__init__.py").is_file()
    ]


def test_the_init_of_a_converted_service_holds_a_docstring_only() -> None:
    """Code there belongs to no layer."""
    full = []
    for folder in code_folders():
        if folder.parts[folder.parts.index("src") + 1] not in planted.converted():
            continue
        body = tree.parsed(folder / "__init__.py").body
        if not (len(body) == 1 and ast.get_docstring(tree.parsed(folder / "__init__.py"))):
            full.append(str(folder))
    assert not full, "move this into a file that has a layer"


@pytest.mark.parametrize("service", planted.converted())
def test_each_capability_holds_a_known_file(service: str) -> None:
    root = planted.source_root(service) / service
    assert not [
        folder
        for folder in planted.folders(service)
        if not KNOWN & {path.stem for path in (root / folder).iterdir()}
    ]


def test_no_member_imports_by_name_at_run_time() -> None:
    """An import by a string is seen by no contract."""
    assert not [
        f"{path}:{node.lineno}"
        for path in tree.python_files()
        if path.parts[0] in {"libs", "services"}
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id)
        in {"import_module", "__import__"}
    ]


def modules() -> set[str]:
    """Dotted names of every module and package of ours."""
    found = set()
    for path in tree.python_files():
        if path.parts[0] in {"libs", "services"} and "src" in path.parts:
            parts = path.with_suffix("").parts[path.parts.index("src") + 1 :]
            found.add(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def matches(pattern: str, known: set[str]) -> bool:
    """Whether a module matches, a star standing for one part of a name as in the contracts."""
    wanted = pattern.split(".")
    return any(
        len(parts := name.split(".")) == len(wanted)
        and all(fnmatchcase(part, each) for part, each in zip(parts, wanted, strict=True))
        for name in known
    )


def test_every_wildcard_of_the_contracts_matches_a_module() -> None:
    """A pattern that matches nothing is accepted in silence."""
    known = modules()
    patterns = {
        pattern
        for contract in planted.contracts().values()
        for key in ("containers", "source_modules", "protected_modules", "allowed_importers")
        for pattern in contract.get(key, ())
        if "*" in pattern
    }
    assert not sorted(pattern for pattern in patterns if not matches(pattern, known))


def test_a_wildcard_with_a_slip_would_be_noticed() -> None:
    assert matches("*.*.repository", {"referral.cases.repository"})
    assert not matches("*.*.use_casez", {"referral.cases.use_cases"})
    assert not matches("refferral.*", {"referral.cases"})


@pytest.mark.parametrize("service", planted.converted())
def test_the_layers_hold_in_every_converted_service(service: str) -> None:
    """A service with an order of folders is in the list of the layers, by one star."""
    assert f"{service}.*" in planted.contracts()[LAYERS]["containers"]
