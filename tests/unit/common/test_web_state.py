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
from tests.support.web_bed import MARKER, Bed, problem, running


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    """A running service with one good caller."""
    async with running(tmp_path) as made:
        yield made


async def test_a_repeat_gets_the_same_answer_and_no_second_effect(bed: Bed) -> None:
    first, second = await bed.make(), await bed.make()
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert (
        "idempotency-replayed" in first.headers,
        second.headers.get("idempotency-replayed"),
    ) == (False, "true")
    assert bed.effects == ["police-rms"]


async def test_twenty_at_once_have_one_effect(bed: Bed) -> None:
    answers = await asyncio.gather(*(bed.make() for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len(bed.effects) == 1


async def test_a_key_used_for_another_request_is_422(bed: Bed) -> None:
    await bed.make()
    problem(
        await bed.make(body={"people": [{"familyName": MARKER}]}), 422, "idempotency-key-reused"
    )
    query = await bed.call(
        "POST",
        "/v1/things?dry_run=true",
        json={"people": [{"familyName": "Quill"}]},
        headers={"Idempotency-Key": "k" * 20},
    )
    problem(query, 422, "idempotency-key-reused")
    assert len(bed.effects) == 1


async def test_keys_of_two_clients_are_two_keys(bed: Bed) -> None:
    await bed.make()
    other = await bed.make(
        token=bed.token(sub="idva-cms", client_id="idva-cms"), body={"people": []}
    )
    assert other.status_code == 201
    assert bed.effects == ["police-rms", "idva-cms"]


@pytest.mark.parametrize("key", ["", "short", "x" * 65, f"{MARKER} {MARKER}"])
async def test_a_missing_or_odd_key_is_400(bed: Bed, key: str) -> None:
    problem(await bed.make(key), 400, "idempotency-key-missing")


async def test_a_refused_request_does_not_use_up_its_key(bed: Bed) -> None:
    attempt = bed.idempotency.attempt(caller(), "k" * 20, b"request")

    def refuse() -> Answer:
        raise Problem("conflict")

    with pytest.raises(Problem):
        await bed.database.write(
            lambda unit: bed.idempotency.once(unit.connection, attempt, refuse)
        )
    answer = await bed.database.write(
        lambda unit: bed.idempotency.once(unit.connection, attempt, lambda: Answer(201, {"a": 1}))
    )
    assert (answer.status, answer.replayed) == (201, False)


async def test_stored_answers_keys_and_requests_cannot_be_read_or_moved(bed: Bed) -> None:
    secret = {"name": MARKER}
    ours = bed.idempotency.attempt(caller(), MARKER * 2, MARKER.encode())
    theirs = bed.idempotency.attempt(caller("other"), "k" * 20, b"request")
    await bed.database.write(
        lambda unit: bed.idempotency.once(unit.connection, ours, lambda: Answer(201, secret))
    )
    rows = await bed.database.read(lambda connection: connection.execute(select(bed.answers)).all())
    assert MARKER.encode() not in b"".join(
        part for row in rows for part in row if isinstance(part, bytes)
    )

    def move(unit: Unit) -> None:
        connection = unit.connection
        stolen = connection.execute(select(bed.answers.c.answer)).scalar_one()
        connection.execute(
            bed.answers.insert().values(
                id=theirs.id, request=theirs.request, answer=stolen, expires_at=bed.clock.now()
            )
        )

    await bed.database.write(move)
    with pytest.raises(InvalidTag):
        await bed.database.write(
            lambda unit: bed.idempotency.once(unit.connection, theirs, lambda: Answer(201, {}))
        )


async def test_answers_are_forgotten_after_a_day(bed: Bed) -> None:
    await bed.make()
    bed.clock.advance(86_401)
    bed.beat()
    assert (await bed.make("n" * 20)).status_code == 201
    kept = await bed.database.read(
        lambda connection: len(connection.execute(select(bed.answers.c.id)).all())
    )
    assert kept == 1
    assert (await bed.make()).headers.get("idempotency-replayed") is None


async def test_spent_proofs_are_forgotten_when_they_could_not_be_used_anyway(bed: Bed) -> None:
    await bed.call("GET", "/v1/things/1")
    bed.clock.advance(121)
    bed.beat()
    await bed.call("GET", "/v1/things/1")
    assert (
        await bed.database.read(
            lambda connection: len(connection.execute(select(bed.proofs.c.id)).all())
        )
        == 1
    )


def caller(name: str = "police-rms", agency: str = "northmoor-police") -> Granted:
    """What a guard gives this caller."""
    principal = Principal("i", name, name, "system", agency, scopes=frozenset({"referral.read"}))
    return grant(principal, scope="referral.read", operation="consultation", at=ManualClock().now())


async def test_pages_follow_each_other_to_the_end(bed: Bed) -> None:
    seen, cursor = [], ""
    for _ in range(3):
        page = (await bed.call("GET", f"/v1/things{cursor}")).json()
        seen += [item["id"] for item in page["items"]]
        cursor = f"?cursor={page['nextCursor']}"
    assert seen == ["0", "1", "2", "3", "4"]
    assert page["nextCursor"] is None


@pytest.mark.parametrize("cursor", ["x", MARKER, "A" * 60, "AAAA===="])
async def test_an_invented_cursor_is_400(bed: Bed, cursor: str) -> None:
    problem(await bed.call("GET", f"/v1/things?cursor={cursor}"), 400, "invalid-cursor")


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
