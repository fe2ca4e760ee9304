"""The app factory: guards on every route, documents that are true under any prefix, switch, parts,
mounting."""

import hashlib
import json
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter
from starlette.applications import Starlette
from starlette.routing import Mount

from common.web import guard
from common.web.app import Api, HubApp, create_app
from common.web.runtime import Check, Runtime
from common.web.service import Service
from tests.support.web_harness import SERVICE, Harness, problem, running


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """A running service with one good caller."""
    async with running(tmp_path) as made:
        yield made


def app_with(harness: Harness, *routers: APIRouter) -> HubApp:
    """An app of these routers."""
    return create_app(Api("harness", "t", "d", routers), Runtime(harness.settings, None))


async def test_a_route_without_a_guard_does_not_start(harness: Harness) -> None:
    router = APIRouter(prefix="/v1")

    @router.get("/open")
    async def forgotten() -> None:
        """Nobody decided who may call this."""

    with pytest.raises(ValueError, match="/v1/open has no guard"):
        app_with(harness, router)


async def test_two_operations_cannot_share_a_name(harness: Harness) -> None:
    router = APIRouter(prefix="/v1", dependencies=[guard.anyone("test")])

    async def same() -> None:
        """One of two."""

    router.add_api_route("/a", same)
    router.add_api_route("/b", same)
    with pytest.raises(ValueError, match="two operations are called same"):
        app_with(harness, router)


async def test_without_an_authenticator_guarded_routes_refuse(harness: Harness) -> None:
    harness.app = app_with(harness)
    problem(await harness.call("POST", "/v1/operator/pause"), 503, "unavailable")


async def document(harness: Harness) -> dict[str, Any]:
    """The OpenAPI document as served."""
    made: dict[str, Any] = (await harness.raw("GET", "/openapi.json")).json()
    return made


async def test_the_document_says_how_every_operation_refuses(harness: Harness) -> None:
    made = await document(harness)
    assert made["openapi"].startswith("3.1")
    assert made["servers"] == [{"url": SERVICE, "description": "This installation"}]
    assert not {"HTTPValidationError", "ValidationError"} & made["components"]["schemas"].keys()
    operations = [operation for path in made["paths"].values() for operation in path.values()]
    assert operations
    for operation in operations:
        assert operation["operationId"][0].islower()
        assert "_" not in operation["operationId"]
        assert operation["description"]
        assert operation["summary"]
        assert operation["tags"]
        assert {"default", "405", "500"} <= operation["responses"].keys()
        assert all(parameter["description"] for parameter in operation.get("parameters", []))
    tags = {tag["name"] for tag in made["tags"]}
    assert {tag for operation in operations for tag in operation["tags"]} <= tags


async def test_refusals_follow_from_what_an_operation_asks_for(harness: Harness) -> None:
    paths = (await document(harness))["paths"]
    make, change, listing, health = (
        paths["/v1/things"]["post"],
        paths["/v1/things/{thing_id}"]["put"],
        paths["/v1/things"]["get"],
        paths["/healthz"]["get"],
    )
    assert {"400", "401", "403", "409", "413", "415", "422", "429"} <= make["responses"].keys()
    assert "404" in change["responses"]
    assert "409" not in change["responses"]
    assert "400" in listing["responses"]
    assert "401" not in health["responses"]
    assert make["security"] == [{"hubToken": ["referral.write"]}]
    assert health["security"] == []


async def test_every_problem_example_is_a_problem(harness: Harness) -> None:
    components = (await document(harness))["components"]
    required = set(components["schemas"]["Problem"]["required"])
    for name, response in components["responses"].items():
        content = response["content"]["application/problem+json"]
        if name != "ProblemDefault":
            assert required <= content["example"].keys()
            assert name == f"Problem{content['example']['status']}"


async def test_everything_works_under_a_prefix_as_in_one_process(harness: Harness) -> None:
    base = "http://127.0.0.1:8000/referral"
    harness.app = harness.build(base=base)
    root = Starlette(routes=[Mount("/referral", app=harness.app)])
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(root), base_url="http://127.0.0.1:8000"
    ) as client:
        assert (await client.get("/referral/healthz")).status_code == 200
        assert (await client.get("/referral/openapi.json")).json()["servers"][0]["url"] == base
        page = (await client.get("/referral/docs")).text
        assert 'src="docs/swagger-ui-bundle.js"' in page
        assert (await client.get("/referral/docs/swagger-ui-bundle.js")).status_code == 200
        token = harness.token(aud=base)
        good = harness.headers("GET", "/v1/things/1", token, base=base)
        assert (await client.get("/referral/v1/things/1", headers=good)).status_code == 200
        without_prefix = harness.headers("GET", "/v1/things/1", token, base="http://127.0.0.1:8000")
        problem(
            await client.get("/referral/v1/things/1", headers=without_prefix),
            401,
            "dpop-proof-refused",
        )
        problem(await client.get("/referral/v1/nope"), 404, "not-found")


async def test_the_documents_page_asks_nobody_else(harness: Harness) -> None:
    page = await harness.raw("GET", "/docs")
    assert "//" not in page.text.replace("<!doctype html>", "")
    policy = page.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "http" not in policy


def test_the_vendored_files_are_the_ones_we_locked() -> None:
    folder = resources.files("common.web").joinpath("swagger_ui")
    source = json.loads(folder.joinpath("SOURCE.json").read_text())
    assert {entry.name for entry in folder.iterdir()} == {*source["files"], "SOURCE.json"}
    for name, digest in source["files"].items():
        assert hashlib.sha256(folder.joinpath(name).read_bytes()).hexdigest() == digest, name


class Recorder:
    """A part that notes what happens to it."""

    def __init__(self, name: str, told: list[str], fail: str = "") -> None:
        self._name, self._told, self._fail = name, told, fail

    def _note(self, what: str) -> None:
        self._told.append(f"{what} {self._name}")
        if what == self._fail:
            raise OSError(self._name)

    async def start(self) -> None:
        self._note("start")

    async def stop(self) -> None:
        self._note("stop")

    def pause(self) -> None:
        self._note("pause")

    async def resume(self) -> None:
        self._note("resume")


async def test_parts_start_in_order_and_stop_in_reverse(harness: Harness) -> None:
    told: list[str] = []
    service = Service("harness", harness.app, parts=[Recorder("a", told), Recorder("b", told)])
    assert (await harness.raw("GET", "/readyz")).status_code == 503
    await service.start()
    assert (await harness.raw("GET", "/readyz")).status_code == 200
    await service.stop()
    assert told == ["start a", "start b", "stop b", "stop a"]


async def test_a_part_that_cannot_start_stops_the_others(harness: Harness) -> None:
    told: list[str] = []
    service = Service(
        "harness",
        harness.app,
        parts=[Recorder("a", told), Recorder("b", told, fail="start"), Recorder("c", told)],
    )
    with pytest.raises(OSError, match="b"):
        await service.start()
    assert told == ["start a", "start b", "stop b", "stop a"]


async def test_a_part_that_cannot_stop_does_not_keep_the_others(harness: Harness) -> None:
    told: list[str] = []
    service = Service(
        "harness", harness.app, parts=[Recorder("a", told), Recorder("b", told, fail="stop")]
    )
    await service.start()
    with pytest.raises(OSError, match="b"):
        await service.stop()
    assert told[-2:] == ["stop b", "stop a"]


async def test_the_operator_pauses_and_resumes(harness: Harness) -> None:
    told: list[str] = []
    service = Service("harness", harness.app, pausable=[Recorder("relay", told)])
    await service.start()
    answer = await harness.call("POST", "/v1/operator/pause")
    assert answer.json() == {"service": "harness", "paused": True}
    assert service.paused
    problem(await harness.call("GET", "/v1/things/1"), 503, "paused")
    assert (await harness.raw("GET", "/healthz")).status_code == 200
    assert (await harness.raw("GET", "/readyz")).json()["checks"]["running"] is False
    assert (await harness.call("POST", "/v1/operator/resume")).json()["paused"] is False
    assert told == ["pause relay", "resume relay"]
    assert (await harness.call("GET", "/v1/things/1")).status_code == 200
    await service.stop()


async def test_only_an_operator_may_pause(harness: Harness) -> None:
    service = Service("harness", harness.app)
    problem(await harness.raw("POST", "/v1/operator/pause"), 401, "unauthorized")
    problem(
        await harness.call(
            "POST", "/v1/operator/pause", token=harness.token(scope="referral.write")
        ),
        403,
        "insufficient-scope",
    )
    assert not service.paused


async def test_a_check_that_raises_is_a_check_that_fails(harness: Harness) -> None:
    async def broken() -> bool:
        raise OSError("secret path")

    checks: dict[str, Check] = {"database": broken, "bus": lambda: True}
    app = create_app(
        Api("harness", "t", "d", []), Runtime(harness.settings, None, readiness=checks)
    )
    harness.app = app
    await Service("harness", app).start()
    answer = await harness.raw("GET", "/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"] == {
        "database": False,
        "bus": True,
        "started": True,
        "running": True,
    }
    assert "secret" not in answer.text


async def test_lifespan_and_websockets_do_nothing(harness: Harness) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message["type"])

    inbox = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]

    async def receive() -> Any:
        return inbox.pop(0)

    await harness.app({"type": "lifespan"}, receive, send)
    await harness.app({"type": "websocket", "path": "/"}, receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete", "websocket.close"]
