"""Sessions are opened in one place and in one mode: any other lets one caller undo 128."""

import ast
from pathlib import Path

from tests.architecture.tree import ROOT, parsed, python_files

PLACE = Path("libs/common/src/common/database/session.py")
FORBIDDEN = {"Session", "sessionmaker", "scoped_session", "async_sessionmaker", "AsyncSession"}


def test_nothing_makes_a_session_but_the_unit_of_work() -> None:
    found = []
    for path in python_files():
        if path == PLACE or path.parts[0] not in {"libs", "services", "deploy"}:
            continue
        imported = {
            alias.name
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.ImportFrom)
            and (node.module or "").split(".")[0] in {"sqlmodel", "sqlalchemy"}
            for alias in node.names
        }
        if imported & FORBIDDEN or "join_transaction_mode" in (ROOT / path).read_text("utf-8"):
            found.append(str(path))
    assert found == [], "open sessions by common.database.session"


def test_the_mode_is_a_savepoint_of_its_own() -> None:
    modes = [
        keyword.value.value if isinstance(keyword.value, ast.Constant) else None
        for node in ast.walk(parsed(PLACE))
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "join_transaction_mode"
    ]
    assert modes == ["create_savepoint"]
