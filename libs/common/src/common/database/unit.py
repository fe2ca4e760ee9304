"""One caller's work inside a group commit, and the group as its hooks see it."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection


class Unit:
    """What a work function may use: the group's connection, and calls after its commit.

    It may be run again from the start (serialisation failure, lost connection). So work must change
    nothing but the database and the unit.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._calls: list[Callable[[], None]] = []
        self._kept: dict[Hashable, list[Any]] = {}

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run `call` on the event loop once the group is durable. Forgotten when the unit fails."""
        self._calls.append(call)

    def keep(self, key: Hashable, item: object) -> None:
        """Collect `item` under `key` for a before-commit hook. Forgotten when the unit fails."""
        self._kept.setdefault(key, []).append(item)

    def kept(self, key: Hashable) -> Sequence[Any]:
        """Return what was collected under `key`, oldest first."""
        return self._kept.get(key, ())

    @property
    def calls(self) -> Sequence[Callable[[], None]]:
        """What is to run after the commit."""
        return self._calls

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Try a step: an exception undoes its SQL and all it collected, and goes on."""
        calls, kept = len(self._calls), {key: len(items) for key, items in self._kept.items()}
        savepoint = self.connection.begin_nested()
        try:
            yield
        except BaseException:
            if savepoint.is_active:
                savepoint.rollback()
            del self._calls[calls:]
            for key, items in self._kept.items():
                del items[kept.get(key, 0) :]
            raise
        savepoint.commit()


class GroupCommit(Unit):
    """The surviving units of one transaction, as the before-commit hooks see them."""

    def __init__(self, connection: Connection, units: Sequence[Unit]) -> None:
        super().__init__(connection)
        self.units = units

    def kept(self, key: Hashable) -> Sequence[Any]:
        """Return what all units of the group collected under `key`, in the order they ran."""
        return [item for unit in self.units for item in unit.kept(key)]
