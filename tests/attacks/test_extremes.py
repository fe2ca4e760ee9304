"""Every parameter and every field of every service, given the extremes of its kind: whatever comes
back, it is never a 500. What the validators refuse is refused without HTTP, the rest is sent."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

import httpx2
import pytest
import pytest_asyncio

from common.web.rates import Policy, Rates
from hubformats.ids import opaque, uuid7
from tests.attacks.people_table import PEOPLE, token_of_a_person
from tests.attacks.permissions_table import TABLE, Row
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.refusals import changed, leaves
from tests.support.unsent import Unsent

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERVICES: Final = ("referral", "sharing", "audit", "identity")
SCOPES: Final = {"operator": "agency.manage", "auditor": "audit.read", "svc-sharing": "case.read"}
MANY: Final = Policy(quota=1_000_000, window=60, agency_quota=1_000_000)
LEFT_OUT: Final = ("/v1/operator/pause",)
"""Pausing would stop the service under test."""

DEEP: Final[Any] = json.loads("[" * 25 + "]" * 25)
TIMES: Final = (
    "0001-01-01T00:00:00+14:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59.999999Z",
    "0002-01-01T00:00:00+14:00",
    "9998-12-31T23:59:59-12:00",
    "2026-12-31T23:59:60Z",
    "2026-01-31T00:00:00+23:59",
)
DAYS: Final = ("0001-01-01", "9999-12-31", "0000-00-00", "1900-02-29")
NUMBERS: Final = (2**63, -(2**63) - 1, 10**400, 1e308, -1e-308, -0.0, 2**53 + 1)
TEXTS: Final = (
    "",
    " ",
    "x" * 20_000,
    "9" * 400,
    "-1",
    "1e999",
    "NaN",
    "-Infinity",
    "\u0661\u0662\u0663",
    "\u202e\u2066\ufeff\uffff",
    "\U0010ffff" * 40,
    "\x01\x1b[2J\r\n",
    "%00%ff",
    "' OR 1=1 --",
    "00000000-0000-0000-0000-000000000000",
)
EXTREMES: Final[tuple[Any, ...]] = (
    *(*TIMES, *DAYS, *NUMBERS, *TEXTS),
    *(None, True, [], {}, [{}], DEEP, ["x"] * 2_000, {"x" * 200: {}}),
)
HARDEST: Final[tuple[Any, ...]] = (TIMES[2], NUMBERS[0], TEXTS[9], TEXTS[11], DEEP)
"""Those that are sent in a referral, whose free text takes most of the others."""
RAW: Final = (
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": 1e400}',
    b'{"a": ' + b"9" * 5_000 + b"}",
    b'"\\ud800"',
    b'{"\\udfff": "\\ud800\\ud800"}',
    b'"\xed\xa0\x80"',
    b"[" * 100_000,
    b'{"a":' * 31 + b"1" + b"}" * 31,
    b"\xef\xbb\xbf",
    b"\x00",
    b"null",
)
"""Bodies that no JSON writer makes."""
ENCODED: Final = ("%ED%A0%80", "%00", "%FF%FE", "%u0041", "+", "%")
"""Parameters that no URL writer makes."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        for service in SERVICES:
            app = made.service(service).app
            app.runtime = replace(app.runtime, rates=Rates({"default": MANY, "urgent": MANY}))
        yield made


class Operation:
    """One operation of a service's document, and how to call it."""

    def __init__(self, hub: InnerHub, service: str, method: str, path: str) -> None:
        self.hub, self.service, self.method, self.path = hub, service, method.upper(), path
        self.document = hub.service(service).app.openapi()
        self.described: dict[str, Any] = self.document["paths"][path][method]
        self.unsent = Unsent(hub.service(service).app, self.method, path)
        row = TABLE[service][f"{self.method} {path}"]
        security = self.described.get("security", [])
        self.scope = security[0]["hubToken"][0] if isinstance(row, Row) and security else ""
        able = (*(name for name, held in SCOPES.items() if held == self.scope), POLICE)
        self.who, self.token = able[0], None
        if isinstance(row, Row) and self.who not in row.who:  # for others, or for people alone
            self.who = min(row.who, default=POLICE)
            route = f"{self.method} {path}"
            if not row.who and route in PEOPLE[service]:
                self.token, _ = token_of_a_person(hub, service, route, self.scope)

    def names(self, place: str) -> list[str]:
        """The parameters of that place."""
        return [name for found, name in self.parameters() if found == place]

    def parameters(self) -> list[tuple[str, str]]:
        """Place and name of each parameter that stands in the address."""
        found = self.described.get("parameters", [])
        return [(one["in"], one["name"]) for one in found if one["in"] in {"path", "query"}]

    def takes(self, place: str, name: str, value: str) -> bool:
        """Whether the validators let the parameter pass, or a path be found another way with it."""
        if place == "query":
            return self.unsent.takes_query(f"{name}={value}")
        return value in {"", *ENCODED} or self.unsent.takes_path(name, unquote(value))

    def with_parameter(self, place: str, name: str, value: str) -> str:
        """The address with this parameter, encoded as given."""
        if place == "query":
            return self.address(query=f"{name}={value}")
        return self.address({name: value or "%20"})

    def address(self, path: dict[str, str] | None = None, query: str = "") -> str:
        """The path, filled with `path` or good ids."""
        given = {name: str(uuid7()) for name in self.names("path")} | (path or {})
        address = self.path
        for name, value in given.items():
            address = address.replace(f"{{{name}}}", value).replace(f"{{{name}:path}}", value)
        return f"{address}?{query}" if query else address

    def content(self) -> tuple[str, Any]:
        """The media type of the body and an example of it, or two empty ones."""
        for media, body in self.described.get("requestBody", {}).get("content", {}).items():
            return media, example(body.get("schema", {}), self.document)
        return "", None

    async def send(self, address: str, content: bytes = b"", media: str = "") -> httpx2.Response:
        """One request, with the caller's token where the operation asks for one."""
        headers = {"Content-Type": media} if media else {}
        more: dict[str, Any] = {"content": content} if media else {}
        if not self.scope:
            answer = await self.hub.raw(self.method, self.service, address, headers=headers, **more)
        else:
            answer = await self.hub.call(
                self.who,
                self.method,
                self.service,
                address,
                scope=self.scope,
                token=self.token,
                headers=headers,
                **more,
            )
        assert answer.status_code < 500, (self.method, address[:200], content[:300], answer.text)
        assert answer.status_code != 429, "refused for its rate, so nothing was tried"
        return answer


def operations(hub: InnerHub, service: str) -> Iterator[Operation]:
    """Every operation of the service's document."""
    for path, methods in hub.service(service).app.openapi()["paths"].items():
        for method in methods:
            if not path.startswith(LEFT_OUT):
                yield Operation(hub, service, method, path)


def example(schema: dict[str, Any], document: dict[str, Any]) -> Any:
    """A value of about this shape, every optional member there."""
    if "$ref" in schema:
        here: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            here = here[part]
        return example(here, document)
    for one in schema.get("oneOf", schema.get("anyOf", schema.get("allOf", ()))):
        if one.get("type") != "null":
            return example(one, document)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    kind = schema.get("type", "string")
    if kind == "object":
        members = schema.get("properties", {})
        return {name: example(inner, document) for name, inner in members.items()}
    if kind == "array":
        return [example(schema.get("items", {}), document)]
    if kind == "string":
        formats = {"uuid": str(uuid7()), "date-time": TIMES[5], "date": "2026-01-31"}
        return formats.get(schema.get("format", ""), "example")
    return {"integer": schema.get("minimum", 1), "boolean": False}.get(kind)


@pytest.mark.parametrize("service", SERVICES)
async def test_no_parameter_of_any_route_ends_in_a_500(hub: InnerHub, service: str) -> None:
    """Each value goes over HTTP into the first of each place, and wherever it is not refused."""
    refused, sent, whole = 0, 0, {"query", "path"}
    texts = (*TIMES[:4], *DAYS[:2], *(str(number) for number in NUMBERS[:4]), *TEXTS)
    values = (*(quote(text[:2_000], safe="") for text in texts), *ENCODED)
    for operation in operations(hub, service):
        media, body = operation.content()
        content = json.dumps(body).encode() if media == "application/json" else b""
        for place, name in operation.parameters():
            for value in values:
                if name == "wait" and value.isdigit() and len(value) < 3:
                    continue
                if operation.takes(place, name, value) or place in whole:
                    address = operation.with_parameter(place, name, value)
                    await operation.send(address, content, media)
                    sent += 1
                else:
                    refused += 1
            whole -= {place}
    assert min(refused, sent) > 30


@pytest.mark.parametrize("service", SERVICES)
async def test_no_field_of_any_body_ends_in_a_500(hub: InnerHub, service: str) -> None:
    """Every body goes over HTTP to the operation with most fields, else what is not refused."""
    found = [(operation, *operation.content()) for operation in operations(hub, service)]
    widest = max(
        (each for each in found if each[1] == "application/json"),
        key=lambda each: len(list(leaves(each[2]))),
    )[0]
    refused = 0
    for operation, media, body in found:
        if media == "application/json":
            if operation is widest:
                for raw in RAW:
                    await operation.send(operation.address(), raw, media)
            refused += await extremes_in(operation, body, over_http=operation is widest)
        elif media:
            for name in body:
                for text in (TIMES[0], *TEXTS[2:6], *TEXTS[9:13]):
                    form = urlencode({**body, name: text}).encode()
                    await operation.send(operation.address(), form, media)
    assert refused > 30


async def extremes_in(operation: Operation, body: Any, *, over_http: bool) -> int:
    """Try each extreme in every field at once and in each alone; how many were refused unsent."""
    places, refused = list(leaves(body)), 0
    for extreme in EXTREMES:
        everywhere = body
        for place in places:
            everywhere = changed(everywhere, place, extreme)
        alone = [changed(body, place, extreme) for place in places]
        for made in (everywhere, *alone):
            content = json.dumps(made).encode()
            taken = await operation.unsent.takes_body(json.loads(content))
            if taken or (over_http and made is everywhere):
                await operation.send(operation.address(), content, "application/json")
            else:
                refused += 1
    return refused


@pytest.mark.parametrize("form", [FULL, URGENT], ids=["full", "urgent"])
async def test_no_field_of_a_referral_ends_in_a_500(hub: InnerHub, form: dict[str, Any]) -> None:
    route, taken = Unsent(hub.service("referral").app, "POST", "/v1/referrals"), 0
    for place in leaves(form):
        for extreme in EXTREMES:
            body = changed({**form, "externalReference": f"T-{opaque(9)}"}, place, extreme)
            passes = await route.takes_body(json.loads(json.dumps(body)))
            if passes and extreme in HARDEST:
                answer = await hub.submit(body, path="/v1/referrals?dryRun=true")
                assert answer.status_code < 500, (place, extreme, answer.text)
                taken += 1
    assert taken > 0


@pytest.mark.parametrize("day", DAYS[:2])
async def test_a_day_at_the_edge_of_the_calendar_is_refused_or_goes_its_whole_way(
    hub: InnerHub, day: str
) -> None:
    taken = 0
    for place in leaves(FULL):
        value: Any = FULL
        for part in place:
            value = value[part]
        if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            reference = f"T-{opaque(9)}"
            body = changed({**FULL, "externalReference": reference}, place, day)
            answer = await hub.submit(body)
            assert answer.status_code in {201, 422}, (place, answer.text)
            if answer.status_code == 201:
                assert await hub.outcomes(answer.json()["referralId"]) == {"released"}, place
                taken += 1
    assert taken > 0 or day == DAYS[1]


async def test_a_time_at_the_edge_of_the_calendar_is_a_422_in_body_and_query(
    hub: InnerHub,
) -> None:
    for text in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"):
        listed = await hub.call(
            POLICE,
            "GET",
            "referral",
            f"/v1/referrals?changedSince={quote(text)}",
            scope="referral.read",
        )
        question = {"purpose": "self-monitoring", "justification": "a test", "filter": {"to": text}}
        asked = await hub.call(
            "auditor", "POST", "audit", "/v1/queries", scope="audit.read", json=question
        )
        place = next(path for path in leaves(FULL) if path[-1] == "occurredAt")
        sent = await hub.submit(
            changed({**FULL, "externalReference": f"T-{opaque(9)}"}, place, text)
        )
        for answer in (listed, asked, sent):
            assert answer.status_code == 422, answer.text
            said = [fault["detail"] for fault in answer.json()["errors"]]
            assert "must lie between the years 2 and 9998" in said, said
