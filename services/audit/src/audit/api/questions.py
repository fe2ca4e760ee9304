"""An auditor's questions: each states its purpose and is an entry of the log before it is
answered."""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field, model_validator

from audit.api import desk
from audit.api.desk import EntryOut, Read
from audit.domain import Filter, Purpose
from audit.ports import Question
from audit.usecases import queries
from audit.usecases.queries import Asked
from common.attempts import Attempt
from common.models import ApiModel, StrictBool, Timestamp
from common.problems import FieldError
from common.web import idempotency, paging
from hubformats.audit_record import OPERATIONS

router = APIRouter(prefix="/v1", tags=["questions"])
Once = Annotated[Attempt, idempotency.required()]
_SILENT_AFTER = timedelta(minutes=3)

Code = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9:._-]*$")]


class FilterIn(ApiModel):
    """What to look for; every part given must hold. Times are the log's own."""

    case_reference: Annotated[str, Field(min_length=4, max_length=40)] | None = None
    actor: (
        Annotated[
            str,
            Field(
                min_length=1,
                max_length=300,
                description="A person's or client's id, or `issuer|id`",
            ),
        ]
        | None
    ) = None
    subject: UUID | None = None
    recipient: Code | None = None
    delivery: UUID | None = None
    operation: Code | None = None
    emergency: StrictBool = False
    from_: Annotated[Timestamp | None, Field(alias="from")] = None
    to: Timestamp | None = None

    @model_validator(mode="after")
    def _something(self) -> "FilterIn":
        if not any(value for name, value in self if name in type(self).model_fields):
            raise FieldError("must name at least one thing to look for")
        if self.operation is not None and self.operation not in OPERATIONS:
            raise FieldError("names an operation the log does not know", "operation")
        return self


class QuestionIn(ApiModel):
    """A question and why it is asked: one of the four purposes of DPA 2018 s.62(4), or a data
    subject's right under UK GDPR.
    """

    purpose: Purpose
    justification: Annotated[str, Field(min_length=3, max_length=1000)]
    filter: FilterIn


class QuestionOut(ApiModel):
    """A recorded question.

    `size` is the log's size when it was asked: its answers come from these entries.
    """

    id: UUID
    purpose: Purpose
    agency: str | None = Field(
        description="The agency whose entries it shows; null for a mandated cross-agency auditor"
    )
    size: int


class GapOut(ApiModel):
    """Numbers of a producer's sequence that never arrived, both ends included."""

    first: int
    last: int


class ProducerOut(ApiModel):
    """One producer epoch.

    `silent` when it has not been heard for three minutes although it beats every minute.
    """

    service: str
    src: str
    epoch: int
    highest_seq: int
    last_heard: Timestamp
    silent: bool
    gaps: tuple[GapOut, ...]


class CompletenessOut(ApiModel):
    """Whether every producer's sequence is whole, and how far the log is signed and published."""

    verdict: Literal["complete", "gaps", "halted"]
    log_size: int
    signed_size: int
    published_size: int
    halted: str
    producers: tuple[ProducerOut, ...]


def _shown(question: Question) -> dict[str, object]:
    return QuestionOut(
        id=question.id, purpose=question.purpose, agency=question.agency, size=question.size
    ).model_dump(mode="json")


@router.post("/queries", status_code=201, summary="Ask a question of the log")
async def ask_question(
    request: Request, body: QuestionIn, granted: Read, attempt: Once
) -> QuestionOut:
    """Records the question, durably, as an entry of the log; its answers are at `Location`/entries
    afterwards.
    """
    at = desk.writable(request)
    wanted = body.filter
    asked = Asked(
        purpose=body.purpose,
        justification=body.justification,
        case_reference=wanted.case_reference,
        actor=wanted.actor,
        subject=wanted.subject,
        filter=Filter(
            recipient=wanted.recipient,
            delivery=None if wanted.delivery is None else str(wanted.delivery),
            operation=wanted.operation,
            since=None if wanted.from_ is None else int(wanted.from_.timestamp() * 1_000_000),
            until=None if wanted.to is None else int(wanted.to.timestamp() * 1_000_000),
            emergency=wanted.emergency,
        ),
    )
    answer = await at.store.write(
        lambda tx: queries.ask(tx, attempt, granted, at.desk, asked, _shown)
    )
    return idempotency.respond(answer)  # type: ignore[return-value]  # a Response replaces the documented model


@router.get("/queries/{query_id}/entries", summary="Read what a question finds")
async def read_answers(
    request: Request,
    query_id: UUID,
    granted: Read,
    cursor: paging.CursorText = None,
    limit: paging.Limit = 25,
) -> paging.Page[EntryOut]:
    """Entries newest first, for the one who asked only, while the purpose holds: for hours that the
    area's dated rules give. Each further page is an entry first.

    No total is given: it would count what is not yours to see.
    """
    at = desk.of(request)
    name = f"answers/{query_id}"
    place = at.cursors.read(name, cursor, granted)
    below = None if place is None else int(place[0])
    if below is not None:
        desk.writable(request)
        question = await at.store.read(
            lambda view: queries.question_now(view, granted, at.desk, query_id)
        )
        await at.store.write(lambda tx: queries.open_page(tx, granted, question, below))
    found, next_below = await at.store.read(
        lambda view: queries.answers(view, granted, at.desk, query_id, below, limit)
    )
    items = [desk.shown(entry) for entry in found]
    return paging.Page(
        items=items,
        next_cursor=None if next_below is None else at.cursors.make(name, [next_below], granted),
    )


@router.get("/completeness", summary="Did every producer log everything?")
async def read_completeness(request: Request, granted: Read) -> CompletenessOut:
    """The producers' sequences with their gaps, and how far the log is signed.

    Holds no entry, so it needs no question.
    """
    at = desk.of(request)
    at.desk.sight(granted)
    producers, size = await at.store.read(lambda view: (view.producers(), view.log_size()))
    shown = tuple(
        ProducerOut(
            service=one.service,
            src=one.src,
            epoch=one.epoch,
            highest_seq=one.highest,
            last_heard=desk.moment(one.heard),
            silent=granted.at - desk.moment(one.heard) > _SILENT_AFTER,
            gaps=tuple(GapOut(first=first, last=last) for first, last in one.gaps),
        )
        for one in producers
    )
    halted = at.sequencer.halted
    verdict: Literal["complete", "gaps", "halted"] = (
        "halted" if halted else "gaps" if any(one.gaps for one in shown) else "complete"
    )
    return CompletenessOut(
        verdict=verdict,
        log_size=size,
        signed_size=at.sequencer.signed_size,
        published_size=at.sequencer.published_size,
        halted=halted,
        producers=shown,
    )
