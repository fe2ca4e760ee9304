"""What the routes of vetoes take and answer."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal, Self
from uuid import UUID

from pydantic import Field, field_validator, model_validator

from common.access import Granted
from common.events.case import Marking
from common.models import ApiModel, FieldError, Timestamp
from common.texts import Reason
from hubformats.case_reference import normalised_reference
from hubformats.categories import CATEGORIES
from referral.cases.model.case import CaseOutline
from referral.context import Context
from referral.vetoes.model import (
    CaseVetoes,
    Lifting,
    LiftState,
    OfficersCase,
    Party,
    ReceivedCase,
    ShownLifting,
    VetoKind,
    VetoRules,
)
from referral.vetoes.use_cases.asking import party_of

AGENCY_OR_NONE: Final = r"^([a-z0-9]+(-[a-z0-9]+)*)?$"
NAME_ONE: Final = "must be there, or recipient and caseReference together, and not both"


class GroundsIn(ApiModel):
    """Why: a code of the area's rules, and words."""

    reason_code: str = Field(
        pattern=r"^[a-z]+(_[a-z]+)*$",
        max_length=40,
        description="A code of `GET /v1/veto-reasons`; it stands in the audit log",
    )
    reason: Reason = Field(min_length=1, max_length=2_000, description="In words. Kept sealed")


class OfficersCaseIn(ApiModel):
    """Which case a privacy officer means: by a referral, or by a recipient's own reference."""

    referral_id: UUID | None = Field(
        default=None, description="A referral of the case, of any agency"
    )
    recipient: str = Field(
        default="",
        pattern=AGENCY_OR_NONE,
        max_length=60,
        description="Instead of a referral: an agency that was told of the case",
    )
    case_reference: str = Field(
        default="",
        max_length=40,
        description="The reference by which that agency knows the case",
    )

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        by_reference = bool(self.recipient and self.case_reference)
        if by_reference is (self.referral_id is not None):
            raise FieldError(NAME_ONE)
        return self

    @property
    def case(self) -> OfficersCase:
        """Give the name as the use cases take it."""
        reference = normalised_reference(self.case_reference)
        return OfficersCase(self.referral_id, self.recipient, reference)


class CaseLiftingIn(GroundsIn, OfficersCaseIn):
    """Why a veto can be lifted, and on which case it stands."""


class VetoIn(GroundsIn):
    """A veto: of which kind, against whom, and for what; `*` means everybody or everything."""

    kind: VetoKind
    agency: str = Field(
        default="*",
        pattern=r"^(\*|[a-z0-9]+(-[a-z0-9]+)*)$",
        max_length=60,
        description="Agency id, or * for all. A conflict or an employee bars one agency from the "
        "whole case",
    )
    category: str = Field(
        default="*", max_length=60, description="Data category, or * for everything"
    )
    person: Literal["victim", "perpetrator"] | None = Field(
        default=None, description="The one person it is about; null means the case"
    )

    @field_validator("category")
    @classmethod
    def _known(cls, value: str) -> str:
        if value != "*" and value not in CATEGORIES:
            raise FieldError("must be a data category or *; see GET /v1/code-lists")
        return value


class CaseVetoIn(VetoIn, OfficersCaseIn):
    """A veto as a privacy officer sets it, and on which case."""


class AgencyVetoIn(GroundsIn):
    """What keeps your own agency out of a case that it was told of."""

    case_reference: str = Field(
        max_length=40, description="The reference by which your agency knows the case"
    )
    kind: Literal[VetoKind.CONFLICT, VetoKind.EMPLOYEE_SUBJECT, VetoKind.LEGAL_HOLD]

    @property
    def case(self) -> ReceivedCase:
        """Give the name as the use cases take it."""
        return ReceivedCase(normalised_reference(self.case_reference))


class AgencyVetoOut(ApiModel):
    """The veto on your own agency. Give its id to a privacy officer to have it lifted."""

    veto_id: UUID


class VetoSetOut(ApiModel):
    """The veto and the case version it took effect with."""

    veto_id: UUID
    version: int


class PartyOut(ApiModel):
    """Who took part. A name stands in the audit log alone."""

    agency: str
    role: str
    you: bool


class LiftingOut(ApiModel):
    """A request to lift a veto, as its case's own people see it."""

    lifting_id: UUID
    number: str = Field(
        description="A short name of it, the same for all who may read of it: to be said on the "
        "telephone, where each agency knows the case by a reference of its own"
    )
    veto_id: UUID
    kind: VetoKind
    state: LiftState
    asked_by: PartyOut
    reason_code: str
    asked_at: Timestamp
    lapses_at: Timestamp = Field(
        description="Until then a second person can confirm it; afterwards the veto simply stays"
    )
    settled_by: PartyOut | None
    settled_at: Timestamp | None
    settled_code: str | None = Field(
        description="The reason code of whoever settled it; null before, and for older ones"
    )


class VetoOut(ApiModel):
    """A veto in force."""

    veto_id: UUID
    kind: VetoKind
    agency: str
    category: str
    person: str | None = Field(description="The role of the one person it is about")
    set_by: str | None = Field(
        description="The agency that set it; null for the sender, before this was kept"
    )
    set_at: Timestamp | None = Field(description="Null when it came with a form")
    reason_code: str | None = Field(
        description="A code of `GET /v1/veto-reasons`; null when none was given, or it was not kept"
    )


class VetoesOut(ApiModel):
    """The vetoes in force on your case, and what was asked about them, oldest first."""

    case_reference: str
    version: int
    vetoes: tuple[VetoOut, ...]
    liftings: tuple[LiftingOut, ...]


class ShownLiftingOut(LiftingOut):
    """A lifting as a second person reads it before answering."""

    case_reference: str = Field(description="The reference by which your agency knows the case")
    veto: VetoOut | None = Field(description="Null when the veto is no longer in force")
    reason: str = Field(description="The words of whoever asked")
    you_may_settle: bool
    you_may_confirm: bool = Field(
        description="False for whoever asked and, for most vetoes, their agency: they may refuse"
    )


class LiftingListed(ApiModel):
    """A lifting that waits for a second person, or lapsed without one."""

    lifting_id: UUID
    number: str
    case_reference: str
    kind: VetoKind
    asked_by: PartyOut
    reason_code: str
    asked_at: Timestamp
    lapses_at: Timestamp
    you_may_settle: bool


class LiftingsOut(ApiModel):
    """What waits, oldest first; or what lapsed, newest first."""

    items: tuple[LiftingListed, ...]


class LiftingsWaitingOut(LiftingsOut):
    """What waits, and what your own agency asked for in vain, newest first, for some days."""

    lapsed: tuple[LiftingListed, ...]


class LiftingSettledOut(ApiModel):
    """What became of a lifting, and the case's version."""

    lifting_id: UUID
    state: LiftState
    version: int


class CodeOut(ApiModel):
    """A reason code and its meaning."""

    code: str
    meaning: str


class VetoReasonsOut(ApiModel):
    """The reasons in force today. They change by date, never silently: compare `version`."""

    version: str
    set: dict[str, tuple[CodeOut, ...]] = Field(description="By kind of veto")
    lift: tuple[CodeOut, ...] = Field(description="To ask for lifting, and to confirm it")
    refuse: tuple[CodeOut, ...]


def reasons_out(rules: VetoRules) -> VetoReasonsOut:
    """Show an area's reasons."""
    return VetoReasonsOut(
        version=rules.version,
        set={kind: _codes(codes) for kind, codes in rules.setting.items()},
        lift=_codes(rules.lifting),
        refuse=_codes(rules.refusing),
    )


def vetoes_out(found: CaseVetoes, granted: Granted, context: Context) -> VetoesOut:
    """Show a case's vetoes to its sender."""
    return VetoesOut(
        case_reference=context.reference(granted.principal.agency, found.case_id),
        version=found.outline.version,
        vetoes=tuple(_veto(each, found.outline) for each in found.outline.markings),
        liftings=tuple(lifting_out(each, granted) for each in found.liftings),
    )


def lifting_out(lifting: Lifting, granted: Granted) -> LiftingOut:
    """Show a lifting without its words."""
    settled = lifting.settled_by
    return LiftingOut(
        lifting_id=lifting.id,
        number=lifting.number,
        veto_id=lifting.veto_id,
        kind=lifting.kind,
        state=lifting.state,
        asked_by=_party(lifting.asked_by, granted),
        reason_code=lifting.grounds.code,
        asked_at=lifting.asked_at,
        lapses_at=lifting.lapses_at,
        settled_by=None if settled is None else _party(settled, granted),
        settled_at=lifting.settled_at,
        settled_code=lifting.settled_code or None,
    )


def shown_out(shown: ShownLifting, granted: Granted, context: Context) -> ShownLiftingOut:
    """Show a lifting with the words of whoever asked."""
    lifting, veto = shown.lifting, shown.veto
    return ShownLiftingOut(
        **dict(lifting_out(lifting, granted)),
        case_reference=context.reference(granted.principal.agency, lifting.case_id),
        veto=None if veto is None else _veto(veto, shown.outline),
        reason=lifting.grounds.words,
        you_may_settle=shown.may_settle,
        you_may_confirm=shown.may_settle and lifting.is_second(party_of(granted)),
    )


def liftings_out(found: Iterable[ShownLifting], granted: Granted, context: Context) -> LiftingsOut:
    """Show a list."""
    return LiftingsOut(items=tuple(_listed(each, granted, context) for each in found))


def _listed(shown: ShownLifting, granted: Granted, context: Context) -> LiftingListed:
    lifting = shown.lifting
    return LiftingListed(
        lifting_id=lifting.id,
        number=lifting.number,
        case_reference=context.reference(granted.principal.agency, lifting.case_id),
        kind=lifting.kind,
        asked_by=_party(lifting.asked_by, granted),
        reason_code=lifting.grounds.code,
        asked_at=lifting.asked_at,
        lapses_at=lifting.lapses_at,
        you_may_settle=shown.may_settle,
    )


def _veto(veto: Marking, outline: CaseOutline) -> VetoOut:
    roles = {each.subject_id: each.role for each in outline.subjects}
    said = outline.settings.get(veto.marking_id)
    return VetoOut(
        veto_id=veto.marking_id,
        kind=VetoKind(veto.kind),
        agency=veto.agency,
        category=veto.category,
        person=None if veto.subject is None else roles.get(veto.subject, "unknown"),
        set_by=outline.setters.get(veto.marking_id),
        set_at=None if said is None else said.at,
        reason_code=None if said is None else said.reason_code or None,
    )


def _party(party: Party, granted: Granted) -> PartyOut:
    return PartyOut(
        agency=party.agency,
        role=party.role,
        you=party.subject == party_of(granted).subject,
    )


def _codes(codes: Mapping[str, str]) -> tuple[CodeOut, ...]:
    return tuple(CodeOut(code=code, meaning=meaning) for code, meaning in codes.items())
