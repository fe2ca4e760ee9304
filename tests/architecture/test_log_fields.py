"""What an alarm is about reaches the line: a field that no line may hold would be dropped in
silence."""

import ast
from collections.abc import Iterator

from common.telemetry import LOG_FIELDS
from tests.architecture import tree


def _given(source: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of each field of an `extra` that is written out."""
    for call in ast.walk(source):
        for keyword in call.keywords if isinstance(call, ast.Call) else ():
            if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
                yield from (
                    (key.lineno, str(key.value))
                    for key in keyword.value.keys
                    if isinstance(key, ast.Constant)
                )


def test_every_field_we_log_is_one_a_line_may_hold() -> None:
    dropped: list[str] = []
    found = 0
    for path in tree.python_files():
        for line, name in (
            _given(tree.parsed(path)) if path.parts[0] in {"libs", "services"} else ()
        ):
            found += 1
            if name not in LOG_FIELDS:
                dropped.append(f"{path}:{line} {name}")
    assert found > 50, "the search finds nothing to judge"
    assert not dropped
