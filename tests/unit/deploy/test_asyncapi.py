"""The event catalogue is what the classes and topics say, and its schemas take what is really
sent."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from common import topics
from common.events import ALL, Event
from deploy import asyncapi
from hubformats.envelope import peek, routing_headers
from tests.vectors.events.cases import EXAMPLES

DOCUMENT = asyncapi.document()
SCHEMAS = DOCUMENT["components"]["schemas"]


@pytest.mark.parametrize("path", asyncapi.files(), ids=lambda path: path.name)
def test_the_committed_file_is_up_to_date(path: Path) -> None:
    assert path.read_text("utf-8") == asyncapi.files()[path], (
        "run: .venv/bin/python -m deploy.asyncapi"
    )


def test_every_topic_is_there_with_its_writers_and_readers() -> None:
    assert set(asyncapi.CARRIES) == {spec.name for spec in asyncapi.specs()}
    assert len(asyncapi.specs()) * 2 == len(topics.topics((asyncapi.AGENCY,)))
    for spec in asyncapi.specs():
        channel = spec.name.replace(".", "-")
        assert DOCUMENT["channels"][channel]["address"] == spec.name.replace(
            ".agency.", ".{agency}."
        )
        parties = {
            action: {
                op["tags"][0]["name"]
                for op in operations()
                if op["action"] == action and op["channel"]["$ref"].endswith(f"/{channel}")
            }
            for action in ("send", "receive")
        }
        assert parties == {"send": set(spec.producers), "receive": set(spec.consumers)}


def operations() -> list[dict[str, Any]]:
    return list(DOCUMENT["operations"].values())


def test_every_event_travels_somewhere() -> None:
    assert {event for carried in asyncapi.CARRIES.values() for event in carried} == set(ALL)


def test_every_reference_resolves() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > 50
    for reference in found:
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "$ref":
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_names_are_ones_that_asyncapi_allows() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    for kind in ("channels", "operations"):
        assert all(re.fullmatch(r"[A-Za-z0-9_.\-]+", name) for name in DOCUMENT[kind])
    assert all(
        re.fullmatch(r"[A-Za-z0-9_.\-]+", name)
        for each in DOCUMENT["components"].values()
        for name in each
    )
    for channel in DOCUMENT["channels"].values():
        assert set(re.findall(r"\{(\w+)\}", channel["address"])) == set(
            channel.get("parameters", {})
        )


def test_no_two_events_mean_different_things_by_one_part() -> None:
    parts: dict[str, Any] = {}
    for event in ALL:
        for name, schema in event.model_json_schema(by_alias=True).get("$defs", {}).items():
            assert parts.setdefault(name, schema) == schema


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_the_schema_takes_what_is_sent_and_nothing_more(example: Event) -> None:
    reference = f"#/components/schemas/{type(example).__name__}V{example.VERSION}"
    validator = jsonschema_rs.Draft202012Validator(
        {"$ref": reference, "components": DOCUMENT["components"]}
    )
    data = example.data()
    assert validator.is_valid(data)
    assert not validator.is_valid({**data, "surprise": 1})
    assert not validator.is_valid(
        {name: value for name, value in data.items() if name != next(iter(data))}
    )


def test_the_envelope_schema_takes_a_real_envelope() -> None:
    folder = Path(__file__).parents[2] / "vectors" / "envelope"
    validator = jsonschema_rs.Draft202012Validator(SCHEMAS["SealedEnvelope"])
    assert validator.is_valid(json.loads((folder / "sealed_to_one.json").read_bytes()))
    assert validator.is_valid(json.loads((folder / "sealed_to_three.json").read_bytes()))
    assert not validator.is_valid(json.loads((folder / "unknown_member.json").read_bytes()))


def test_the_headers_are_those_the_envelope_gets() -> None:
    envelope = (
        Path(__file__).parents[2] / "vectors" / "envelope" / "sealed_to_one.json"
    ).read_bytes()
    headers = {name: value.decode() for name, value in routing_headers(peek(envelope))}
    validator = jsonschema_rs.Draft202012Validator(SCHEMAS["Headers"])
    assert set(SCHEMAS["Headers"]["required"]) == set(headers)
    assert validator.is_valid(headers)
    assert not validator.is_valid({**headers, "ce_type": "hub.case-snapshot"}), (
        "the true type never stands outside"
    )
