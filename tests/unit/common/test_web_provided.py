"""Objects by type, answers to domain errors, and one call for what must happen once."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Protocol

import pytest
from fastapi import APIRouter, Depends, Request

from common.problems import Problem
from common.web import guard, idempotency
from common.web.app import Api, HubApp, create_app
from common.web.provided import Provisions, provided, take
from common.web.runtime import Runtime
from tests.support.web_harness import MARKER, Harness, problem, running


class Shelf(Protocol):
    """A port."""

    def count(self) -> int:
        """Count."""
        ...


@dataclass(frozen=True, slots=True)
class Books:
    """An adapter of the port."""

    number: int

    def count(self) -> int:
        """Count."""
        return self.number


router = APIRouter(prefix="/v1", dependencies=[guard.anyone("test")], tags=["service"])


@router.get("/count")
async def count_books(shelf: Annotated[Shelf, Depends(provided(Shelf))]) -> int:
    """Counts by the port, not knowing the adapter."""
    return shelf.count()


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """A running service with one good caller."""
    async with running(tmp_path) as made:
        yield made


def app_with(harness: Harness, provides: dict[type, object], *routers: APIRouter) -> HubApp:
    """An app of these routers with these objects."""
    return create_app(
        Api("harness", "t", "d", routers), Runtime(harness.settings, None), provides=provides
    )


async def test_a_route_gets_the_object_that_stands_under_its_type(harness: Harness) -> None:
    harness.app = app_with(harness, {Shelf: Books(3)}, router)
    assert (await harness.raw("GET", "/v1/count")).json() == 3
    assert harness.app.provisions.get(Shelf).count() == 3


async def test_a_type_nobody_provides_keeps_the_app_from_starting(harness: Harness) -> None:
    with pytest.raises(ValueError, match="/v1/count asks for a Shelf, which nobody provides"):
        app_with(harness, {Books: Books(3)}, router)


async def test_also_one_that_only_a_dependency_asks_for(harness: Harness) -> None:
    async def through(_shelf: Annotated[Shelf, Depends(provided(Shelf))]) -> None:
        """Asks for a route."""

    open_ = [guard.anyone("test"), Depends(through)]
    deep = APIRouter(prefix="/v1/deep", dependencies=open_)

    @deep.get("")
    async def deep_route() -> None:
        """Asks for nothing itself."""

    with pytest.raises(ValueError, match="asks for a Shelf"):
        app_with(harness, {}, deep)


async def test_a_route_that_demands_a_key_needs_a_store_of_answers(harness: Harness) -> None:
    keyed = APIRouter(prefix="/v1", dependencies=[guard.anyone("test"), idempotency.required()])

    @keyed.post("/keyed")
    async def keyed_route() -> None:
        """Is done once."""

    with pytest.raises(ValueError, match="asks for a Idempotency"):
        app_with(harness, {}, keyed)


def test_an_object_of_another_class_is_refused() -> None:
    with pytest.raises(TypeError, match="str is provided as Books"):
        Provisions({Books: "three"})


def test_nothing_provided_is_a_programming_error_outside_of_routes_too() -> None:
    with pytest.raises(KeyError):
        Provisions({}).get(Books)


async def test_provided_objects_are_reached_by_a_request_alone(harness: Harness) -> None:
    app = app_with(harness, {Shelf: Books(3)}, router)
    assert take(Request({"type": "http", "app": app}), Shelf).count() == 3
    with pytest.raises(KeyError, match="app"):  # a consumer or a use case has no request of an app
        take(Request({"type": "http"}), Shelf)


async def test_a_mapped_domain_error_becomes_its_problem_and_is_accounted_for(
    harness: Harness,
) -> None:
    answer = await harness.call("GET", "/v1/things/14")
    problem(answer, 410, "test-thing-gone")
    refusal = harness.refusals[-1]
    assert refusal.principal is not None
    assert (refusal.reasons, refusal.route, refusal.operation) == (
        {"test-thing-gone": 1},
        "/v1/things/{thing_id}",
        "consultation",
    )


async def test_an_error_below_a_mapped_one_is_answered_like_it(harness: Harness) -> None:
    problem(await harness.call("GET", "/v1/things/15"), 410, "test-thing-gone")


async def test_a_domain_error_nobody_mapped_is_ours_and_its_text_stays_inside(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = await harness.call("GET", "/v1/things/16")
    problem(answer, 500, "internal-error")
    assert harness.refusals == []
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [record.getMessage() for record in errors] == ["unhandled error"]
    assert "ThingUnknown" in str(errors[0].__dict__["error"])
    assert MARKER not in "".join(str(record.__dict__) for record in caplog.records)


@pytest.mark.parametrize("kind", [Exception, BaseException])
async def test_no_mapping_may_catch_every_error(harness: Harness, kind: type[Exception]) -> None:
    with pytest.raises(ValueError, match="every fault of ours"):
        create_app(
            Api("harness", "t", "d", []),
            Runtime(harness.settings, None),
            answers={kind: lambda _error: Problem("conflict")},
        )


async def test_a_repeat_is_recorded_and_does_nothing_twice(harness: Harness) -> None:
    first, second = await harness.make(), await harness.make()
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.json() == first.json()
    assert second.headers["idempotency-replayed"] == "true"
    assert harness.work.done == ["police-rms"]
    assert harness.work.repeated == ["police-rms"]
