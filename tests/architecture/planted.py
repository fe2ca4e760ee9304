"""A copy of the source tree with every module empty, to plant forbidden imports in and to check
with the real import contracts.
"""

import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.architecture import tree

EMPTY: Final = '"""Nothing yet."""\n'
LAYERS: Final = "Layers in every folder"
ORDER: Final = "Order of folders in "
PURE: Final = "Models, use cases and ports know no framework"
NO_HTTP: Final = "Messages and time know no HTTP"
WIRED: Final = "Repositories are wired, nothing else imports them"


@cache
def contracts() -> dict[str, dict[str, Any]]:
    """Return the contracts of pyproject.toml by name."""
    pyproject = tomllib.loads((tree.ROOT / "pyproject.toml").read_text("utf-8"))
    return {each["name"]: each for each in pyproject["tool"]["importlinter"]["contracts"]}


@cache
def converted() -> tuple[str, ...]:
    """List the services that are laid out as one folder per capability."""
    return tuple(name.removeprefix(ORDER) for name in contracts() if name.startswith(ORDER))


def layer_names(layer: str) -> list[str]:
    """Split one line of a layers contract into module names, marks of optional ones removed."""
    return [word.strip(" ()") for word in re.split(r"[|:]", layer)]


def folders(service: str) -> list[str]:
    """List the capability folders of a service that exist, the lowest first."""
    lines = contracts()[ORDER + service]["layers"]
    names = [name for line in reversed(lines) for name in layer_names(line)]
    root = source_root(service) / service
    return [name for name in names if (root / name / "__init__.py").is_file()]


def source_root(package: str) -> Path:
    """Find the `src` folder that holds a package."""
    return next(
        place
        for place in sorted(tree.ROOT.glob("*/*/src"))
        if (place / package / "__init__.py").is_file()
    )


@dataclass(frozen=True)
class Scratch:
    """One copy of the tree, in `folder`."""

    folder: Path

    def add(self, module: str, text: str) -> None:
        """Write a module, and the packages above it that are not there yet."""
        *packages, name = module.split(".")
        place = self.folder
        for package in packages:
            place /= package
            place.mkdir(exist_ok=True)
            init = place / "__init__.py"
            if not init.exists():
                init.write_text(EMPTY, "utf-8")
        if (place / name).is_dir():
            (place / name / "__init__.py").write_text(EMPTY + text + "\n", "utf-8")
        else:
            (place / f"{name}.py").write_text(EMPTY + text + "\n", "utf-8")

    def broken(self) -> set[str]:
        """Check all contracts and return the names of those that are broken.

        Raises AssertionError when the checker itself fails.
        """
        done = subprocess.run(
            [Path(sys.executable).parent / "lint-imports", "--no-cache", "--no-logo"],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "400"},
            capture_output=True,
            text=True,
            check=False,
        )
        said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
        found = {name for name in contracts() if re.search(rf"(?m)^{re.escape(name)} BROKEN", said)}
        assert (done.returncode == 1) == bool(found), said + done.stderr
        return found


def mirror(folder: Path) -> Scratch:
    """Copy the layout of all members and the text of the contracts into a folder."""
    for path in tree.python_files():
        if path.parts[0] in {"libs", "services"} and "src" in path.parts:
            place = folder / Path(*path.parts[path.parts.index("src") + 1 :])
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(EMPTY, "utf-8")
    for contract in contracts().values():
        # A protected package of others must be imported somewhere for the checker to know it.
        for module in contract.get("protected_modules", ()):
            if "." not in module and not (folder / module).exists():
                importer = folder / Path(*contract["allowed_importers"][0].split("."))
                place = (
                    importer / "__init__.py" if importer.is_dir() else importer.with_suffix(".py")
                )
                place.write_text(f"{EMPTY}import {module}\n", "utf-8")
    text = (tree.ROOT / "pyproject.toml").read_text("utf-8")
    begin = text.index("[tool.importlinter]")
    end = re.search(r"(?m)^\[tool\.(?!importlinter)", text[begin:])
    (folder / "pyproject.toml").write_text(
        text[begin : begin + end.start() if end else None], "utf-8"
    )
    return Scratch(folder)
