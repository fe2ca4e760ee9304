"""One winner among parallel requests, on both dialects and with several writers: spent proofs and
idempotent answers."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from common.access import Principal, grant
from common.attempts import Answer, Attempt
from common.database import Database, Unit, ensure_schema, new_metadata
from common.problems import Problem
from common.web import idempotency, replay
from common.web.idempotency import Idempotency
from common.web.replay import SqlReplayGuard
from hubformats.clock import SystemClock
from tests.support.databases import database, database_url

__all__ = ["database", "database_url"]

METADATA = new_metadata()
PROOFS, ANSWERS = replay.table(METADATA), idempotency.table(METADATA)
UNTIL = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture
async def second(database: Database, database_url: str) -> AsyncIterator[Database]:
    """Another process's view of the same database: a replica, or this service after a restart."""
    await ensure_schema(database, METADATA)
    made = Database(database_url, clock=SystemClock(), name="second", retry_for=5)
    await made.start()
    yield made
    await made.stop()


async def test_a_proof_is_spent_once_among_replicas(database: Database, second: Database) -> None:
    guards = [SqlReplayGuard(one, PROOFS, SystemClock()) for one in (database, second)]
    told = await asyncio.gather(
        *(guards[number % 2].first_use("key", "jti", UNTIL) for number in range(20))
    )
    assert sorted(told) == [False] * 19 + [True]
    assert await guards[1].first_use("key", "other", UNTIL)


def attempt(answers: Idempotency, request: bytes = b"request") -> Attempt:
    """An attempt of one caller with one key."""
    principal = Principal(
        "i", "rms", "rms", "system", "northmoor-police", scopes=frozenset({"referral.write"})
    )
    granted = grant(
        principal, scope="referral.write", operation="collection", at=SystemClock().now()
    )
    return answers.attempt(granted, "k" * 20, request)


async def test_an_effect_happens_once_among_replicas(database: Database, second: Database) -> None:
    effects: list[int] = []
    lock = threading.Lock()

    def effect() -> Answer:
        with lock:
            effects.append(1)
        return Answer(201, {"number": len(effects)})

    async def ask(number: int) -> tuple[int, bool] | str:
        where = (database, second)[number % 2]
        answers = Idempotency(ANSWERS, b"s" * 32, SystemClock())

        def work(unit: Unit) -> Answer:
            return answers.once(unit.connection, attempt(answers), effect)

        try:
            answer = await where.write(work)
        except Problem as problem:
            return problem.code
        return int(answer.body["number"]), answer.replayed

    told = await asyncio.gather(*(ask(number) for number in range(20)))
    assert len(effects) == 1
    assert told.count((1, False)) == 1
    assert set(told) <= {(1, False), (1, True), "idempotency-in-flight"}
    assert await ask(1) == (1, True)


async def test_an_effect_that_was_undone_may_be_tried_again(
    database: Database, second: Database
) -> None:
    answers = Idempotency(ANSWERS, b"s" * 32, SystemClock())

    def fail() -> Answer:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        await database.write(lambda unit: answers.once(unit.connection, attempt(answers), fail))
    answer = await second.write(
        lambda unit: answers.once(unit.connection, attempt(answers), lambda: Answer(201, {}))
    )
    assert not answer.replayed


async def test_expired_rows_leave(database: Database, second: Database) -> None:
    guard = SqlReplayGuard(database, PROOFS, SystemClock())
    await guard.first_use("key", "old", datetime.now(UTC) - timedelta(seconds=1))
    assert await SqlReplayGuard(second, PROOFS, SystemClock()).first_use("key", "old", UNTIL), (
        "it could not be used again anyway"
    )
