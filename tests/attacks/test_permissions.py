"""Every route of every service against the committed table, for every kind of caller; and every
read is recorded before it is answered."""

import inspect
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import pytest_asyncio
from fastapi.routing import APIRoute, iter_route_contexts

from common.web.documents import calls_of
from common.web.guard import Guard
from hubformats.answers import TokenRefused
from hubformats.ids import opaque, uuid7
from identity.oauth.model import ROLE_SCOPES
from tests.attacks.people_table import AGENCY_OF, PEOPLE
from tests.attacks.permissions_table import EVERYONE, TABLE, Open, Row
from tests.support.inner_hub import CLOCK, FULL, POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = pytest.mark.asyncio(loop_scope="module")

FILLED = {
    "index": "1",
    "place": "nothing",
    "agency_id": "northmoor-nowhere",
    "version": "v",
    "name": "n.css",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def routes(hub: InnerHub, service: str) -> Iterator[tuple[str, Guard | None]]:
    """Every `METHOD /path` of a service's app and the guard it has, if it asks for a token."""
    for context in iter_route_contexts(hub.service(service).app.routes):
        if isinstance(context.original_route, APIRoute):
            guards = [
                dep.call for dep in context.dependant.dependencies if isinstance(dep.call, Guard)
            ]
            for method in sorted(context.methods or ()):
                yield f"{method} {context.path_format}", guards[0] if guards else None


def bare(route: str) -> tuple[str, str]:
    """Method and path with something harmless in each place."""
    method, path = route.split(" ", maxsplit=1)
    for name in [part.split("}")[0] for part in path.split("{")[1:]]:
        path = path.replace(f"{{{name}}}", FILLED.get(name, str(uuid7())))
    return method, path


async def token_of(hub: InnerHub, who: str, service: str, scope: str) -> str:
    """The caller's token with that scope, or, when it may not have it, with the one scope that all
    have.
    """
    source = hub.caller(who).tokens
    try:
        return await source.token(hub.url(service), scope)
    except TokenRefused as refused:
        if refused.code != "invalid_scope":
            raise
        return await source.token(hub.url(service), "directory.read")


def due(row: Row | Open, who: str | None) -> int:
    """The status the table says."""
    if isinstance(row, Open):
        return row.then
    return 401 if who is None else row.then if who in row.who else 403


async def asked(hub: InnerHub, who: str | None, service: str, route: str, scope: str) -> int:
    """The status a bare request by that caller, or by nobody, gets."""
    if who is not None:
        return await asked_with(hub, await token_of(hub, who, service, scope), service, route, who)
    method, path, more = request_for(service, route)
    return (
        await hub.raw(method, service, path, headers={"Idempotency-Key": opaque()}, **more)
    ).status_code


async def asked_with(hub: InnerHub, token: str, service: str, route: str, who: str = POLICE) -> int:
    """The status a bare request with this token gets; a service that was paused goes on at once."""
    method, path, more = request_for(service, route)
    answer = await hub.call(who, method, service, path, token=token, **more)
    if path.endswith("/pause") and answer.status_code == 200:
        await hub.client("operator").switch(service, "resume")  # type: ignore[arg-type]
    return answer.status_code


def request_for(service: str, route: str) -> tuple[str, str, dict[str, Any]]:
    """Method, path and a body of the kind the route takes, with nothing of use in it."""
    method, path = bare(route)
    form = service in {"identity", "portal"} and not path.startswith("/v1/")
    more: dict[str, Any] = (
        {} if method != "POST" else {"data": {"x": "y"}} if form else {"json": {}}
    )
    return method, path, more


@pytest.mark.parametrize("service", TABLE)
async def test_every_route_has_a_row_and_every_row_a_route(hub: InnerHub, service: str) -> None:
    """A new route is denied here until somebody has written down who may call it."""
    found = dict(routes(hub, service))
    assert set(found) == set(TABLE[service])
    for route, row in TABLE[service].items():
        assert isinstance(row, Row) == (found[route] is not None), (
            f"{route}: the table and the guard differ on whether a token is needed"
        )


@pytest.mark.parametrize("service", TABLE)
async def test_every_caller_gets_what_the_table_says(hub: InnerHub, service: str) -> None:
    wrong: list[str] = []
    guards = dict(routes(hub, service))
    for route, row in TABLE[service].items():
        guard = guards[route]
        scope = guard.scope if guard is not None else "directory.read"
        for who in (
            (None, POLICE, "operator") if isinstance(row, Open) else (None, *sorted(EVERYONE))
        ):
            expected = due(row, who)
            status = await asked(hub, who, service, route, scope)
            if status != expected:
                wrong.append(f"{route} by {who or 'nobody'}: {status}, not {expected}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("service", PEOPLE)
async def test_every_person_gets_what_the_table_says(hub: InnerHub, service: str) -> None:
    """Each role with the scope a route asks for, if a sign-in can give it at all, and an otherwise
    perfect token.
    """
    assert set(AGENCY_OF) == set(ROLE_SCOPES), "a role without a place in the table"
    wrong: list[str] = []
    guarded = {route: guard for route, guard in routes(hub, service) if guard is not None}
    assert set(PEOPLE[service]) <= set(guarded)
    now = int(CLOCK.now().timestamp())
    for route, guard in guarded.items():
        may, then = PEOPLE[service].get(route, (frozenset(), 403))
        for role, agency in AGENCY_OF.items():
            scope = guard.scope if guard.scope in ROLE_SCOPES[role] else "directory.read"
            person: dict[str, Any] = {
                "sub": f"p-{role}",
                "client_id": "portal",
                "agency": agency,
                "roles": [role],
                "acr": "urn:hub:acr:demo",
            }
            token = hub.minted(POLICE, service, **person, scope=scope, auth_time=now)
            status = await asked_with(hub, token, service, route)
            if status != (then if role in may else 403):
                wrong.append(f"{route} by {role}: {status}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize(
    ("age", "status"),
    [(None, 401), (16 * 60, 401), (14 * 60, 422)],
    ids=["never", "too-long-ago", "lately"],
)
async def test_an_emergency_release_asks_for_a_sign_in_of_the_last_quarter_hour(
    hub: InnerHub, age: int | None, status: int
) -> None:
    """At the real route, with a token that is right in everything else; 422 is the bare request's
    own fault.
    """
    route = "POST /v1/disclosures/{delivery_id}/emergency-release"
    may, _ = PEOPLE["sharing"][route]
    now = int(CLOCK.now().timestamp())
    for role in sorted(may):
        person: dict[str, Any] = {
            "sub": f"p-{role}",
            "client_id": "portal",
            "agency": AGENCY_OF[role],
            "roles": [role],
            "acr": "urn:hub:acr:demo",
        }
        signed_in = None if age is None else now - age
        token = hub.minted(
            POLICE, "sharing", **person, scope="sharing.request", auth_time=signed_in
        )
        method, path = bare(route)
        answer = await hub.call(POLICE, method, "sharing", path, token=token, json={})
        assert answer.status_code == status, f"{role}: {answer.text}"
        if status == 401:
            assert answer.json()["code"] == "step-up-required"


READS = {
    "referral": {
        "GET /v1/referrals/{referral_id}",
        "GET /v1/referrals/{referral_id}/vetoes",
        "GET /v1/case-vetoes",
        "GET /v1/veto-liftings",
        "GET /v1/veto-liftings/{lifting_id}",
        "GET /v1/lapsed-liftings",
    },
    "sharing": {
        "GET /v1/second-looks",
        "GET /v1/second-looks/{look_id}",
        "GET /v1/inbox",
        "GET /v1/inbox/{delivery_id}",
        "POST /v1/decisions/preview",
        "GET /v1/disclosures",
        "GET /v1/disclosures/unproven",
    },
    "audit": {
        "POST /v1/queries",
        "GET /v1/queries/{query_id}/entries",
        "GET /v1/entries/{index}",
        "GET /v1/entries/{index}/proof",
        "GET /v1/completeness",
    },
}
"""Routes that show what is held about people or their records; each is exercised below."""


async def test_every_route_that_reads_is_one_of_those_below(hub: InnerHub) -> None:
    for service in TABLE:
        found = {
            route
            for route, guard in routes(hub, service)
            if guard is not None and guard.operation == "consultation"
        }
        assert found == READS.get(service, set())


def consultations(hub: InnerHub, service: str) -> int:
    """Records of reads that this service has durably written."""
    records = [row[0] for row in hub.rows(service, "SELECT record FROM audit_pending")]
    return sum(1 for record in records if b'"op":"consultation"' in record)


# who asks, method, service, path and scope; REFERRAL, CASE and DELIVERY stand for what was sent
READ: Final = [
    (POLICE, "GET", "referral", "/v1/referrals/REFERRAL", "referral.read"),
    (POLICE, "GET", "referral", "/v1/referrals/REFERRAL/vetoes", "referral.read"),
    ("northmoor-idva", "GET", "sharing", "/v1/inbox", "disclosure.read"),
    ("northmoor-idva", "GET", "sharing", "/v1/inbox/DELIVERY", "disclosure.read"),
    (POLICE, "POST", "sharing", "/v1/decisions/preview", "sharing.request"),
    (POLICE, "GET", "sharing", "/v1/disclosures?caseReference=CASE", "sharing.request"),
]


async def test_a_read_is_on_record_when_its_answer_comes(hub: InnerHub) -> None:
    answer = await hub.submit({**FULL, "externalReference": f"T-{opaque(9)}"})
    referral = answer.json()
    assert await hub.outcomes(referral["referralId"]) == {"released"}
    delivery = (await hub.client("northmoor-idva").inbox(limit=1, wait=5)).items[0].delivery_id
    for who, method, service, template, scope in READ:
        path = template.replace("REFERRAL", referral["referralId"])
        path = path.replace("DELIVERY", delivery).replace("CASE", referral["caseReference"])
        body = {"caseReference": referral["caseReference"]} if method == "POST" else None
        before = consultations(hub, service)
        read = await hub.call(who, method, service, path, scope=scope, json=body)
        assert read.status_code == 200, f"{path}: {read.text}"
        assert consultations(hub, service) == before + 1, (
            f"{method} {path} answered without a record of it"
        )
    before = consultations(hub, "sharing")
    person: dict[str, Any] = {
        "sub": "p-1",
        "client_id": "portal",
        "roles": ["marac_coordinator"],
        "acr": "urn:hub:acr:demo",
    }
    token = hub.minted(
        POLICE, "sharing", **person, scope="sharing.request", auth_time=int(CLOCK.now().timestamp())
    )
    read = await hub.call(POLICE, "GET", "sharing", "/v1/disclosures/unproven", token=token)
    assert read.status_code == 200, read.text
    assert consultations(hub, "sharing") == before + 1


async def test_an_auditors_question_and_each_entry_opened_are_entries_first(hub: InnerHub) -> None:
    def entries(operation: str) -> int:
        found: int = hub.rows("audit", "SELECT count(*) FROM lookup WHERE op = ?", operation)[0][0]
        return found

    question = {
        "purpose": "verify_lawfulness",
        "justification": "Spot check.",
        "filter": {"operation": "collection"},
    }
    operations = {row[0] for row in hub.rows("audit", "SELECT DISTINCT op FROM lookup")}
    before = {operation: entries(operation) for operation in operations}
    asked_ = await hub.call(
        "auditor", "POST", "audit", "/v1/queries", scope="audit.read", json=question
    )
    assert asked_.status_code == 201, asked_.text
    own = hub.rows("audit", "SELECT op, count(*) FROM lookup GROUP BY op")
    assert sum(count for _, count in own) > sum(before.values()), (
        "the question was answered without an entry"
    )
    found = await hub.call(
        "auditor", "GET", "audit", f"/v1/queries/{asked_.json()['id']}/entries", scope="audit.read"
    )
    index = found.json()["items"][0]["index"]
    for path in (f"/v1/entries/{index}", f"/v1/entries/{index}/proof"):
        size = hub.rows("audit", "SELECT count(*) FROM entry")[0][0]
        opened = await hub.call("auditor", "GET", "audit", path, scope="audit.read")
        assert opened.status_code == 200
        assert hub.rows("audit", "SELECT count(*) FROM entry")[0][0] > size, (
            f"{path} answered without an entry"
        )


async def test_nothing_that_a_request_calls_waits_for_a_worker_thread(hub: InnerHub) -> None:
    """FastAPI runs what is no coroutine function in a pool: slower, and few enough to run out."""
    waiting = {
        f"{service} {context.path_format}: {call}"
        for service in hub.hub.services
        for context in iter_route_contexts(hub.service(service).app.routes)
        if isinstance(context.original_route, APIRoute)
        for call in calls_of(context.dependant)
        if not inspect.iscoroutinefunction(call)
        and not inspect.iscoroutinefunction(getattr(call, "__call__", None))  # noqa: B004
    }
    assert not waiting
