"""Logs, traces and metrics that cannot carry personal data: fields by allow-list, errors by type
and place."""

import json
import logging
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePath
from typing import Any, Final, TextIO

import stamina
from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from common.settings import Settings
from hubformats.clock import SystemClock

# stamina would log each retry with the text of its error, which may quote what was sent.
stamina.instrumentation.set_on_retry_hooks(())

# What a log line may hold beside time, level, logger and our own fixed message. Values are codes,
# counts, ids and places.
LOG_FIELDS: Final = frozenset(
    {
        *("agency", "agreement", "alarm", "attempts", "batch", "checkpoint_size", "code"),
        *("consumer", "correlation_id", "count", "epoch", "error", "group", "kind", "lag"),
        *("milliseconds", "name", "offset", "owners", "partition", "port", "prepared"),
        *("quarantine", "reason", "recipient", "recipients", "route", "seq", "service"),
        *("source", "state", "status", "stream", "topic", "trace_id", "version", "waiting"),
    }
)

# What a span may hold. Everything else is dropped, so a new instrumentation library cannot start to
# leak.
SPAN_FIELDS: Final = frozenset(
    {
        *("code.function.name", "db.operation.name", "db.system.name", "error.type"),
        *("http.request.method", "http.response.status_code", "http.route", "hub.batch"),
        *("hub.code", "hub.count", "hub.event_type", "hub.outcome", "hub.reason", "hub.seq"),
        *("hub.service", "messaging.batch.message_count", "messaging.consumer.group.name"),
        *("messaging.destination.name", "messaging.destination.partition.id"),
        *("messaging.operation.name", "messaging.operation.type", "messaging.system"),
        *("rpc.system", "server.address", "server.port"),
    }
)

_OURS: Final = frozenset(
    {
        *("hub", "common", "referral", "sharing", "audit", "identity", "portal", "standalone"),
        *("hubpartner",),
    }
)
"""First parts of the names of our own loggers: our packages, and `hub`.

Their messages are fixed templates.
"""

_QUIET: Final = (
    "aiokafka",
    "authlib",
    "httpx2",
    "httpcore2",
    "uvicorn",
    "sqlalchemy",
    "alembic",
    "asyncio",
    "kafka",
    "multipart",
)
_setup = threading.Lock()
_ready = False


def describe(error: BaseException) -> str:
    """Describe an error as `TypeName at file.py:line in function`, the innermost place of ours.

    It leaves out the message, which may quote input.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    where = (ours or frames)[-1:]
    if not where:
        return type(error).__qualname__
    return (
        f"{type(error).__qualname__} at {PurePath(where[0].filename).name}:{where[0].lineno} "
        f"in {where[0].name}"
    )


class JsonLines(logging.Formatter):
    """One JSON object per line (UTC).

    The message is kept only for our own loggers and only as its fixed template.

    `logger.error("refused: %s", name)` gives `refused: %s`: arguments never reach the line. A
    library's own text may quote
    anything, so of a library only the place that spoke is written.
    """

    def __init__(self, service: str, correlation: Any = None) -> None:
        """`correlation` is a callable that gives the current correlation id or None."""
        super().__init__()
        self._service = service
        self._correlation = correlation
        self._clock = SystemClock()

    def format(self, record: logging.LogRecord) -> str:
        """Write a record as one line of JSON."""
        own = record.name.split(".", maxsplit=1)[0] in _OURS
        line: dict[str, Any] = {
            "time": (datetime.fromtimestamp(record.created, UTC) + self._clock.ahead)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": str(record.msg)
            if own
            else f"{PurePath(record.pathname).name}:{record.lineno}",
        }
        correlation_id = self._correlation() if self._correlation is not None else None
        if correlation_id:
            line["correlation_id"] = correlation_id
        span = trace.get_current_span().get_span_context()
        if span.is_valid:
            line["trace_id"] = f"{span.trace_id:032x}"
        line.update(
            {
                name: _plain(value)
                for name, value in vars(record).items()
                if name in LOG_FIELDS and name != "name"
            }
        )
        if record.exc_info and isinstance(record.exc_info[1], BaseException):
            line["error"] = describe(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True)


def _plain(value: object) -> object:
    return value if isinstance(value, int | float | bool | type(None)) else str(value)[:200]


def start_logging(service: str, *, stream: TextIO | None = None, correlation: Any = None) -> None:
    """Send every log of the process through JsonLines.

    Libraries speak only from WARNING on, and authlib never: it logs tokens.
    """
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines(service, correlation))
    # A library may give a logger of its own a level, so the last word stands at the handler.
    handler.addFilter(lambda record: record.name.partition(".")[0] != "authlib")
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    for name in _QUIET:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        logger.handlers.clear()
        logger.propagate = True


class ScrubbingExporter(SpanExporter):
    """Pass spans on with allowed attributes only, without events, status text or links."""

    def __init__(self, inner: SpanExporter) -> None:
        """`inner` does the sending."""
        self._inner = inner

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Scrub and send."""
        return self._inner.export([scrubbed(span) for span in spans])

    def shutdown(self) -> None:
        """Close the inner exporter."""
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the inner exporter."""
        return self._inner.force_flush(timeout_millis)


def scrubbed(span: ReadableSpan) -> ReadableSpan:
    """Copy a span without anything a person typed.

    A name with a digit or `?` in it is not a template, so it is replaced.
    """
    attributes = {
        name: value for name, value in (span.attributes or {}).items() if name in SPAN_FIELDS
    }
    return ReadableSpan(
        name=_span_name(span.name, attributes),
        context=span.context and _stateless(span.context),
        parent=span.parent and _stateless(span.parent),
        resource=span.resource,
        attributes=attributes,
        events=(),
        links=[trace.Link(_stateless(link.context)) for link in span.links],
        kind=span.kind,
        status=trace.Status(span.status.status_code),
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _stateless(context: trace.SpanContext) -> trace.SpanContext:
    """Return the same place in the trace without `tracestate`, which a caller wrote."""
    return trace.SpanContext(
        context.trace_id, context.span_id, context.is_remote, context.trace_flags
    )


def _span_name(name: str, attributes: Mapping[str, Any]) -> str:
    route = attributes.get("http.route")
    if route is not None:
        return f"{attributes.get('http.request.method', 'HTTP')} {route}"
    # Versions such as ".v1" are part of topic names; anything longer may be a number of a person.
    fine = len(name) <= 100 and "?" not in name and sum(letter.isdigit() for letter in name) <= 2
    return name if fine else "span"


class SpanFile(SpanExporter):
    """Append finished spans to a file as JSON lines, so that a test can search them."""

    def __init__(self, path: Path) -> None:
        """`path` is created; several processes may append to one file."""
        self._path = path
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append."""
        text = "".join(span.to_json(indent=None) + "\n" for span in spans)
        with self._lock, self._path.open("a", encoding="utf-8") as file:
            file.write(text)
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Do nothing: nothing is held open."""


def start_telemetry(service: str, settings: Settings) -> None:
    """Set the process's tracer and meter providers, once; later calls change nothing.

    Sampling is decided at the head.

    Traces and metrics go to `settings.otlp_endpoint` if set; /metrics always works. A span file
    gets every span.
    """
    global _ready
    with _setup:
        if _ready:
            return
        _ready = True
    resource = Resource.create({"service.name": service, "service.namespace": "hub"})
    readers: list[MetricReader] = [PrometheusMetricReader(scope_info_enabled=False)]
    ratio = 1.0 if settings.span_file is not None else settings.trace_ratio
    tracing = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(ratio)))
    if settings.span_file is not None:
        tracing.add_span_processor(
            SimpleSpanProcessor(ScrubbingExporter(SpanFile(settings.span_file)))
        )
    if settings.otlp_endpoint is not None:
        exporter = ScrubbingExporter(OTLPSpanExporter(f"{settings.otlp_endpoint}/v1/traces"))
        tracing.add_span_processor(BatchSpanProcessor(exporter))
        readers.append(
            PeriodicExportingMetricReader(
                OTLPMetricExporter(f"{settings.otlp_endpoint}/v1/metrics")
            )
        )
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=readers))


def stop_telemetry() -> None:
    """Send what is buffered; for a clean end of the process."""
    for provider in (trace.get_tracer_provider(), metrics.get_meter_provider()):
        if isinstance(provider, TracerProvider | MeterProvider):
            provider.force_flush(5_000)


def prometheus() -> tuple[bytes, str]:
    """Return the process's metrics in Prometheus text form, and their media type."""
    return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
