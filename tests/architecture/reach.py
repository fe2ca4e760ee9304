"""Who reaches a function, however it is imported: by its name, by an alias, or through a module."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

DEPTH: Final = 5
"""How many modules an import may pass a name on through."""

_NODES: Final = (ast.Import, ast.ImportFrom, ast.Assign, ast.Attribute, ast.Call)


def bindings(nodes: Iterable[ast.AST]) -> Mapping[str, str]:
    """What each imported or simply assigned name of a module stands for, as a dotted path."""
    found: dict[str, str] = {}
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                found[alias.asname or first] = alias.name if alias.asname else first
    for node in nodes:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            meant = dotted(node.value, found)
            if meant is not None:
                found.setdefault(node.targets[0].id, meant)
    return found


def dotted(node: ast.expr, names: Mapping[str, str]) -> str | None:
    """The path that a name or an attribute stands for, None for anything else."""
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return None if before is None else f"{before}.{node.attr}"
    if (
        isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "getattr"
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
        and isinstance(node.args[1].value, str)
    ):
        before = dotted(node.args[0], names)
        return None if before is None else f"{before}.{node.args[1].value}"
    return None


def module_of(path: Path) -> str:
    """The name by which a file is imported, from its path below the root."""
    parts = path.parts[path.parts.index("src") + 1 :] if "src" in path.parts else path.parts
    return ".".join(parts).removesuffix(".py").removesuffix(".__init__")


@dataclass(frozen=True)
class Sources:
    """Some Python files below a root."""

    root: Path
    files: Iterable[Path]

    def users(self, *names: str) -> set[str]:
        """Files that import or use one of these names; the module that defines it is left out."""
        return {
            str(path)
            for path in self._parsed
            if any(
                name in self._reached[path] and not name.startswith(f"{module_of(path)}.")
                for name in names
            )
        }

    def reached(self, path: Path) -> frozenset[str]:
        """Every path that this file imports or uses."""
        return self._reached[path]

    @cached_property
    def _parsed(self) -> dict[Path, list[ast.AST]]:
        """Of each file the nodes that matter, in the order of `ast.walk`: it is slow."""
        return {
            path: [
                node
                for node in ast.walk(ast.parse((self.root / path).read_text("utf-8")))
                if isinstance(node, _NODES)
            ]
            for path in self.files
        }

    @cached_property
    def _names(self) -> dict[str, Mapping[str, str]]:
        return {module_of(path): bindings(nodes) for path, nodes in self._parsed.items()}

    @cached_property
    def _reached(self) -> dict[Path, frozenset[str]]:
        return {
            path: frozenset(
                meant
                for found in set(self._of(module_of(path), nodes))
                for meant in self._meant(found)
            )
            for path, nodes in self._parsed.items()
        }

    def _of(self, module: str, nodes: Iterable[ast.AST]) -> Iterator[str]:
        """What the file names, as it names it."""
        names = self._names[module]
        yield from names.values()
        for node in nodes:
            if isinstance(node, ast.Attribute | ast.Call):
                found = dotted(node, names)
                if found is not None:
                    yield found
            elif isinstance(node, ast.ImportFrom) and any(a.name == "*" for a in node.names):
                yield f"{node.module}.*"

    def _meant(self, path: str, depth: int = DEPTH) -> Iterator[str]:
        """The path itself, and what it is where the module named in it only passes it on."""
        yield path
        parts = path.split(".")
        for cut in range(1, len(parts)):
            passed = self._names.get(".".join(parts[:cut]), {}).get(parts[cut])
            if passed is not None and depth:
                yield from self._meant(".".join([passed, *parts[cut + 1 :]]), depth - 1)
