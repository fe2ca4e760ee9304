"""Statements compiled once: SQLAlchemy writes the SQL and converts the values, and no work is done anew for each call but that."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, CursorResult, Delete, Dialect, Insert, Update

_Converter = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The SQL of one dialect, its parameters in order with what converts them, and those whose value is the statement's own."""

    sql: str
    names: tuple[tuple[str, _Converter | None], ...]
    own: Mapping[str, Any]
    positional: bool

    def bound(self, row: Mapping[str, Any]) -> Any:
        """The row as the driver wants it. Raises KeyError for a value left out."""
        own = self.own
        if self.positional:
            return tuple(own[name] if name in own else row[name] if convert is None else convert(row[name]) for name, convert in self.names)
        return {name: own[name] if name in own else row[name] if convert is None else convert(row[name]) for name, convert in self.names}


class Prepared:
    """One INSERT, UPDATE or DELETE with its parameters by name, for what every request runs.

    What an ordinary execution of the same statement does besides costs several times the statement itself. Every row gives
    every parameter; what RETURNING answers comes as the driver gives it, so return numbers and bytes only.
    """

    def __init__(self, statement: Insert | Update | Delete | Callable[[str], Insert | Update | Delete], *columns: str) -> None:
        """`statement`, or a function that makes it for a dialect's name. `columns` are those an INSERT fills."""
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, row: Mapping[str, Any]) -> CursorResult[Any]:
        """Execute once."""
        compiled = self._for(connection.dialect)
        return connection.exec_driver_sql(compiled.sql, compiled.bound(row))

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute for each row, as one statement; nothing for no rows."""
        if rows:
            compiled = self._for(connection.dialect)
            connection.exec_driver_sql(compiled.sql, [compiled.bound(row) for row in rows])

    def _for(self, dialect: Dialect) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> _Compiled:
        statement = self._statement(dialect.name) if callable(self._statement) else self._statement
        made = statement.compile(dialect=dialect, column_keys=list(self._columns) or None)
        binds = {name: bind for bind, name in made.bind_names.items()}
        converters = {name: bind.type.dialect_impl(dialect).bind_processor(dialect) for name, bind in binds.items()}
        own = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        own = {name: value if (convert := converters[name]) is None else convert(value) for name, value in own.items()}
        order = made.positiontup if made.positional and made.positiontup is not None else list(binds)
        return _Compiled(str(made), tuple((name, converters[name]) for name in order), own, made.positional)
