"""One server span and one set of metrics per request, from route templates: no path or query."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.trace import Span, SpanKind, StatusCode
from starlette.types import Scope

from common.telemetry import describe

_log = logging.getLogger("hub.web")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# scope["state"] member: the method as asked. A HEAD runs as the GET it stands for, so that it is
# guarded, limited and recorded alike; only its proof of possession names HEAD.
ASKED: Final = "hub_method"
_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25),
    *(0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
"""Seconds, as OpenTelemetry's semantic conventions advise for this histogram."""

# Asked for once: the SDK's get_tracer edits warning filters, which costs more than the span.
_tracer = trace.get_tracer("hub.web")
_meter = metrics.get_meter("hub.web")
_duration = _meter.create_histogram(
    "http.server.request.duration",
    unit="s",
    description="Duration of HTTP requests by route template",
    # Without this advice the SDK's buckets are those of milliseconds: all would lie in the first.
    explicit_bucket_boundaries_advisory=_BUCKETS,
)


@contextmanager
def server_span(service: str, scope: Scope) -> Iterator[Span]:
    """Open the span of this request, below the caller's `traceparent`. It holds the method only."""
    # Not `tracestate`: it is the caller's free text, and would travel on with every call.
    carrier = {k.decode(): v.decode("latin-1") for k, v in scope["headers"] if k == b"traceparent"}
    token = context.attach(propagate.extract(carrier))
    span = _tracer.start_span(
        method(scope),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method(scope), "hub.service": service},
    )
    try:
        with trace.use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            yield span
    finally:
        context.detach(token)


def finish(span: Span, service: str, scope: Scope, status: int, seconds: float) -> None:
    """Give the span its name and status, and count the request."""
    route = route_template(scope)
    span.update_name(f"{method(scope)} {route}")
    span.set_attribute("http.route", route)
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        span.set_status(StatusCode.ERROR)
    labels = {"service": service, "http.request.method": method(scope), "http.route": route}
    _duration.record(seconds, {**labels, "http.response.status_code": status})


def method(scope: Scope) -> str:
    """Return the method, or _OTHER for one not in RFC 9110: an invented name is free text."""
    name = str(scope.get("state", {}).get(ASKED, scope["method"]))
    return name if name in _METHODS else "_OTHER"


def route_template(scope: Scope) -> str:
    """Return the route's template such as /v1/referrals/{id}, or `unmatched`."""
    route = scope.get("route")
    path = getattr(route, "path_format", None) or getattr(route, "path", None)
    return path if isinstance(path, str) else "unmatched"


def unexpected(error: BaseException) -> None:
    """Log an error by its type and place in our code; its message may quote personal data."""
    _log.error("unhandled error", extra={"error": describe(error)})
