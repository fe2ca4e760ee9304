"""The golden files of the published language: a changed class fails here and must become a new
version."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from common.events import ALL, Event, EventMalformed, EventUnknown, parse
from common.events.identity import AgencyRestored
from hubformats.canonical import canonical
from tests.vectors.events.cases import EXAMPLES, files, shape

FOLDER = Path(__file__).parents[2] / "vectors" / "events"
KEPT = sorted(FOLDER.glob("*.json"))
CASES: list[tuple[str, int, dict[str, Any]]] = [
    (whole["type"], whole["version"], example)
    for whole in (json.loads(path.read_text()) for path in KEPT)
    for example in whole["examples"]
]


def test_every_class_and_every_file_has_its_other() -> None:
    assert sorted(path.name for path in KEPT) == sorted(files())
    assert {type(example) for example in EXAMPLES} == set(ALL)


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_the_class_is_still_what_was_published(path: Path) -> None:
    assert files()[path.name] == path.read_bytes()


@pytest.mark.parametrize(
    ("name", "version", "data"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_the_examples_are_read_and_written_back_unchanged(
    name: str, version: int, data: dict[str, Any]
) -> None:
    event = parse(name, version, data)
    assert (name, version) == (event.TYPE, event.VERSION)
    assert event.data() == data


@pytest.mark.parametrize(
    ("name", "version", "data"), CASES, ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_unknown_field_or_a_missing_one_is_refused_without_quoting_the_data(
    name: str, version: int, data: dict[str, Any]
) -> None:
    event = next(each for each in ALL if (name, version) == (each.TYPE, each.VERSION))
    required = next(
        field.alias or key for key, field in event.model_fields.items() if field.is_required()
    )
    for changed in (
        data | {"surprise": "Marta"},
        {key: value for key, value in data.items() if key != required},
    ):
        with pytest.raises(EventMalformed) as caught:
            parse(name, version, changed)
        assert str(caught.value) == "event-malformed"
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.TYPE)
def test_the_size_is_that_of_the_canonical_form(example: Event) -> None:
    assert example.size() == len(canonical(example.data()))


def test_the_size_counts_what_json_escapes_and_utf_8_widens() -> None:
    every = "".join(map(chr, range(0x100))) + "\u2028\u540d\U0001f600"
    event = AgencyRestored(
        agency=every, state_epoch=2**53 - 1, at=datetime(2026, 4, 1, 9, 30, 0, 120, tzinfo=UTC)
    )
    assert event.size() == len(canonical(event.data()))


def test_another_version_is_unknown() -> None:
    with pytest.raises(EventUnknown):
        parse(AgencyRestored.TYPE, 2, {})


def test_the_shape_shows_a_changed_class() -> None:
    class Changed(Event):
        TYPE: ClassVar[str] = AgencyRestored.TYPE
        VERSION: ClassVar[int] = 1
        agency: str
        state_epoch: int
        at: str

    class Documented(AgencyRestored):
        """Other words for people change nothing."""

    assert shape(Changed) != shape(AgencyRestored)
    assert shape(Documented) == shape(AgencyRestored)
