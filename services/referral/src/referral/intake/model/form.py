"""The referral forms. Every field names the data category it is stored and shared under."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from common.models import FieldError, StrictBool, Timestamp
from common.texts import DangerLine, DangerText, FreeText, OneLine
from hubformats.legal_codes import Basis, Condition
from referral.intake.model.explained import EXPLAINED
from referral.intake.model.identifiers import written_nhs_number, written_postcode
from referral.intake.model.wording import (
    Agrees,
    Answer,
    AnswerSource,
    Aware,
    Channel,
    Gateway,
    Kind,
    Quality,
    Relationship,
    Role,
    Safe,
    Source,
    Voicemail,
    Yes,
)

_LINE = StringConstraints(strip_whitespace=True, min_length=1, max_length=300)
_LINES = StringConstraints(strip_whitespace=True, min_length=1, max_length=8_000)
Text = Annotated[str, _LINE, OneLine]
LongText = Annotated[str, _LINES, FreeText]
UrgentText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=300), DangerLine]
"""May be empty, which is the same as left out: danger is never refused for form."""
UrgentLongText = Annotated[str, _LINES, DangerText]
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def _day_text(value: object) -> object:
    """Take only RFC 3339 full-date text as a day.

    Pydantic would also take seconds since 1970, and make somebody's birthday of them.
    """
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise FieldError("must be a date such as 2026-01-31")


Day = Annotated[date, BeforeValidator(_day_text)]


@dataclass(frozen=True, slots=True)
class Shared:
    """The data category of a field and its name for a practitioner.

    `{role}` stands for the person's role.
    """

    category: str
    label: str
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class Internal:
    """A field that steers the hub and is never a fact of a snapshot; `why` says what it is for."""

    why: str


def _repeated(names: Sequence[str]) -> int | None:
    """Find the place of the first name that stood before."""
    return next((place for place, name in enumerate(names) if name in names[:place]), None)


class Form(BaseModel):
    """A part of a form: camel case outside, no unknown field, no silent conversion of types."""

    model_config = ConfigDict(
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        str_strip_whitespace=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Describe each property by what it asks for."""
        schema = handler(core_schema)
        for name, described in handler.resolve_ref_schema(schema).get("properties", {}).items():
            described.setdefault("description", EXPLAINED[cls.__name__][name])
        return schema


class Name(Form):
    """A person's name as known. `known_as` is the name to use."""

    full: Annotated[Text | None, Shared("{role}_identity", "Full name")] = None
    known_as: Annotated[Text | None, Shared("{role}_identity", "Name to use")] = None


class Address(Form):
    """Where a person lives or stays. A shielded address leaves to nobody; at most its area code.

    An area code is one of the area's listed ones (`GET /v1/code-lists`). Anything else there is
    taken in as part of the address.
    """

    lines: Annotated[
        tuple[Text, ...], Shared("{role}_address", "Address"), Field(max_length=20)
    ] = ()
    postcode: Annotated[
        Annotated[Text, AfterValidator(written_postcode)] | None,
        Shared("{role}_address", "Postcode"),
    ] = None
    area_code: Annotated[Text | None, Shared("{role}_area", "Area")] = None
    landlord: Annotated[Text | None, Shared("{role}_address", "Landlord")] = None
    shielded: Annotated[StrictBool, Internal("location shield")] = False


class Person(Form):
    """Somebody on the case. The role lives here, on the link to the case, never on the person."""

    ref: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")],
        Internal("joins parts of one form"),
    ]
    role: Annotated[Role, Internal("decides the categories")]
    name: Name = Name()
    aliases: Annotated[
        tuple[Text, ...], Shared("{role}_identity", "Also known as"), Field(max_length=50)
    ] = ()
    birth_dates: Annotated[
        tuple[Day, ...], Shared("{role}_identity", "Possible dates of birth"), Field(max_length=5)
    ] = ()
    nhs_number: Annotated[
        Annotated[str, AfterValidator(written_nhs_number)] | None,
        Shared("{role}_identity", "NHS number"),
    ] = None
    gender: Annotated[Text | None, Shared("{role}_identity", "Gender")] = None
    phone: Annotated[Text | None, Shared("{role}_phone", "Phone on record")] = None
    addresses: Annotated[tuple[Address, ...], Field(max_length=5)] = ()
    language: Annotated[Text | None, Shared("{role}_needs", "First language")] = None
    interpreter_needed: Annotated[Yes | None, Shared("{role}_needs", "Interpreter needed")] = None
    care_and_support_needs: Annotated[
        LongText | None, Shared("{role}_needs", "Care and support needs")
    ] = None
    relationship_to_victim: Annotated[
        Relationship | None, Shared("relationship", "Relationship to the victim")
    ] = None
    school: Annotated[Text | None, Shared("{role}_school", "School")] = None
    doctor: Annotated[Text | None, Shared("{role}_health_contact", "GP practice")] = None
    whereabouts: Annotated[LongText | None, Shared("{role}_whereabouts", "Whereabouts now")] = None
    employer: Annotated[Text | None, Shared("{role}_employer", "Employer")] = None
    immigration_status: Annotated[
        Text | None, Shared("immigration_status", "Immigration status")
    ] = None


class ContactMeans(Form):
    """One way to reach the victim and whether it is safe.

    Unknown counts as not safe. A postal or meeting address is an address.
    """

    channel: Annotated[Channel, Shared("victim_safe_contact", "Channel")]
    value: Annotated[Text | None, Shared("victim_phone", "Number or address of this channel")] = (
        None
    )
    safe: Annotated[Safe, Shared("victim_safe_contact", "Safe to use")]
    times: Annotated[Text | None, Shared("victim_safe_contact", "Safe days and times")] = None
    voicemail: Annotated[Voicemail, Shared("victim_safe_contact", "Voicemail")] = "never"
    who_may_answer: Annotated[Text | None, Shared("victim_safe_contact", "Who may answer")] = None


class SafeContact(Form):
    """How the victim may be reached safely, asked first.

    `unknown` is a valid answer and means: do not contact.
    """

    status: Annotated[
        Literal["known", "do_not_contact", "unknown"], Shared("victim_safe_contact", "Safe contact")
    ]
    means: Annotated[tuple[ContactMeans, ...], Field(max_length=8)] = ()
    device_monitored: Annotated[Yes, Shared("victim_safe_contact", "Phone or device watched")] = (
        "unknown"
    )
    code_word: Annotated[Text | None, Shared("victim_safe_contact", "Code word")] = None
    safe_to_talk_to: Annotated[Text | None, Shared("victim_safe_contact", "Safe to talk to")] = None
    not_safe_to_talk_to: Annotated[
        Text | None, Shared("victim_safe_contact", "NOT safe to talk to")
    ] = None
    last_verified: Annotated[Day | None, Shared("victim_safe_contact", "Last verified")] = None

    @model_validator(mode="after")
    def _known_needs_means(self) -> Self:
        if self.status == "known" and not self.means:
            raise FieldError("status known needs at least one entry in means", "means")
        return self


class Incident(Form):
    """What happened. Times are with their zone."""

    occurred_at: Annotated[Timestamp, Shared("incident", "When")]
    place: Annotated[LongText | None, Shared("incident_place", "Where")] = None
    summary: Annotated[LongText, Shared("incident_narrative", "What happened")]
    crime_reference: Annotated[Text | None, Shared("incident", "Crime reference")] = None
    officer_in_case: Annotated[Text | None, Shared("referrer", "Officer in the case")] = None
    children_present: Annotated[Yes, Shared("incident_children", "Children present")] = "unknown"
    weapons: Annotated[Text | None, Shared("incident", "Weapons")] = None


class RiskAnswer(Form):
    """One answer of the instrument, by concept, with who said so."""

    concept: Annotated[
        Annotated[str, StringConstraints(pattern=r"^[a-z][a-z_]{0,59}$")],
        Internal("names the item"),
    ]
    answer: Annotated[Answer, Internal("shown with its item's subject")]
    source: Annotated[AnswerSource, Internal("shown beside the answer")] = "victim"
    note: Annotated[LongText | None, Internal("shown with its answer")] = None


class Judgement(Form):
    """Professional judgement.

    It may raise the level and must say why; there is no way to lower it.
    """

    raises: Annotated[Literal[True], Internal("only raising exists")]
    reason: Annotated[
        LongText,
        Shared(
            "risk_summary", "Why professional judgement raises the level", "professional_opinion"
        ),
    ]


class Risk(Form):
    """Answers of one dated instrument; the score is computed here, never sent."""

    instrument: Annotated[Literal["dash"], Internal("names the instrument")]
    version: Annotated[Text, Internal("version of the instrument")]
    assessed_on: Annotated[Day, Shared("risk_summary", "Assessed on")]
    assessor_role: Annotated[Text, Shared("risk_summary", "Assessed by")]
    answers: Annotated[tuple[RiskAnswer, ...], Field(max_length=60)]
    judgement: Judgement | None = None

    @model_validator(mode="after")
    def _one_answer_each(self) -> Self:
        if (again := _repeated([answer.concept for answer in self.answers])) is not None:
            raise FieldError(
                "each concept may be answered once: of two answers one would be lost",
                "answers",
                again,
                "concept",
            )
        return self


class ConsentAnswers(Form):
    """Aware, agrees to support, and lawful basis: three separate facts."""

    aware: Annotated[Aware, Shared("consent", "Knows of this referral")]
    agrees_to_support: Annotated[Agrees, Shared("consent", "Agrees to be offered support")]
    lawful_basis: Annotated[Basis, Shared("consent", "Lawful basis")]
    condition: Annotated[Condition, Shared("consent", "Condition for special-category data")] = (
        "none"
    )
    gateway: Annotated[Gateway, Shared("consent", "Statutory gateway")] = "none"
    without_agreement_reason: Annotated[
        LongText | None, Shared("consent", "Why shared without agreement")
    ] = None
    victims_view: Annotated[
        LongText | None, Shared("consent", "What the victim wants", "self_report")
    ] = None


class Referrer(Form):
    """The person or desk that sends the referral and can be asked about it."""

    role: Annotated[Text, Shared("referrer", "Referred by")]
    phone: Annotated[Text | None, Shared("referrer", "Referrer's phone")] = None
    email: Annotated[Text | None, Shared("referrer", "Referrer's email")] = None


class FullReferral(Form):
    """The whole referral form for domestic abuse."""

    form: Annotated[Literal["full"], Internal("which form")]
    kind: Annotated[Kind, Internal("which kind of referral")]
    area: Annotated[Text, Internal("whose rules and agreement apply")]
    source: Annotated[Source, Internal("how it reached the sender")]
    external_reference: Annotated[
        Text, Internal("the sender's own reference, shown back to the sender only")
    ]
    completes: Annotated[UUID | None, Internal("urgent referral this one completes")] = None
    referrer: Referrer
    reason: Annotated[
        LongText, Shared("incident_narrative", "Reason for referral", "professional_opinion")
    ]
    people: Annotated[tuple[Person, ...], Field(min_length=1, max_length=30)]
    incident: Incident
    risk: Risk | None = None
    safe_contact: SafeContact
    consent: ConsentAnswers

    @model_validator(mode="after")
    def _people_make_sense(self) -> Self:
        victims = [p for p in self.people if p.role == "victim"]
        if len(victims) != 1:
            raise FieldError("people needs exactly one entry with the role victim", "people")
        place = self.people.index(victims[0])
        if victims[0].name.full is None and victims[0].name.known_as is None:
            raise FieldError("the victim needs a name, even a partial one", "people", place, "name")
        if not victims[0].birth_dates and not victims[0].addresses:
            raise FieldError(
                "the victim needs a possible date of birth or an address", "people", place
            )
        refs = [p.ref for p in self.people]
        if (again := _repeated(refs)) is not None:
            raise FieldError("each entry in people needs its own ref", "people", again, "ref")
        return self


class Callback(Form):
    """How the sender says the victim may be called back, if at all."""

    phone: Annotated[UrgentText | None, Shared("callback", "Call back on")] = None
    note: Annotated[UrgentText | None, Shared("callback", "When and how")] = None


def _present(value: object) -> object:
    """Read what is null, empty or blank as left out, inside a part too."""
    if isinstance(value, dict):
        inner = {name: _present(each) for name, each in value.items()}
        return {name: each for name, each in inner.items() if each is not None} or None
    return None if isinstance(value, str) and not value.strip() else value


class UrgentReferral(Form):
    """Danger now: place and danger, and the name if anybody knows it.

    No contact is asked for: a callback left out is unknown, which means do not call. Null and
    empty are the same as left out.
    """

    form: Annotated[Literal["urgent"], Internal("which form")]
    external_reference: Annotated[UrgentText | None, Internal("the sender's own reference")] = None
    area: Annotated[
        UrgentText | None, Internal("whose rules apply; the sender's own area if left out")
    ] = None
    name: Annotated[UrgentText | None, Shared("victim_identity", "Name")] = None
    place: Annotated[UrgentLongText, Shared("danger_place", "Where the danger is")]
    danger: Annotated[
        UrgentLongText, Shared("danger_summary", "The danger", "professional_opinion")
    ]
    callback: Callback | Literal["do_not_call", "unknown"] | None = "unknown"
    place_shielded: Annotated[StrictBool, Internal("location shield on the place")] = False

    @model_validator(mode="before")
    @classmethod
    def _without_the_empty(cls, value: object) -> object:
        return _present(value) or {} if isinstance(value, dict) else value


AnyReferral = Annotated[FullReferral | UrgentReferral, Field(discriminator="form")]

ROLE_NAMES: Mapping[str, str] = {
    "victim": "victim",
    "perpetrator": "perpetrator",
    "child": "child",
    "household_member": "household",
}
"""How a role is spelled inside a category name."""
