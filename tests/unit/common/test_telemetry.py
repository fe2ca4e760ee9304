"""Logs, spans and metrics of a request hold nothing a person typed, whoever wrote the log line or
made the span."""

import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from common.telemetry import ScrubbingExporter, describe, start_logging

MARKER = "Zebedee-Quill"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The process's logging, sent to memory and put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    start_logging(
        "harness", stream=stream, correlation=lambda: "0191d0ba-0000-7000-8000-000000000000"
    )
    yield stream
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def last(stream: io.StringIO) -> dict[str, Any]:
    """The last line written."""
    made: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return made


def raised() -> Exception:
    """An exception that quotes what it must not."""
    try:
        raise ValueError(f"no such person: {MARKER}")
    except ValueError as error:
        return error


def test_a_line_holds_allowed_fields_only(lines: io.StringIO) -> None:
    logging.getLogger("hub.test").warning(
        "relay waits",
        extra={"topic": "hub.case.v1", "waiting": 3, "surname": MARKER, "payload": {"a": MARKER}},
    )
    line = last(lines)
    assert (line["message"], line["level"], line["service"], line["topic"], line["waiting"]) == (
        "relay waits",
        "warning",
        "harness",
        "hub.case.v1",
        3,
    )
    assert line["correlation_id"].startswith("0191d0ba")
    assert line["time"].endswith("Z")
    assert MARKER not in lines.getvalue()


def test_arguments_and_exception_texts_never_reach_a_line(lines: io.StringIO) -> None:
    logging.getLogger("hub.test").error("refused %s", MARKER)
    assert last(lines)["message"] == "refused %s"
    logging.getLogger("hub.test").error("failed", exc_info=raised())
    assert last(lines)["error"].startswith("ValueError at test_telemetry.py:")
    assert MARKER not in lines.getvalue()


@pytest.mark.parametrize(
    "name",
    [
        "aiokafka.consumer",
        "sqlalchemy.engine.Engine",
        "uvicorn.error",
        "asyncio",
        "fastapi",
        "somelibrary",
    ],
)
def test_a_librarys_own_text_is_replaced_by_its_place(lines: io.StringIO, name: str) -> None:
    logging.getLogger(name).warning(f"cannot store {MARKER}")  # noqa: G004 - libraries do
    logging.getLogger(name).error("failed", exc_info=raised())
    assert MARKER not in lines.getvalue()
    assert last(lines)["message"].startswith("test_telemetry.py:")


@pytest.mark.parametrize(
    "name",
    [
        "hub",
        "common.inbox.quarantine",
        "referral.api",
        "sharing",
        "audit.x",
        "identity",
        "portal",
        "standalone.hub",
    ],
)
def test_our_own_modules_keep_their_fixed_text(lines: io.StringIO, name: str) -> None:
    logging.getLogger(name).warning("waits for %s", MARKER, extra={"alarm": "envelope-quarantined"})
    assert (last(lines)["message"], last(lines)["alarm"]) == (
        "waits for %s",
        "envelope-quarantined",
    )
    assert MARKER not in lines.getvalue()
    logging.getLogger(f"x{name}").warning(MARKER)
    logging.getLogger("commonlib.inbox").warning(MARKER)
    assert MARKER not in lines.getvalue(), "only whole first parts of names are ours"


@pytest.mark.parametrize("name", ["authlib", "authlib.oauth2.rfc6749", "authlib.oauth2.rfc6750"])
def test_authlib_says_nothing_at_any_level(lines: io.StringIO, name: str) -> None:
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        logging.getLogger(name).log(level, "Issue token %r", MARKER)
    assert lines.getvalue() == ""


def test_debug_lines_are_off_and_warnings_are_lines(lines: io.StringIO) -> None:
    logging.getLogger("hub.test").debug("detail")
    logging.getLogger("aiokafka").info("chatter")
    assert lines.getvalue() == ""
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(MARKER, stacklevel=1)
    assert last(lines)["logger"] == "py.warnings"
    assert MARKER not in lines.getvalue()


def test_a_line_cannot_be_broken_in_two(lines: io.StringIO) -> None:
    logging.getLogger("hub.test").warning("odd", extra={"code": 'a\n{"level":"forged"}'})
    assert len(lines.getvalue().splitlines()) == 1


def test_an_error_is_described_without_its_text() -> None:
    assert MARKER not in describe(raised())
    assert describe(ValueError(MARKER)) == "ValueError"


def exported(**attributes: Any) -> ReadableSpan:
    """What is left of a span with a bad name, events, a link and a status text."""
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ScrubbingExporter(memory)))
    tracer = provider.get_tracer("test")
    with tracer.start_as_current_span("linked") as linked:
        pass
    name = attributes.pop("name", f"GET /v1/people/9994765919?name={MARKER}")
    links = [Link(linked.get_span_context(), {"who": MARKER})]
    with tracer.start_as_current_span(name, attributes=attributes, links=links) as span:
        span.record_exception(raised())
        span.add_event(MARKER)
        span.set_status(Status(StatusCode.ERROR, MARKER))
    return memory.get_finished_spans()[-1]


def test_a_span_keeps_routes_and_counts_and_nothing_else() -> None:
    span = exported(
        **{
            "http.route": "/v1/people/{id}",
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "url.path": f"/v1/people/{MARKER}",
            "url.query": f"name={MARKER}",
            "messaging.kafka.message.key": MARKER,
            "db.query.text": f"SELECT '{MARKER}'",
            "enduser.id": MARKER,
            "messaging.destination.name": "hub.case.v1",
            "exception.message": MARKER,
            "http.request.header.authorization": MARKER,
        }
    )
    assert span.name == "GET /v1/people/{id}"
    assert set(span.attributes or {}) == {
        "http.route",
        "http.request.method",
        "http.response.status_code",
        "messaging.destination.name",
    }
    assert (span.events, span.status.description, span.status.status_code) == (
        (),
        None,
        StatusCode.ERROR,
    )
    assert MARKER not in span.to_json()
    assert len(span.links) == 1


def test_what_a_caller_wrote_into_the_trace_state_stays_behind() -> None:
    memory = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ScrubbingExporter(memory)))
    told = SpanContext(
        1, 2, is_remote=True, trace_flags=TraceFlags(1), trace_state=TraceState([("x", MARKER)])
    )
    parent = set_span_in_context(NonRecordingSpan(told))
    provider.get_tracer("test").start_span("work", context=parent, links=[Link(told)]).end()
    (span,) = memory.get_finished_spans()
    assert (
        span.context.trace_id,
        span.parent and span.parent.span_id,
        span.links[0].context.span_id,
    ) == (1, 2, 2)
    assert not any(
        MARKER in str(dict(each.trace_state))
        for each in (span.context, span.links[0].context, span.parent or told)
    )
    assert MARKER not in span.to_json()


@pytest.mark.parametrize("name", [f"GET /x?{MARKER}", "call 07700900123", "x" * 101])
def test_a_span_name_that_is_no_template_is_replaced(name: str) -> None:
    assert exported(name=name).name == "span"


def test_ordinary_span_names_stay() -> None:
    assert exported(name="send hub.case.v1").name == "send hub.case.v1"


_REQUESTS = """
import asyncio, logging, sys
from pathlib import Path
from common import telemetry
from common.web import correlation
from tests.support.web_harness import MARKER, running

async def main(folder):
    async with running(folder) as harness:
        telemetry.start_logging("harness", correlation=correlation.current)
        telemetry.start_telemetry("harness", harness.settings.with_(span_file=folder / "spans.jsonl"))
        parent = {"traceparent": "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01", "tracestate": f"x={MARKER}"}
        await harness.call("GET", "/v1/things/7700900123", headers=parent)
        await harness.call("GET", "/v1/things/13")
        await harness.call("GET", f"/v1/{MARKER}")
        await harness.call("GET", f"/v1/things?{MARKER}={MARKER}")
        await harness.make(body={"people": [{"familyName": MARKER, MARKER: 1}]})
        await harness.raw(MARKER.upper(), "/v1/things")
        print((await harness.raw("GET", "/metrics")).text)
        telemetry.stop_telemetry()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_whole_service_leaks_nothing_and_counts_durations_in_buckets_of_seconds(
    tmp_path: Path,
) -> None:
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", _REQUESTS, str(tmp_path)],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    spans = (tmp_path / "spans.jsonl").read_text()
    for text in (ran.stdout, ran.stderr, spans):
        assert MARKER.lower() not in text.lower()
        assert "7700900123" not in text
    rows = [json.loads(line) for line in spans.splitlines()]
    assert {row["name"] for row in rows} >= {
        "GET /v1/things/{thing_id}",
        "POST /v1/things",
        "GET unmatched",
    }
    first = next(row for row in rows if row["name"] == "GET /v1/things/{thing_id}")
    assert first["context"]["trace_id"] == "0x0123456789abcdef0123456789abcdef", (
        "the caller's trace goes on"
    )
    assert 'http_route="/v1/things/{thing_id}"' in ran.stdout
    assert 'service="harness"' in ran.stdout
    for seconds in ("0.005", "0.25", "10.0"):
        assert f'le="{seconds}"' in ran.stdout, "durations lie in buckets of seconds"
    assert "RuntimeError at web_harness.py:" in ran.stdout, (
        "the planted failure is logged, so the search above had something to find"
    )
