"""The writer thread: drains the queue, runs the waiting units in one transaction, answers their
callers after its commit."""

import asyncio
import itertools
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Engine, RootTransaction
from sqlalchemy.exc import DBAPIError

from common.database.errors import (
    CommitUnknown,
    DatabaseUnavailable,
    TransactionBroken,
    connection_lost,
    disk_full,
    worth_retrying,
)
from common.database.prepared import send
from common.database.unit import GroupCommit, Unit
from common.faults import crash_point
from common.telemetry import describe

_log = logging.getLogger(__name__)

GROUP_LIMIT: Final = 128
CONFLICT_ATTEMPTS: Final = 8
_FIRST_PAUSE_S: Final = 0.02
_LONGEST_PAUSE_S: Final = 1.0
_IN_THE_FUTURE: Final = "22023"

Hook = Callable[[GroupCommit], None]


@dataclass(slots=True, eq=False)
class Job:
    """One waiting caller.

    `abandoned` is set when it stopped waiting, so that work nobody awaits is not begun.
    """

    work: Callable[[Unit], Any]
    answer: asyncio.Future[Any]
    abandoned: bool = False


@dataclass(slots=True)
class _Outcome:
    """What became of one job: a value, or the exception that undid it."""

    job: Job
    value: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class _Group:
    """What a group's transaction came to; `calls` are the units' after-commit calls."""

    outcomes: list[_Outcome]
    calls: list[Callable[[], None]]


class _CommitLost(Exception):
    """The connection went away during COMMIT: only the server knows what became of `group`."""

    def __init__(self, transaction: str, group: _Group) -> None:
        super().__init__("connection lost during commit")
        self.transaction = transaction
        self.group = group


class Writer(threading.Thread):
    """Owns one write connection.

    Ends when it takes None from the queue, after everything before it is done.
    """

    def __init__(
        self,
        engine: Engine,
        jobs: "queue.SimpleQueue[Job | None]",
        hooks: Sequence[Hook],
        *,
        loop: asyncio.AbstractEventLoop,
        name: str,
        retry_for: float,
    ) -> None:
        super().__init__(name=f"{name}-writer", daemon=True)
        self._engine = engine
        self._jobs = jobs
        self._hooks = hooks
        self._loop = loop
        self._retry_for = retry_for
        self._connection: Connection | None = None
        self.groups = 0

    def run(self) -> None:
        """Commit groups until told to end."""
        try:
            while self._next_group():
                pass
        finally:
            self._drop_connection()

    def _next_group(self) -> bool:
        job = self._jobs.get()
        if job is None:
            return False
        group = [job]
        more = True
        while len(group) < GROUP_LIMIT:
            try:
                waiting = self._jobs.get_nowait()
            except queue.Empty:
                break
            if waiting is None:
                more = False
                break
            group.append(waiting)
        group = [each for each in group if not each.abandoned]
        if group:
            self._settle(group)
        return more

    def _settle(self, jobs: list[Job]) -> None:
        """Bring the jobs to an end, trying the whole group again where that can help."""
        started = time.monotonic()
        for attempt in itertools.count(1):
            try:
                self._answer(self._run_group(jobs))
            except _CommitLost as lost:
                if not self._resolve(lost, started):
                    continue
            # Every kind must reach a caller: a dead writer thread would hang them all
            except Exception as error:  # noqa: BLE001
                self._drop_connection()
                if self._again(error, attempt, started):
                    continue
                self._give_up(jobs, error)
            return

    def _run_group(self, jobs: list[Job]) -> _Group:
        connection = self._connect()
        transaction = connection.begin()
        try:
            outcomes, units = self._run_units(connection, transaction, jobs)
            if not units:
                transaction.rollback()
                return _Group(outcomes, [])
            commit = GroupCommit(connection, units)
            for hook in self._hooks:
                hook(commit)
            identity = _transaction_id(connection)
        except BaseException:
            if transaction.is_active:
                with suppress(DBAPIError):
                    transaction.rollback()
            raise
        group = _Group(outcomes, [call for unit in (*units, commit) for call in unit.calls])
        crash_point("database.before-commit")
        try:
            transaction.commit()
        except DBAPIError as error:
            if identity is not None and connection_lost(error):
                raise _CommitLost(identity, group) from None
            raise
        # Dying here loses nothing: the group is durable, and its callers find it when they ask
        # again.
        crash_point("database.after-commit")
        self.groups += 1
        return group

    def _run_units(
        self, connection: Connection, transaction: RootTransaction, jobs: list[Job]
    ) -> tuple[list[_Outcome], list[Unit]]:
        outcomes: list[_Outcome] = []
        units: list[Unit] = []
        # A unit alone needs no savepoint: undoing it is undoing the transaction.
        savepoint = _UnitSavepoint(connection) if len(jobs) > 1 else None
        for job in jobs:
            unit = Unit(connection)
            if savepoint is not None:
                savepoint.place()
            try:
                outcome = _Outcome(job, job.work(unit))
                if not transaction.is_active or connection.get_nested_transaction() is not None:
                    raise TransactionBroken(
                        "a unit ended the transaction it shares, or left a step of its own open"
                    )
                units.append(unit)
            except Exception as error:
                if (
                    not transaction.is_active
                    or worth_retrying(error)
                    or connection.get_nested_transaction() is not None
                ):
                    raise
                if savepoint is not None:
                    savepoint.go_back()
                outcome = _Outcome(job, error=error)
            outcomes.append(outcome)
        return outcomes, units

    def _again(self, error: Exception, attempt: int, started: float) -> bool:
        """Decide whether to run the group once more, after a pause."""
        if not worth_retrying(error):
            return False
        lost = connection_lost(error)
        if (
            attempt >= CONFLICT_ATTEMPTS
            if not lost
            else time.monotonic() - started > self._retry_for
        ):
            return False
        _log.warning(
            "a group was not committed and will be tried again",
            extra={"attempts": attempt, "reason": "connection-lost" if lost else "conflict"},
        )
        _pause(attempt)
        return True

    def _give_up(self, jobs: list[Job], error: Exception) -> None:
        if worth_retrying(error):
            if disk_full(error):  # nobody was answered; it goes on by itself once there is room
                _log.error("the disk is full", extra={"alarm": "disk-full"})
            unavailable = DatabaseUnavailable("the database did not take the work in time")
            unavailable.__cause__ = error
            self._answer(_Group([_Outcome(job, error=unavailable) for job in jobs], []))
        elif len(jobs) == 1:
            self._answer(_Group([_Outcome(jobs[0], error=error)], []))
        else:
            # A hook, a deferred constraint or a broken unit spoiled the group and we cannot say
            # whose fault it was: each alone, one pays.
            for job in jobs:
                self._settle([job])

    def _resolve(self, lost: _CommitLost, started: float) -> bool:
        """Ask the server what became of a commit; running it again could do it twice.

        True when the callers have been answered, False when the group may run again.
        """
        for attempt in itertools.count(1):
            self._drop_connection()
            try:
                connection = self._connect()
                with connection.begin():
                    status = connection.exec_driver_sql(
                        "SELECT pg_xact_status(%s::xid8)", (lost.transaction,)
                    ).scalar()
            except DBAPIError as error:
                # A server that came back from a crash and calls the id one of the future never had
                # its commit.
                status = (
                    "aborted"
                    if getattr(error.orig, "sqlstate", None) == _IN_THE_FUTURE
                    else "unreachable"
                )
            if status == "aborted":
                return False
            if status == "committed":
                self._answer(lost.group)
                return True
            if status is None or time.monotonic() - started > self._retry_for:
                break
            _pause(attempt)
        unknown = CommitUnknown("the outcome of the commit is unknown")
        self._answer(
            _Group([_Outcome(outcome.job, error=unknown) for outcome in lost.group.outcomes], [])
        )
        return True

    def _answer(self, group: _Group) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is waiting any more
            self._loop.call_soon_threadsafe(_deliver, group)

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()


class _UnitSavepoint:
    """The one savepoint that moves from unit to unit.

    Plain SQL: nested-transaction objects cost as much as a small unit itself.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._placed = False
        self._dirty = True
        self._one_trip = connection.dialect.name == "postgresql"

    def place(self) -> None:
        """Set the savepoint before a unit. After a failed one it already stands where it must."""
        if not self._dirty:
            self._dirty = True
            return
        if not self._placed:
            self._say("SAVEPOINT hub_unit")
        elif self._one_trip:
            self._say("RELEASE SAVEPOINT hub_unit; SAVEPOINT hub_unit")
        else:
            self._say("RELEASE SAVEPOINT hub_unit")
            self._say("SAVEPOINT hub_unit")
        self._placed = True

    def go_back(self) -> None:
        """Undo a failed unit."""
        self._say("ROLLBACK TO SAVEPOINT hub_unit")
        self._dirty = False

    def _say(self, sql: str) -> None:
        send(self._connection, sql)


def _transaction_id(connection: Connection) -> str | None:
    """Return the id to ask PostgreSQL about a lost commit; None on SQLite, which loses none."""
    if connection.dialect.name != "postgresql":
        return None
    [(identity,)], _ = send(connection, "SELECT pg_current_xact_id()::text")
    return str(identity)


def _pause(attempt: int) -> None:
    time.sleep(min(_FIRST_PAUSE_S * 2 ** (attempt - 1), _LONGEST_PAUSE_S))


def _deliver(group: _Group) -> None:
    """Call what units asked for after the commit, then answer their callers."""
    for call in group.calls:
        try:
            call()
        # One caller's call must not keep the others from their answers
        except Exception as error:  # noqa: BLE001
            _log.error("an after-commit call failed", extra={"error": describe(error)})
    for outcome in group.outcomes:
        if outcome.job.answer.done():
            continue
        if outcome.error is None:
            outcome.job.answer.set_result(outcome.value)
        else:
            outcome.job.answer.set_exception(outcome.error)
