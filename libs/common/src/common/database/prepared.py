"""Statements compiled once: SQLAlchemy writes the SQL and converts the values, and no work is done
anew for each call but that."""

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy.exc import DBAPIError, InvalidRequestError, MultipleResultsFound, NoResultFound

_Converter = Callable[[Any], Any]
_Statement = Select[Any] | Insert | Update | Delete

_NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The SQL of one dialect, its parameters in order, and how values are converted."""

    sql: str
    names: tuple[tuple[str, _Converter | None], ...]
    own: Mapping[str, Any]
    """Parameters whose value is the statement's own, as the driver wants it."""
    positional: bool
    row: Callable[[Any], Any] | None
    converters: tuple[_Converter | None, ...]
    """Of the columns; empty when the driver gives every value as it is."""

    def bound(self, row: Mapping[str, Any]) -> Any:
        """Turn a row into what the driver wants. Raises KeyError for a value left out."""
        if self.own:
            row = {**row, **self.own}
        if self.positional:
            return tuple(
                [
                    row[name] if convert is None else convert(row[name])
                    for name, convert in self.names
                ]
            )
        return {
            name: row[name] if convert is None else convert(row[name])
            for name, convert in self.names
        }

    def answered(self, found: Sequence[Sequence[Any]]) -> list[Any]:
        """Turn what the driver fetched into rows."""
        made, converters = self.row, self.converters
        if made is None:
            return []
        if not converters:
            return [made(each) for each in found]
        return [
            made(
                [
                    value if convert is None else convert(value)
                    for value, convert in zip(each, converters, strict=True)
                ]
            )
            for each in found
        ]


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement answered, all of it read: named tuples.

    `rowcount` is how many rows an UPDATE or DELETE without RETURNING met.
    """

    found: list[Any]
    rowcount: int

    def __iter__(self) -> Iterator[Any]:
        """Iterate over the rows, in the order of the database."""
        return iter(self.found)

    def first(self) -> Any | None:
        """Return the first row, or None."""
        return self.found[0] if self.found else None

    def one_or_none(self) -> Any | None:
        """Return the only row, or None. Raises MultipleResultsFound."""
        if len(self.found) > 1:
            raise MultipleResultsFound("one row was expected")
        return self.first()

    def one(self) -> Any:
        """Return the only row. Raises NoResultFound, MultipleResultsFound."""
        if not self.found:
            raise NoResultFound("a row was expected")
        return self.one_or_none()

    def scalar_one(self) -> Any:
        """Return the first value of the only row. Raises NoResultFound, MultipleResultsFound."""
        return self.one()[0]

    def scalar_one_or_none(self) -> Any | None:
        """Return the first value of the only row, or None. Raises MultipleResultsFound."""
        return self.one()[0] if self.found else None

    def scalars(self) -> list[Any]:
        """Return the first value of each row."""
        return [row[0] for row in self.found]


class Prepared:
    """One statement with its parameters by name, for what every request runs.

    What SQLAlchemy does besides, at each execution, costs many times the statement itself. So this
    goes to the driver, inside the connection's transaction. Errors and lost connections are as
    SQLAlchemy has them. Every row gives every parameter.
    """

    def __init__(self, statement: _Statement | Callable[[str], _Statement], *columns: str) -> None:
        """Take `statement`, or a function that makes it for a dialect's name.

        `columns` are those an INSERT or UPDATE fills by name.
        """
        self._statement = statement
        self._columns = columns
        self._compiled: dict[str, _Compiled] = {}

    def run(self, connection: Connection, row: Mapping[str, Any] = _NOTHING) -> Rows:
        """Execute once.

        Raises KeyError for a parameter left out, DBAPIError, InvalidRequestError outside a
        transaction.
        """
        compiled = self._for(connection.dialect)
        return _execute(connection, compiled, compiled.bound(row), many=False)

    def run_many(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Execute for each row, as one statement; nothing for no rows. Raises as `run`."""
        if rows:
            compiled = self._for(connection.dialect)
            _execute(connection, compiled, [compiled.bound(row) for row in rows], many=True)

    def _for(self, dialect: Dialect) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = self._compile(dialect)
        return found

    def _compile(self, dialect: Dialect) -> _Compiled:
        statement = self._statement(dialect.name) if callable(self._statement) else self._statement
        made = statement.compile(dialect=dialect, column_keys=list(self._columns) or None)
        binds = {name: bind for bind, name in made.bind_names.items()}
        converters = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for name, bind in binds.items()
        }
        own = {name: bind.effective_value for name, bind in binds.items() if not bind.required}
        own = {
            name: value if (convert := converters[name]) is None else convert(value)
            for name, value in own.items()
        }
        order = (
            made.positiontup if made.positional and made.positiontup is not None else list(binds)
        )
        names = tuple((name, None if name in own else converters[name]) for name in order)
        return _Compiled(str(made), names, own, made.positional, *_answering(statement, dialect))


def _answering(
    statement: _Statement, dialect: Dialect
) -> tuple[Callable[[Any], Any] | None, tuple[_Converter | None, ...]]:
    """Return what makes a row of the answer (None without one) and what converts its values."""
    columns = list(statement.exported_columns)
    if not columns:
        return None, ()
    # What has no name of its own, such as a count, gets its place as one.
    names = [column.key or "" for column in columns]  # known at run time only
    row = namedtuple("Row", names, rename=True)  # type: ignore[misc]  # noqa: PYI024
    converters = tuple(
        column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
    )
    return row._make, converters if any(converters) else ()


def _execute(connection: Connection, compiled: _Compiled, parameters: Any, *, many: bool) -> Rows:
    nested = connection.get_nested_transaction()
    if not connection.in_transaction() or (nested is not None and not nested.is_active):
        # SQLAlchemy would begin one here, or refuse; the driver would commit the statement alone.
        raise InvalidRequestError("a prepared statement runs inside a transaction only")
    found, rowcount = send(connection, compiled.sql, parameters, many=many)
    return Rows(compiled.answered(found), rowcount)


def send(
    connection: Connection, sql: str, parameters: Any = None, *, many: bool = False
) -> tuple[list[Any], int]:
    """Send plain SQL straight to the driver; return its rows and how many were changed.

    With `many`, once for each of `parameters`, and no rows. For what stands around transactions;
    inside one, the caller sees to it that it is open.

    Raises DBAPIError.
    """
    driver, cursor = connection.connection, None
    try:
        cursor = driver.cursor()
        for listener in connection.dispatch.before_cursor_execute:
            sql, parameters = listener(connection, cursor, sql, parameters, None, many)
        if many:
            cursor.executemany(sql, parameters)
        elif parameters is None:
            cursor.execute(sql)
        else:
            cursor.execute(sql, parameters)
        rows = [] if many or cursor.description is None else list(cursor.fetchall())
        return rows, cursor.rowcount
    except connection.dialect.loaded_dbapi.Error as error:
        # As SQLAlchemy's own execution: name it, hide the values, give up a lost connection.
        lost = connection.dialect.is_disconnect(error, driver, cursor)
        named = DBAPIError.instance(
            sql,
            parameters,
            error,
            connection.dialect.loaded_dbapi.Error,
            hide_parameters=connection.engine.hide_parameters,
            connection_invalidated=lost,
            dialect=connection.dialect,
            ismulti=many,
        )
        if cursor is not None:
            with suppress(Exception):
                cursor.close()
        if lost:
            connection.invalidate(error)
        raise named from error
