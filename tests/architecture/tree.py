"""The repository as the architecture tests see it: tracked and new files, never what was installed
or generated."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@cache
def files() -> tuple[Path, ...]:
    """Every file git tracks or would track, relative to the root, that exists now."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(
        sorted(
            {Path(name) for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()}
        )
    )


def python_files() -> list[Path]:
    """Our Python files, migrations left out: Alembic writes those."""
    return [path for path in files() if path.suffix == ".py" and "migrations" not in path.parts]


def is_test(path: Path) -> bool:
    """Whether a file belongs to the tests, which may be a little longer."""
    return path.parts[0] == "tests"


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of one of `files()`."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), str(path))


def text(path: Path) -> str | None:
    """The text of one of `files()`, None for binary files."""
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
