"""Problems: one registry, complete bodies, and validation errors that point without repeating."""

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter, ValidationError, field_validator

from common.models import ApiModel, FieldError, Timestamp, WholeNumber
from common.problems import TYPE_BASE, Fault, Problem, define, kinds
from common.web.faults import faults

SECRET = "Zebedee-Quill"
ID = "0191d0ba-0000-7000-8000-000000000000"


def test_every_kind_is_complete_and_says_what_to_do() -> None:
    for kind in kinds():
        assert 400 <= kind.status <= 599
        assert kind.title
        assert kind.advice.endswith((".", ";"))
        assert kind.code == kind.code.lower().strip("-")
        assert kind.type == TYPE_BASE + kind.code


def test_a_code_means_one_thing() -> None:
    define("test-only", 409, "A test", "Do nothing.")
    define("test-only", 409, "A test", "Do nothing.")
    with pytest.raises(ValueError, match="twice"):
        define("test-only", 404, "A test", "Do nothing.")
    with pytest.raises(KeyError):
        Problem("no-such-code")


def test_members_never_replace_the_standard_ones() -> None:
    body = Problem(
        "conflict",
        members={"status": 200, "title": SECRET, "version": 3},
        errors=[Fault("/a", "is wrong")],
    ).body(ID)
    assert body["status"] == 409
    assert body["title"] != SECRET
    assert body["version"] == 3
    assert body["errors"] == [{"in": "body", "pointer": "/a", "detail": "is wrong"}]
    assert body["instance"] == f"urn:uuid:{ID}"


class Person(ApiModel):
    family_name: str = Field(max_length=5)
    age: WholeNumber | None = None


class Dog(BaseModel):
    kind: str
    barks: bool


class Whole(ApiModel):
    people: list[Person]
    seen_at: Timestamp | None = None
    pet: Dog | list[str] | None = None

    @field_validator("people")
    @classmethod
    def _known(cls, value: list[Person]) -> list[Person]:
        if len(value) == 3:
            raise FieldError("must not be three")
        if len(value) == 4:
            raise ValueError(f"careless text {value[0].family_name}")
        return value


def found(body: object) -> list[tuple[str, str]]:
    """Pointers and sentences for `body` as FastAPI would report them."""
    try:
        Whole.model_validate(body)
    except ValidationError as error:
        errors = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        return [(fault.pointer, fault.detail) for fault in faults(errors, body)]
    return []


def person(**more: object) -> dict[str, object]:
    return {"familyName": "Quill", **more}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("/people", "is required")]),
        ({"people": [person(), {}]}, [("/people/1/familyName", "is required")]),
        (
            {"people": [person(familyName=SECRET)]},
            [("/people/0/familyName", "must have at most 5 characters")],
        ),
        ({"people": [person(age="5")]}, [("/people/0/age", "must be a number")]),
        ({"people": [person(age=True)]}, [("/people/0/age", "must be a number")]),
        ({"people": [person(age=1.5)]}, [("/people/0/age", "must be a whole number")]),
        ({"people": [], "surprise": SECRET}, [("/surprise", "is not a known field")]),
        ({"people": [], SECRET: 1}, [("/*", "is not a known field")]),
        ({"people": [], "a/b": 1}, [("/*", "is not a known field")]),
        (
            {"people": [], "seenAt": SECRET},
            [("/seenAt", "must be an RFC 3339 date-time with a time zone")],
        ),
        (
            {"people": [], "seenAt": 1700000000},
            [("/seenAt", "must be an RFC 3339 date-time with a time zone")],
        ),
        (
            {"people": [], "seenAt": "2026-11-21T10:00:00"},
            [("/seenAt", "must be an RFC 3339 date-time with a time zone")],
        ),
        ({"people": [], "seenAt": "2026-11-21T10:00:00.5"}, [("/seenAt", "must have a time zone")]),
        ({"people": [person()] * 3}, [("/people", "must not be three")]),
        ({"people": [person()] * 4}, [("/people", "is not acceptable")]),
        ([], [("", "must be an object")]),
        (SECRET, [("", "must be an object")]),
    ],
)
def test_pointers_and_sentences(body: object, expected: list[tuple[str, str]]) -> None:
    assert found(body) == expected


class Full(ApiModel):
    form: Literal["full"]


class Urgent(ApiModel):
    form: Literal["urgent"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("/form", "must say which kind it is")),
        ({"form": SECRET}, ("/form", "must be one of 'full', 'urgent'")),
    ],
)
def test_the_field_that_says_which_kind_is_named(body: object, expected: tuple[str, str]) -> None:
    either: TypeAdapter[Full | Urgent] = TypeAdapter(
        Annotated[Full | Urgent, Field(discriminator="form")]
    )
    with pytest.raises(ValidationError) as caught:
        either.validate_python(body)
    (fault,) = faults(
        [{**one, "loc": ("body", *one["loc"])} for one in caught.value.errors()], body
    )
    assert (fault.pointer, fault.detail) == expected


def test_a_pointer_names_places_in_the_body_not_members_of_a_union() -> None:
    pointers = {pointer for pointer, _ in found({"people": [], "pet": {"kind": "dog"}})}
    assert pointers == {"/pet/barks", "/pet"}


def test_a_good_float_is_a_whole_number_as_json_schema_says() -> None:
    assert found({"people": [person(age=5.0)]}) == []


def test_a_long_list_of_faults_is_cut() -> None:
    assert len(found({"people": [{}] * 500})) == 50
