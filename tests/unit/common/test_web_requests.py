"""What the edge and the guards make of bad requests: one documented problem each, nothing repeated,
nothing done."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.rate_windows import stand_still
from tests.support.web_harness import MARKER, Harness, problem, running, small_rates

GOOD: dict[str, Any] = {"people": [{"familyName": "Quill"}]}


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """A running service with one good caller."""
    async with running(tmp_path) as made:
        yield made


async def post(harness: Harness, content: bytes, **headers: str) -> httpx2.Response:
    """POST raw bytes as a known caller."""
    given = {"Idempotency-Key": "k" * 20, "Content-Type": "application/json", **headers}
    return await harness.call(
        "POST",
        "/v1/things",
        content=content,
        headers={name: value for name, value in given.items() if value},
    )


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe{}",
        b'{"people": [' + MARKER.encode(),
        b'{"people": [], "people": []}',
        b'{"people": NaN}',
        b'{"people": [{"familyName": "a\\u0000b"}]}',
        b'{"people": [{"familyName": "\\ud800"}]}',
        b'{"a":' * 40 + b"1" + b"}" * 40,
        b"[" * 5000,
        b"\xef\xbb\xbf\xef\xbb\xbf{}",
    ],
    ids=[
        "not UTF-8",
        "cut off",
        "repeated name",
        "NaN",
        "NUL",
        "lone surrogate",
        "deep",
        "very deep",
        "two byte order marks",
    ],
)
async def test_unreadable_json_is_400_and_the_caller_is_known(
    harness: Harness, content: bytes
) -> None:
    problem(await post(harness, content), 400, "malformed-json")
    assert harness.effects == []
    refusal = harness.refusals[-1]
    assert refusal.principal is not None
    assert (refusal.reasons, refusal.route, refusal.operation) == (
        {"malformed-json": 1},
        "/v1/things",
        "collection",
    )


async def test_an_unknown_caller_learns_401_before_anything_about_its_body(
    harness: Harness,
) -> None:
    for content in (b"\xff", b"{" * 300_000, b"{}"):
        answer = await harness.raw(
            "POST", "/v1/things", content=content, headers={"Content-Type": "application/json"}
        )
        problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("path", ["/v1/things/%00", "/v1/things/a%00b", "/v1/%00"])
async def test_no_path_with_a_nul_reaches_a_route(harness: Harness, path: str) -> None:
    """No id holds one; PostgreSQL takes none in a text, which would be a 500."""
    problem(await harness.call("GET", path), 404, "not-found")
    assert harness.effects == []
    problem(await harness.raw("GET", "/v1/things/%00"), 401, "unauthorized")


@pytest.mark.parametrize("size", [256 * 1024 + 1, 2_000_000])
async def test_a_large_body_is_413(harness: Harness, size: int) -> None:
    problem(await post(harness, b'"' + b"x" * (size - 2) + b'"'), 413, "body-too-large")


async def test_a_body_of_exactly_the_limit_is_read(harness: Harness) -> None:
    body = json.dumps({"people": []}).encode()
    answer = await post(harness, body + b" " * (256 * 1024 - len(body)))
    assert answer.status_code == 201, answer.text


async def test_a_large_body_is_413_whatever_length_it_claims(harness: Harness) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 10_000

    problem(
        await harness.call(
            "POST", "/v1/things", content=endless(), headers={"Content-Type": "application/json"}
        ),
        413,
        "body-too-large",
    )


@pytest.mark.parametrize(
    "media", ["text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", ""]
)
async def test_other_media_types_are_415(harness: Harness, media: str) -> None:
    problem(await post(harness, b"{}", **{"Content-Type": media}), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "charset", ["latin-1", "ISO-8859-1", '"utf-16"', "", "utf-8; charset=latin-1"]
)
async def test_another_character_set_is_415(harness: Harness, charset: str) -> None:
    content = json.dumps(GOOD).encode()
    problem(
        await post(harness, content, **{"Content-Type": f"application/json; charset={charset}"}),
        415,
        "unsupported-media-type",
    )
    assert harness.effects == []


@pytest.mark.parametrize(
    "parameters", ["; charset=UTF-8", ';charset="utf-8"', "; Charset=us-ascii", "; profile=x", ";"]
)
async def test_what_is_utf_8_is_taken(harness: Harness, parameters: str) -> None:
    content = json.dumps(GOOD).encode()
    assert (
        await post(harness, content, **{"Content-Type": f"application/json{parameters}"})
    ).status_code == 201


async def test_a_compressed_body_is_415(harness: Harness) -> None:
    problem(
        await post(harness, b"{}", **{"Content-Encoding": "gzip"}), 415, "unsupported-media-type"
    )


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"people": [{"familyName": MARKER, "age": MARKER}]}, "/people/0/age"),
        ({"people": [{"familyName": "Q"}], "surprise": MARKER}, "/surprise"),
        ({"people": [{"familyName": "Q"}], MARKER: 1}, "/*"),
        ({"people": [{"familyName": "Q"}], "seenAt": MARKER}, "/seenAt"),
        ({"people": MARKER}, "/people"),
        ([MARKER], ""),
    ],
)
async def test_wrong_fields_are_422_with_pointers(
    harness: Harness, body: Any, pointer: str
) -> None:
    told = problem(await harness.make(body=body), 422, "validation-failed")
    assert [error["pointer"] for error in told["errors"]] == [pointer]
    assert all(error["in"] == "body" for error in told["errors"])
    assert harness.effects == []
    assert harness.refusals[-1].reasons == {"validation-failed": 1}


async def test_wrong_and_unknown_query_parameters_are_422(harness: Harness) -> None:
    told = problem(
        await harness.call("GET", f"/v1/things?limit={MARKER}"), 422, "validation-failed"
    )
    assert told["errors"] == [
        {"in": "query", "pointer": "/limit", "detail": "must be a whole number"}
    ]
    told = problem(await harness.call("GET", "/v1/things?limit=101"), 422, "validation-failed")
    assert told["errors"][0]["detail"] == "must be at most 100"
    told = problem(
        await harness.call("GET", f"/v1/things?dryrun=true&{MARKER}=1"), 422, "validation-failed"
    )
    assert [error["pointer"] for error in told["errors"]] == ["/dryrun", "/*"]
    told = problem(
        await harness.call("GET", "/v1/things?limit=1&limit=2&limit=1"), 422, "validation-failed"
    )
    assert told["errors"] == [{"in": "query", "pointer": "/limit", "detail": "must be given once"}]
    told = problem(await harness.call("GET", f"/v1/things/{MARKER}"), 422, "validation-failed")
    assert told["errors"][0]["in"] == "path"


async def test_unknown_places_and_methods(harness: Harness) -> None:
    problem(await harness.call("GET", f"/v1/{MARKER}"), 404, "not-found")
    problem(await harness.call("GET", "/v1/things/"), 404, "not-found")
    answer = await harness.call("DELETE", "/v1/things/1")
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, PUT", (
        "every method of the path, not of its first route"
    )


async def test_an_unhandled_error_tells_only_its_correlation_id(
    harness: Harness, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await harness.call("GET", "/v1/things/13")
    problem(answer, 500, "internal-error")
    assert answer.headers["cache-control"] == "no-store"
    assert MARKER not in caplog.text
    lines = [getattr(record, "error", "") for record in caplog.records]
    assert any(line.startswith("RuntimeError at web_harness.py:") for line in lines), (
        "type and place are logged"
    )


async def test_a_database_that_is_gone_is_503(harness: Harness) -> None:
    await harness.database.stop()
    problem(await harness.call("GET", "/v1/things/1"), 503, "unavailable")


async def test_correlation_ids_are_echoed_only_if_they_are_uuids(harness: Harness) -> None:
    offered = "0191D0BA-0000-7000-8000-00000000000A"
    assert (await harness.raw("GET", "/healthz", headers={"X-Correlation-ID": offered})).headers[
        "x-correlation-id"
    ] == offered.lower()
    for bad in (MARKER, "07700900123", "x" * 400, f"{offered}{MARKER}"):
        fresh = (await harness.raw("GET", "/healthz", headers={"X-Correlation-ID": bad})).headers[
            "x-correlation-id"
        ]
        assert len(fresh) == 36
        assert fresh != bad


@pytest.mark.parametrize("path", ["/healthz", "/v1/things/1", "/nope", "/docs", "/openapi.json"])
async def test_every_answer_carries_the_protective_headers(harness: Harness, path: str) -> None:
    headers = (await harness.raw("GET", path)).headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "server" not in headers


async def test_huge_headers_are_431(harness: Harness) -> None:
    problem(
        await harness.call("GET", "/v1/things/1", headers={"X-Long": "x" * 40_000}),
        431,
        "headers-too-large",
    )


async def test_anonymous_refusals_are_one_entry_and_named_ones_one_each(harness: Harness) -> None:
    for _ in range(3):
        await harness.raw("GET", "/v1/things/1")
    await harness.raw("GET", "/nope")
    assert harness.refusals == []
    await harness.app.background.flush()
    assert [(one.principal, dict(one.reasons)) for one in harness.refusals] == [
        (None, {"unauthorized": 3, "not-found": 1})
    ]
    await harness.app.background.flush()
    assert len(harness.refusals) == 1
    for _ in range(2):
        await harness.make(token=harness.token(scope="referral.read"))
    assert [one.reasons for one in harness.refusals[1:]] == [{"insufficient-scope": 1}] * 2


async def test_a_trail_that_fails_does_not_let_anybody_in(harness: Harness) -> None:
    async def broken(_refusal: object) -> None:
        raise OSError("disk full")

    harness.app.background._on_refusal = broken
    problem(
        await harness.make(token=harness.token(scope="referral.read")), 403, "insufficient-scope"
    )


async def test_rate_limits_hold_on_included_routes_and_leave_the_urgent_reserve(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_still(monkeypatch)
    harness.app = harness.build(rates=small_rates())
    first = await harness.make("a" * 20)
    assert first.headers["ratelimit-policy"] == '"default";q=2;w=60'
    assert first.headers["ratelimit"].startswith('"default";r=1;t=')
    await harness.make("b" * 20)
    refused = await harness.make("c" * 20)
    problem(refused, 429, "rate-limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    urgent = json.dumps({**GOOD, "form": "urgent"}).encode()
    passed = [
        (await post(harness, urgent, **{"Idempotency-Key": f"{number}" * 20})).status_code
        for number in range(3)
    ]
    assert passed == [201, 201, 429], (
        "danger has capacity of its own, which ordinary traffic cannot use up"
    )


async def test_an_agency_has_a_limit_whatever_client_it_uses(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_still(monkeypatch)
    harness.app = harness.build(rates=small_rates())
    statuses = []
    for client in ("one", "two", "three", "four"):
        token = harness.token(sub=client, client_id=client)
        statuses.append((await harness.call("GET", "/v1/things/1", token=token)).status_code)
    assert statuses == [200, 200, 200, 429]
    other = harness.token(sub="five", client_id="five", agency="northmoor-idva")
    assert (await harness.call("GET", "/v1/things/1", token=other)).status_code == 200
