"""Idempotency, pages and preconditions: what a client may repeat, continue or change."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import select

from common.access import Granted, Principal, grant
from common.attempts import Answer
from common.database import Unit
from common.problems import Problem
from common.testing import ManualClock
from common.web import etags, paging
from tests.support.web_harness import MARKER, Harness, problem, running


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """A running service with one good caller."""
    async with running(tmp_path) as made:
        yield made


async def test_a_repeat_gets_the_same_answer_and_no_second_effect(harness: Harness) -> None:
    first, second = await harness.make(), await harness.make()
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert (
        "idempotency-replayed" in first.headers,
        second.headers.get("idempotency-replayed"),
    ) == (False, "true")
    assert harness.effects == ["police-rms"]


async def test_twenty_at_once_have_one_effect(harness: Harness) -> None:
    answers = await asyncio.gather(*(harness.make() for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(harness.effects) == 1


async def test_a_key_used_for_another_request_is_422(harness: Harness) -> None:
    await harness.make()
    problem(
        await harness.make(body={"people": [{"familyName": MARKER}]}), 422, "idempotency-key-reused"
    )
    query = await harness.call(
        "POST",
        "/v1/things?dry_run=true",
        json={"people": [{"familyName": "Quill"}]},
        headers={"Idempotency-Key": "k" * 20},
    )
    problem(query, 422, "idempotency-key-reused")
    assert len(harness.effects) == 1


async def test_keys_of_two_clients_are_two_keys(harness: Harness) -> None:
    await harness.make()
    other = await harness.make(
        token=harness.token(sub="idva-cms", client_id="idva-cms"), body={"people": []}
    )
    assert other.status_code == 201
    assert harness.effects == ["police-rms", "idva-cms"]


@pytest.mark.parametrize("key", ["", "short", "x" * 65, f"{MARKER} {MARKER}"])
async def test_a_missing_or_odd_key_is_400(harness: Harness, key: str) -> None:
    problem(await harness.make(key), 400, "idempotency-key-missing")


async def test_a_refused_request_does_not_use_up_its_key(harness: Harness) -> None:
    attempt = harness.idempotency.attempt(caller(), "k" * 20, b"request")

    def refuse() -> Answer:
        raise Problem("conflict")

    with pytest.raises(Problem):
        await harness.database.write(
            lambda unit: harness.idempotency.once(unit.connection, attempt, refuse)
        )
    answer = await harness.database.write(
        lambda unit: harness.idempotency.once(
            unit.connection, attempt, lambda: Answer(201, {"a": 1})
        )
    )
    assert (answer.status, answer.replayed) == (201, False)


async def test_stored_answers_keys_and_requests_cannot_be_read_or_moved(harness: Harness) -> None:
    secret = {"name": MARKER}
    ours = harness.idempotency.attempt(caller(), MARKER * 2, MARKER.encode())
    theirs = harness.idempotency.attempt(caller("other"), "k" * 20, b"request")
    await harness.database.write(
        lambda unit: harness.idempotency.once(unit.connection, ours, lambda: Answer(201, secret))
    )
    rows = await harness.database.read(
        lambda connection: connection.execute(select(harness.answers)).all()
    )
    assert MARKER.encode() not in b"".join(
        part for row in rows for part in row if isinstance(part, bytes)
    )

    def move(unit: Unit) -> None:
        connection = unit.connection
        stolen = connection.execute(select(harness.answers.c.answer)).scalar_one()
        connection.execute(
            harness.answers.insert().values(
                id=theirs.id, request=theirs.request, answer=stolen, expires_at=harness.clock.now()
            )
        )

    await harness.database.write(move)
    with pytest.raises(InvalidTag):
        await harness.database.write(
            lambda unit: harness.idempotency.once(unit.connection, theirs, lambda: Answer(201, {}))
        )


async def test_answers_are_forgotten_after_a_day(harness: Harness) -> None:
    await harness.make()
    harness.clock.advance(86_401)
    harness.beat()
    assert (await harness.make("n" * 20)).status_code == 201
    kept = await harness.database.read(
        lambda connection: len(connection.execute(select(harness.answers.c.id)).all())
    )
    assert kept == 1
    assert (await harness.make()).headers.get("idempotency-replayed") is None


async def test_spent_proofs_are_forgotten_when_they_could_not_be_used_anyway(
    harness: Harness,
) -> None:
    await harness.call("GET", "/v1/things/1")
    harness.clock.advance(121)
    harness.beat()
    await harness.call("GET", "/v1/things/1")
    assert (
        await harness.database.read(
            lambda connection: len(connection.execute(select(harness.proofs.c.id)).all())
        )
        == 1
    )


def caller(name: str = "police-rms", agency: str = "northmoor-police") -> Granted:
    """What a guard gives this caller."""
    principal = Principal("i", name, name, "system", agency, scopes=frozenset({"referral.read"}))
    return grant(principal, scope="referral.read", operation="consultation", at=ManualClock().now())


async def test_pages_follow_each_other_to_the_end(harness: Harness) -> None:
    seen, cursor = [], ""
    for _ in range(3):
        page = (await harness.call("GET", f"/v1/things{cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = f"?cursor={page['nextCursor']}"
    assert seen == ["0", "1", "2", "3", "4"]
    assert page["nextCursor"] is None


@pytest.mark.parametrize("cursor", ["x", MARKER, "A" * 60, "AAAA===="])
async def test_an_invented_cursor_is_400(harness: Harness, cursor: str) -> None:
    problem(await harness.call("GET", f"/v1/things?cursor={cursor}"), 400, "invalid-cursor")


def test_a_cursor_belongs_to_its_list_caller_and_filters() -> None:
    cursors = paging.Cursors(b"c" * 32)
    cursor = cursors.make("things", ["a", 1], caller(), filters={"state": "open"})
    assert cursors.read("things", cursor, caller(), filters={"state": "open"}) == ["a", 1]
    assert cursors.read("things", None, caller()) is None
    flipped = ("B" if cursor[0] != "B" else "C") + cursor[1:]
    is_open = {"state": "open"}
    wrong: list[Callable[[], object]] = [
        lambda: cursors.read("others", cursor, caller(), filters=is_open),
        lambda: cursors.read("things", cursor, caller("other"), filters=is_open),
        lambda: cursors.read("things", cursor, caller(agency="northmoor-idva"), filters=is_open),
        lambda: cursors.read("things", cursor, caller(), filters={"state": "closed"}),
        lambda: cursors.read("things", flipped, caller(), filters=is_open),
        lambda: paging.Cursors(b"d" * 32).read("things", cursor, caller(), filters=is_open),
    ]
    for read in wrong:
        with pytest.raises(Problem) as refused:
            read()
        assert refused.value.code == "invalid-cursor"


def test_a_tag_does_not_show_how_often_a_thing_changed() -> None:
    tags = [etags.etag("thing", 1, version) for version in range(3)]
    assert len(set(tags)) == 3
    assert {len(tag) for tag in tags} == {24}
