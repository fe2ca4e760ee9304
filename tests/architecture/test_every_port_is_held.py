"""Each port has a fake, and one contract suite holds the fake and the real adapters to it.

A suite says what it holds in a list called `PORTS` (tests/support/port_suites.py).
"""

import ast
import importlib
import inspect
from functools import cache
from pathlib import Path
from types import FunctionType

from tests.architecture import tree
from tests.support.port_suites import Held

BUS = Path("libs/common/src/common/bus.py")


def is_for_ports(path: Path) -> bool:
    """Whether a file of services or libraries declares ports: by its name, or the bus."""
    return path.parts[0] in {"libs", "services"} and (
        path.name in {"port.py", "ports.py", "context.py"} or path == BUS
    )


def protocols() -> set[str]:
    """The full names of all ports."""
    return {
        f"{'.'.join(path.with_suffix('').parts[3:])}.{node.name}"
        for path in tree.python_files()
        if is_for_ports(path)
        for node in tree.parsed(path).body
        if isinstance(node, ast.ClassDef) and any(map(_is_protocol, node.bases))
    }


def _is_protocol(base: ast.expr) -> bool:
    found = base.value if isinstance(base, ast.Subscript) else base
    return isinstance(found, ast.Name) and found.id == "Protocol"


def suites() -> list[Path]:
    """The contract suites that list what they hold."""
    return [
        path
        for path in tree.python_files()
        if path.parts[:2] == ("tests", "contract")
        and any(_names_ports(node) for node in tree.parsed(path).body)
    ]


def _names_ports(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and node.target.id == "PORTS"
    )


@cache
def listed() -> dict[str, tuple[tuple[Held, Path], ...]]:
    """What each port's suites say of it."""
    found: dict[str, tuple[tuple[Held, Path], ...]] = {}
    for path in suites():
        suite = importlib.import_module(".".join(path.with_suffix("").parts))
        for held in suite.PORTS:
            name = _name(held.port)
            found[name] = (*found.get(name, ()), (held, path))
    return found


def _name(port: object) -> str:
    assert isinstance(port, type)
    return f"{port.__module__}.{port.__name__}"


def methods(port: object) -> dict[str, FunctionType]:
    """What a port itself asks for; what it inherits is asked by another port."""
    return {
        name: member
        for name, member in vars(port).items()
        if isinstance(member, FunctionType) and not name.startswith("_")
    }


def test_every_port_has_a_fake_under_the_suite_of_its_adapters() -> None:
    assert not protocols() - set(listed()), (
        "list these in PORTS of a suite in tests/contract, with the real adapters and a fake in "
        "tests/support, and run the suite on all of them"
    )
    assert not set(listed()) - protocols(), "these are ports no more"


def test_the_suites_of_a_port_call_each_of_its_methods() -> None:
    missing = {
        f"{name}.{method}"
        for name, said in listed().items()
        for held, _ in said
        for method in methods(held.port).keys() - _called({path for _, path in said})
    }
    assert not missing, "no test of a suite that lists these ports asks for these"


def _called(paths: set[Path]) -> set[str]:
    """What the suites ask for by name, themselves or through a use case or worker they drive."""
    return {
        node.attr
        for path in paths | {driven for path in paths for driven in _driven(path)}
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Attribute)
    }


def _driven(suite: Path) -> set[Path]:
    imported = {
        f"{node.module}.{alias.name}"
        for node in tree.parsed(suite).body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    return {
        path
        for path in tree.python_files()
        if path.parts[0] == "services"
        and {"use_cases", "use_cases.py", "worker.py"} & set(path.parts)
        and any(one.startswith(".".join(path.with_suffix("").parts[3:])) for one in imported)
    }


def test_adapters_and_fakes_take_what_their_port_gives() -> None:
    wrong = [
        f"{kind.__name__}.{asked} beside {name}"
        for name, said in listed().items()
        for held, _ in said
        for kind in (*held.real, held.fake)
        for asked, member in methods(held.port).items()
        if _parameters(getattr(kind, asked)) != _parameters(member)
    ]
    assert not wrong


def _parameters(function: FunctionType) -> list[tuple[str, object, object]]:
    return [
        (each.name, each.kind, each.default)
        for each in inspect.signature(function).parameters.values()
    ]
