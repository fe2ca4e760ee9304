"""What every refusal of the hub must be: a documented problem that names the place, repeats
nothing, and is accounted for."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

import httpx2

from common import problems
from tests.support.inner_hub import InnerHub

MARKER: Final = "ZZMARKERZZ"
"""Typed into every field; it must come back nowhere."""

STORED: Final = (
    "case_file",
    "referral",
    "fact_group",
    "subject_key",
    "snapshot_sent",
    "outcome",
    "idempotent_answer",
)
"""Referral's tables that hold what somebody sent, or that something was sent."""


def refused(
    hub: InnerHub, answer: httpx2.Response, status: int, code: str, *pointers: str
) -> dict[str, Any]:
    """The body of a refusal that keeps every promise; with `pointers`, exactly these places are
    named.
    """
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    body: dict[str, Any] = json.loads(answer.text)
    assert (body["code"], body["status"], body["type"]) == (
        code,
        status,
        problems.TYPE_BASE + code,
    ), body
    assert body["correlationId"] == answer.headers["x-correlation-id"]
    assert code in {kind.code for kind in problems.kinds()}
    if pointers:
        assert [fault["pointer"] for fault in body["errors"]] == list(pointers), body["errors"]
    echoed_nowhere(hub, answer)
    documented(hub, answer, code)
    return body


def echoed_nowhere(hub: InnerHub, answer: httpx2.Response) -> None:
    """Neither the answer nor any log line or span since the last look holds the marker."""
    told = f"{answer.reason_phrase}\n{answer.headers.multi_items()}\n{answer.text}"
    assert MARKER.lower() not in told.lower(), told
    assert MARKER.lower() not in hub.said().lower(), "a log line or span repeats what was typed"


def documented(hub: InnerHub, answer: httpx2.Response, code: str) -> None:
    """The OpenAPI document of the service lists this problem for this operation."""
    prefix, path = answer.request.url.path[1:].split("/", maxsplit=1)
    document = hub.service(prefix).app.openapi()
    for template, operations in document["paths"].items():
        operation = operations.get(answer.request.method.lower())
        if operation is not None and _fits(template, "/" + path):
            listed = operation["responses"].get(str(answer.status_code))
            assert listed is not None, f"{answer.status_code} is not documented for {template}"
            shared = document["components"]["responses"]
            shown = shared[listed["$ref"].rsplit("/", 1)[-1]] if "$ref" in listed else listed
            assert "application/problem+json" in shown["content"]
            assert f"`{code}`" in shown["description"], f"{code} is not documented for {template}"
            return
    raise AssertionError(f"no operation is documented for {answer.request.method} {path}")


def _fits(template: str, path: str) -> bool:
    wanted, given = template.split("/"), path.split("/")
    return len(wanted) == len(given) and all(
        part.startswith("{") or part == found for part, found in zip(wanted, given, strict=True)
    )


def denials(hub: InnerHub, agency: str) -> list[dict[str, Any]]:
    """Every `denied` record of an agency's callers that stands in the log, oldest first."""
    query = (
        "SELECT e.record FROM entry e JOIN lookup l ON l.idx = e.idx WHERE l.op = 'denied' "
        "AND l.org = ? ORDER BY e.idx"
    )
    return [json.loads(row[0]) for row in hub.rows("audit", query, agency)]


async def denied_in_the_log(
    hub: InnerHub, agency: str, before: int, code: str
) -> list[dict[str, Any]]:
    """The denials after the first `before`, once the log holds one for `code`.

    Raises AssertionError when it never comes.
    """
    for _ in range(100):
        found = denials(hub, agency)[before:]
        if any(code in record.get("why", "").split(",") for record in found):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"no denied entry says {code}; {len(found)} came")


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every leaf of a JSON value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, (*path, place))
    else:
        yield path


def objects(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every object inside a JSON value, itself included."""
    if isinstance(value, dict):
        yield path
        for name, inner in value.items():
            yield from objects(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from objects(inner, (*path, place))


def changed(value: Any, path: tuple[str | int, ...], new: Any) -> Any:
    """A copy of a JSON value with another one at `path`."""
    copy = json.loads(json.dumps(value))
    if not path:
        return new
    here = copy
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = new
    return copy


def pointer(path: tuple[str | int, ...]) -> str:
    """RFC 6901."""
    return "".join(f"/{part}" for part in path)
