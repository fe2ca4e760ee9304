"""Every service's own OpenAPI document, tried against the running service with generated requests:
no 5xx, every answer as described."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from typing import Any, Final, Self, TypeVar

import httpx2
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Unsatisfiable
from schemathesis import checks
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode

from tests.attacks.people_table import PEOPLE, token_of_a_person
from tests.attacks.permissions_table import TABLE, Row
from tests.support.inner_hub import POLICE, InnerHub, inner_hub

T = TypeVar("T")

SEED: Final = 20261121
EXAMPLES: Final = 6
SCOPES: Final = {"operator": "agency.manage", "auditor": "audit.read", "svc-sharing": "case.read"}
pytestmark = pytest.mark.filterwarnings(
    # The hub runs beside in a thread, and its libraries draw random numbers while a case is made
    "ignore:Do not use the `random` module inside strategies"
)
LEFT_OUT: Final = ("/v1/operator/",)
"""Pausing is tried elsewhere: here it would stop the service under test."""
CHECKS: Final = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
]


class Aside:
    """A hub on a loop of its own in another thread, because generated requests come from ordinary
    functions.
    """

    def __init__(self, folder: Any) -> None:
        self._folder = folder
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._context: Any = None
        self.hub: InnerHub

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work` on the hub's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    def __enter__(self) -> Self:
        self._thread.start()
        self._context = inner_hub(self._folder)
        self.hub = self.run(self._context.__aenter__())
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._context.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()


@pytest.fixture(scope="module")
def aside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aside]:
    """One hub for the module."""
    with Aside(tmp_path_factory.mktemp("hub")) as made:
        yield made


def caller_of(service: str, operation: Any) -> tuple[str, str, str | None] | None:
    """Who may call the operation by the permission table, and the scope it asks for.

    The third is the route where named people alone may; None in all for an open one.
    """
    route = f"{operation.method.upper()} {operation.path}"
    row = TABLE[service][route]
    if not isinstance(row, Row):
        return None
    security = operation.definition.raw.get("security", [])
    scope = security[0]["hubToken"][0] if security else "directory.read"
    who = next((name for name, held in SCOPES.items() if held == scope), POLICE)
    return who, scope, route if not row.who and route in PEOPLE[service] else None


def sent(
    aside: Aside, service: str, case: Any, caller: tuple[str, str, str | None] | None
) -> httpx2.Response:
    """The case as a real request, with the caller's token and a fresh proof."""
    hub = aside.hub
    if isinstance(case.query, dict) and "wait" in case.query:
        case.query["wait"] = 0  # nobody waits half a minute for nothing
    prepared = requests.Request(**case.as_transport_kwargs(base_url=hub.url(service))).prepare()
    assert prepared.url is not None
    headers = {
        name: value
        for name, value in prepared.headers.items()
        if name.lower() not in {"authorization", "dpop", "content-length"}
    }
    path = prepared.url.removeprefix(hub.url(service))
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body

    async def go() -> httpx2.Response:
        given_ = dict(headers)
        if caller is not None:
            who, scope, route = caller
            source = hub.caller(who).tokens
            if route is None:
                token = await source.token(hub.url(service), scope)
            else:
                token, _ = token_of_a_person(hub, service, route, scope)
            given_ |= hub.proven(source.dpop_key, prepared.method or "", service, path, token)
        return await hub.raw(prepared.method or "", service, path, headers=given_, content=body)

    return aside.run(go())


def operations(aside: Aside, service: str) -> Iterator[Any]:
    """Every operation of the service's document."""
    schema = schemathesis.openapi.from_dict(aside.hub.service(service).app.openapi())
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # a faulty document has none, which fails here as it should
        if not operation.path.startswith(LEFT_OUT):
            yield operation


def tried(aside: Aside, service: str, operation: Any, direction: GenerationMode) -> int:
    """How many generated requests the operation answered as its document says.

    Raises what the first wrong answer raises.
    """
    caller, count = caller_of(service, operation), 0

    @seeded(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=direction))
    def attempt(case: Any) -> None:
        nonlocal count
        case.validate_response(sent(aside, service, case, caller), checks=CHECKS)
        count += 1

    try:
        attempt()
    except Unsatisfiable:
        return 0  # an operation without parameters has no wrong request
    return count


@pytest.mark.parametrize(
    "direction",
    [GenerationMode.POSITIVE, GenerationMode.NEGATIVE],
    ids=["as described", "not as described"],
)
@pytest.mark.parametrize("service", ["referral", "sharing", "audit", "identity", "portal"])
def test_every_answer_is_one_the_document_describes(
    aside: Aside, service: str, direction: GenerationMode
) -> None:
    wrong: list[str] = []
    count = 0
    for operation in operations(aside, service):
        try:
            count += tried(aside, service, operation, direction)
        # Every operation is tried and all failures shown
        except (AssertionError, FailureGroup, Exception) as error:  # noqa: BLE001
            wrong.append(
                f"{operation.label}: "
                f"{error}\n{[str(one) for one in getattr(error, 'exceptions', ())]}"[:1_500]
            )
    assert wrong == [], "\n\n".join(wrong)
    assert count > 0 or direction is GenerationMode.NEGATIVE
