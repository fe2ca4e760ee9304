"""What callers of other makes send and ask: HEAD, If-None-Match, quoted keys, a byte order mark, a
clock that is off, times at the calendar's edge."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from pydantic import TypeAdapter, ValidationError

from common.models import FieldError, Timestamp
from hubformats.dpop import make_proof
from tests.support.web_harness import SERVICE, Harness, problem, running

THING: Final = "/v1/things/5"
PASSING: Final = {"x-correlation-id", "ratelimit", "ratelimit-policy"}
"""Headers that differ between two requests of one kind."""


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[Harness]:
    """A running service with one good caller."""
    async with running(tmp_path) as made:
        yield made


def lasting(headers: Any) -> dict[str, str]:
    """The headers that are the same for a HEAD and its GET."""
    return {name: value for name, value in headers.items() if name not in PASSING}


@pytest.mark.parametrize("path", [THING, "/v1/things", "/v1/things/14", "/openapi.json"])
async def test_a_head_has_the_headers_of_its_get_and_no_body(harness: Harness, path: str) -> None:
    get, head = await harness.call("GET", path), await harness.call("HEAD", path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    assert lasting(head.headers) == lasting(get.headers)
    assert int(head.headers["content-length"]) == len(get.content) > 0


async def test_a_head_is_guarded_like_its_get_and_its_proof_names_head(harness: Harness) -> None:
    for headers, code in (
        ({}, "unauthorized"),
        (harness.headers("GET", THING), "dpop-proof-refused"),
    ):
        answer = await harness.raw("HEAD", THING, headers=headers)
        assert (answer.status_code, answer.content) == (401, b"")
        assert answer.headers["content-type"] == "application/problem+json", code
    assert (await harness.raw("GET", THING, headers=harness.headers("HEAD", THING))).is_error
    only = await harness.call("HEAD", "/v1/things/5/nowhere")
    assert only.status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_the_caller_has_already_is_a_304(harness: Harness, method: str) -> None:
    tag = (await harness.call("GET", THING)).headers["etag"]
    for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = await harness.call(method, THING, headers={"If-None-Match": asked})
        assert (answer.status_code, answer.content) == (304, b""), asked
        assert answer.headers["etag"] == tag
        assert answer.headers["cache-control"] == "no-store"
        assert "content-type" not in answer.headers
    for asked in ('"other"', tag.strip('"'), tag[:-1], ""):
        answer = await harness.call(method, THING, headers={"If-None-Match": asked})
        assert answer.status_code == 200, asked


async def test_only_a_good_answer_to_a_read_can_be_a_304(harness: Harness) -> None:
    anything = {"If-None-Match": "*"}
    assert (await harness.call("GET", "/v1/things/14", headers=anything)).status_code >= 400
    assert (await harness.call("GET", "/v1/things", headers=anything)).status_code == 200
    assert (await harness.call("PUT", THING, headers=anything)).status_code == 200
    assert (await harness.raw("GET", THING, headers=anything)).status_code == 401


async def test_a_key_in_quotes_and_the_bare_one_are_the_same_key(harness: Harness) -> None:
    bare, quoted = await harness.make("q" * 20), await harness.make(f'"{"q" * 20}"')
    assert (bare.status_code, quoted.status_code) == (201, 201)
    assert quoted.headers["idempotency-replayed"] == "true"
    assert bare.json() == quoted.json()
    assert len(harness.effects) == 1


@pytest.mark.parametrize("key", [f'"{"q" * 20}', f'{"q" * 20}"', f'""{"q" * 20}""', '"short"'])
async def test_half_quoted_keys_are_refused(harness: Harness, key: str) -> None:
    problem(await harness.make(key), 400, "idempotency-key-missing")


async def test_a_byte_order_mark_before_the_json_changes_nothing(harness: Harness) -> None:
    body = json.dumps({"people": [{"familyName": "Quill"}]}).encode()
    for content in (b"\xef\xbb\xbf" + body, body):
        answer = await harness.call(
            "POST",
            "/v1/things",
            content=content,
            headers={"Idempotency-Key": "b" * 20, "Content-Type": "application/json"},
        )
        assert answer.status_code == 201, answer.text
    assert len(harness.effects) == 1, "with and without the mark it is one request"


async def test_a_refused_proof_says_how_far_the_callers_clock_is_off(harness: Harness) -> None:
    at, token = harness.clock.now() - timedelta(seconds=90), harness.token()
    proof = make_proof(harness.client_key, "GET", SERVICE + THING, at=at, token=token)
    given = {"Authorization": f"DPoP {token}", "DPoP": proof}
    body = problem(await harness.raw("GET", THING, headers=given), 401, "dpop-proof-refused")
    assert "is 90 seconds behind the hub's clock" in body["detail"]


TIMES: Final[TypeAdapter[datetime]] = TypeAdapter(Timestamp)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00+14:00",
        "0001-01-01T00:00:00Z",
        "0001-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59-12:00",
        "9999-12-31T23:59:59Z",
        "9999-01-01T00:00:00+14:00",
    ],
)
def test_a_time_at_the_edge_of_the_calendar_is_refused_with_words(text: str) -> None:
    with pytest.raises(ValidationError) as refused:
        TIMES.validate_python(text)
    raised = refused.value.errors()[0]["ctx"]["error"]
    assert isinstance(raised, FieldError)
    assert str(raised) == "must lie between the years 2 and 9998"


def test_the_first_and_last_times_taken_have_a_date_everywhere() -> None:
    first = TIMES.validate_python("0002-01-01T00:00:00+14:00")
    last = TIMES.validate_python("9998-12-31T23:59:59-12:00")
    assert first == datetime(1, 12, 31, 10, tzinfo=UTC)
    assert last == datetime(9999, 1, 1, 11, 59, 59, tzinfo=UTC)
