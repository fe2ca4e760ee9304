"""The outermost layer of every app: limits and checks each request, and marks each response."""

import asyncio
import codecs
import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from time import perf_counter
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.problems import Problem
from common.web import correlation, etags, observe
from common.web.rates import HEADERS as RATE_HEADERS
from hubformats.canonical import CanonicalError, parse

MAX_BODY: Final = 256 * 1024
_DRAIN: Final = (
    8 * 1024 * 1024
)  # read and thrown away, so that a client that is still sending sees the 413
_DRAIN_SECONDS: Final = 5.0
_READ_SECONDS: Final = 30.0  # a body that comes slower than this is not coming
_MAX_HEADERS: Final = 32 * 1024
_OF_A_BODY: Final = frozenset({b"content-length", b"content-type"})

SECURITY_HEADERS: Final[Mapping[str, str]] = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; "
    "form-action 'none'",
}

# scope["state"] member: the body as taken, empty when it has a fault; for the accounts of a refusal
BODY = "hub_body"
# scope["state"] member: a Problem with body or path, raised by the guard once the caller is known
FAULT = "hub_fault"


class Edge:
    """Runs the app for one request at a time; holds no state of its own.

    A faulty body is not answered here. The request goes on with an empty body and the fault in its
    state. The route's guard raises it once the caller is known.
    """

    def __init__(
        self, service: str, media_types: frozenset[str], headers: Mapping[str, str]
    ) -> None:
        """`headers` replace or add to SECURITY_HEADERS."""
        self._service = service
        self._media_types = media_types
        marks = {**SECURITY_HEADERS, **headers}
        self._headers = [(k.encode(), v.encode()) for k, v in marks.items()]

    async def run(self, inner: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one HTTP request. A fault of the app becomes a problem, never an exception."""
        raw = scope["headers"]
        offered = next((v.decode("latin-1") for k, v in raw if k == b"x-correlation-id"), None)
        correlation_id = correlation.accept(offered)
        before = correlation.set_current(correlation_id)
        state = scope.setdefault("state", {})
        state[observe.ASKED] = scope["method"]
        # A copy: the server below looks at its own scope to know that a HEAD has no body
        run = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        started: dict[str, int] = {}
        bodiless = scope["method"] == "HEAD"

        async def marked(message: Message) -> None:
            nonlocal bodiless
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if run["method"] == "GET" and etags.unchanged(raw, message["status"], headers):
                    message["status"], bodiless = 304, True
                    headers = [(k, v) for k, v in headers if k.lower() not in _OF_A_BODY]
                started["status"] = message["status"]
                message["headers"] = self._mark(headers, correlation_id, state)
            elif bodiless:
                message["body"] = b""
            await send(message)

        begun = perf_counter()
        with observe.server_span(self._service, scope) as span:
            try:
                replay = await self._take_body(scope, receive, state)
                if sum(len(k) + len(v) for k, v in raw) > _MAX_HEADERS:
                    await _answer(Problem("headers-too-large"), correlation_id, marked)
                else:
                    await inner(run, replay, marked)
            # Last resort: whatever it is must not reach the caller or a log as text
            except Exception as error:  # noqa: BLE001
                observe.unexpected(error)
                if "status" not in started:
                    await _answer(Problem("internal-error"), correlation_id, marked)
            finally:
                status, seconds = started.get("status", 499), perf_counter() - begun
                observe.finish(span, self._service, run, status, seconds)
                correlation.restore(before)

    async def _take_body(
        self, scope: Scope, receive: Receive, state: MutableMapping[str, Any]
    ) -> Receive:
        """Read the whole body, note any fault in it, and return a `receive` that gives it again."""
        try:
            async with asyncio.timeout(_READ_SECONDS):
                body, complete = await _read(receive)
        except TimeoutError:
            body, complete = b"", True
            state[FAULT] = Problem("malformed-request", headers={"Connection": "close"})
        if not complete:
            body = b""
            state[FAULT] = Problem("body-too-large", headers={"Connection": "close"})
        elif body:
            # RFC 8259 section 8.1 lets a reader ignore a byte order mark; .NET writes one
            body = body.removeprefix(codecs.BOM_UTF8)
            fault = self._fault(scope, body)
            if fault is not None:
                body, state[FAULT] = b"", fault
        if "\0" in scope["path"]:  # no id holds one, and PostgreSQL fails on it
            state[FAULT] = Problem("not-found")
        state[BODY] = body
        given = False

        async def replay() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        return replay

    def _fault(self, scope: Scope, body: bytes) -> Problem | None:
        kinds = [v for k, v in scope["headers"] if k == b"content-type"]
        kind = kinds[0].lower().decode("latin-1") if len(kinds) == 1 else ""
        media, *parameters = map(str.strip, kind.split(";"))
        if media not in self._media_types or not all(map(_is_utf8, parameters)):
            return Problem("unsupported-media-type")
        if any(k == b"content-encoding" for k, _ in scope["headers"]):
            return Problem("unsupported-media-type", "Send the body without a content encoding.")
        if media == "application/json" and not _is_json(body):
            return Problem("malformed-json")
        return None

    def _mark(
        self, headers: list[tuple[bytes, bytes]], correlation_id: str, state: Mapping[str, Any]
    ) -> list[tuple[bytes, bytes]]:
        present = {k.lower() for k, _ in headers}
        rates: Mapping[str, str] = state.get(RATE_HEADERS, {})
        limits = [(k.lower().encode(), v.encode()) for k, v in rates.items()]
        headers.append((b"x-correlation-id", correlation_id.encode()))
        headers.extend((k, v) for k, v in (*limits, *self._headers) if k not in present)
        return headers


def _is_json(body: bytes) -> bool:
    """Tell whether this is one JSON value in UTF-8 that all parsers read alike and all stores hold.

    Refuses repeated names, NaN, lone surrogates, depth over 32 (`canonical.parse`), and NUL, which
    PostgreSQL text cannot hold.
    """
    try:
        value = parse(body)
    except CanonicalError:
        return False
    return b"\\u0000" not in body or not _has_nul(value)


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(name) or _has_nul(item) for name, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)


def _is_utf8(parameter: str) -> bool:
    """Return False for a `charset` other than UTF-8 or ASCII: the body is read as UTF-8."""
    name, _, value = parameter.partition("=")
    return name.strip() != "charset" or value.strip().strip('"') in {"utf-8", "utf8", "us-ascii"}


async def _read(receive: Receive) -> tuple[bytes, bool]:
    """Return the body and whether it is whole.

    A body over the limit is drained for a while so that the sender hears the answer.
    """
    parts: list[bytes] = []
    size = 0
    deadline = perf_counter() + _DRAIN_SECONDS
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"", True  # the client went away; the app finds out by its own receive
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= MAX_BODY:
            parts.append(chunk)
        elif size > _DRAIN or perf_counter() > deadline:
            return b"", False
        if not message.get("more_body", False):
            return (b"".join(parts), True) if size <= MAX_BODY else (b"", False)


def inner_path(scope: Scope) -> str:
    """Return the path inside this app: without the prefix it is mounted under."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root) else path


def problem_response(
    problem: Problem, correlation_id: str
) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of a problem (RFC 9457)."""
    members = problem.body(correlation_id)
    body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
    ]
    headers.extend((k.lower().encode(), v.encode()) for k, v in problem.headers.items())
    return problem.status, headers, body


async def _answer(
    problem: Problem, correlation_id: str, send: Callable[[Message], Awaitable[None]]
) -> None:
    status, headers, body = problem_response(problem, correlation_id)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
