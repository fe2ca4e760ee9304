"""The base of every request and response shape: lower camelCase names, unknown fields refused."""

from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Strict
from pydantic.alias_generators import to_camel


class FieldError(ValueError):
    """Raised by a model's validator with a fixed sentence.

    Only these sentences reach a caller: others might quote input.

    `at` leads from the validated object to the part at fault. It uses the names of the request,
    never what was typed. A validator that looks at a whole object names it there.
    """

    def __init__(self, sentence: str, *at: str | int) -> None:
        super().__init__(sentence)
        self.at = at


class ApiModel(BaseModel):
    """A JSON shape of an API.

    `hide_input_in_errors` keeps what was typed out of any exception text.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        str_strip_whitespace=True,
        serialize_by_alias=True,
    )


def _refuse_loose_number(value: object) -> object:
    """Refuse `true` and `"5"`, which pydantic would take (JSON Schema 2020-12, 4.2.3)."""
    if isinstance(value, bool | str | bytes):
        raise FieldError("must be a number")
    return value


# Put Field(ge=…, le=…) before the validator when narrowing these, or the schema loses minimum and
# maximum.
WholeNumber = Annotated[int, BeforeValidator(_refuse_loose_number)]
StrictBool = Annotated[bool, Strict()]


def _timestamp_text(value: object) -> object:
    """Take only RFC 3339 text as a time: pydantic would also take seconds as a number."""
    if isinstance(value, datetime) or (isinstance(value, str) and len(value) >= 20):
        return value
    raise FieldError("must be an RFC 3339 date-time with a time zone")


def _as_utc(value: datetime) -> datetime:
    """Return the moment in UTC, where every zone and every deadline still has a date for it."""
    if not MINYEAR < value.year < MAXYEAR:
        raise FieldError("must lie between the years 2 and 9998")
    return value.astimezone(UTC)


Timestamp = Annotated[AwareDatetime, BeforeValidator(_timestamp_text), AfterValidator(_as_utc)]
