"""What every published event is: frozen, versioned data with no rules in it."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Event(BaseModel):
    """One event of the published language.

    A class is frozen once it has been sent: a change is a new class with the next VERSION and a new
    golden file in
    ``tests/vectors/events``. `data` is what goes inside the signed part of the envelope.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1

    def data(self) -> dict[str, Any]:
        """The event's fields as JSON values, lower camel case."""
        return self.model_dump(mode="json", by_alias=True)

    def size(self) -> int:
        """Bytes of `data` in canonical form, without making it: another order of members is as
        long.
        """
        return len(self.model_dump_json(by_alias=True).encode())


class Part(BaseModel):
    """A piece of an event; frozen with it."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True
    )
