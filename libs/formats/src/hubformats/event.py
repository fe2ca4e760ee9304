"""What every published event is: frozen, versioned data with no rules in it."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel


class Event(BaseModel):
    """One event of the published language.

    A class is frozen once it has been sent. A change is a new class with the next VERSION and a new
    golden file in ``tests/vectors/events``. `data` is what goes inside the signed part of the
    envelope.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1

    def data(self) -> dict[str, Any]:
        """Return the event's fields as JSON values, lower camel case."""
        return self.model_dump(mode="json", by_alias=True)

    def size(self) -> int:
        """Return the bytes of `data` in canonical form, without making it.

        Another order of members is as long.
        """
        return len(self.model_dump_json(by_alias=True).encode())


class Part(BaseModel):
    """A piece of an event; frozen with it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )


class EventUnknown(ValueError):
    """No class has this type and version: the sender is newer than the reader."""


class EventMalformed(ValueError):
    """The data is not what its class says. Never carries the data."""


class Vocabulary:
    """The events a reader understands, by type and version."""

    def __init__(self, events: Iterable[type[Event]]) -> None:
        self._by_name = {(event.TYPE, event.VERSION): event for event in events}

    def parse(self, name: str, version: int, data: Mapping[str, Any]) -> Event:
        """Read the event of type `name` and `version` from `data`.

        Raises EventUnknown when no class has that name, EventMalformed when the data do not fit.
        """
        found = self._by_name.get((name, version))
        if found is None:
            raise EventUnknown("event-unknown")
        try:
            return found.model_validate(data)
        except ValidationError:
            raise EventMalformed("event-malformed") from None
