"""An agency's inbox: read, long-poll, sign receipts, acknowledge."""

import json
import math
from dataclasses import dataclass
from typing import Annotated, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from common.access import Granted
from common.problems import Fault, Problem, define
from common.web import paging
from common.web.app import Answers
from common.web.frame import actor_of
from common.web.provided import gathered, provided
from hubformats.agency_events import TakingUp
from hubformats.canonical import b64u
from sharing.context import Store
from sharing.depends import CursorsDep, TrailDep, demand_readable, guard
from sharing.directory.ports import KeysUnreachable
from sharing.disclosures.model.answers import AnswerRefused, NothingToAnswer
from sharing.disclosures.model.disclosure import Moved
from sharing.disclosures.ports import ReleaseChecks
from sharing.disclosures.use_cases.last_look import CheckUnanswered
from sharing.inbox.model import ReceiptRefused, Shown, key_id
from sharing.inbox.ports import InboxTx, InboxView
from sharing.inbox.schemas import (
    AcknowledgedOut,
    AcknowledgementIn,
    AnsweredOut,
    AnswerIn,
    InboxItem,
    InboxPage,
    ReceiptIn,
    SavedOut,
)
from sharing.inbox.use_cases import answering, receiving
from sharing.inbox.use_cases.arrivals import Arrivals
from sharing.inbox.use_cases.receiving import DeliveryNotFound, InboxContext, RoleUnknown

define(
    "receipt-refused",
    422,
    "The receipt does not fit this delivery",
    "Sign a receipt over exactly the envelope you were given, with your agency's signing key.",
)

router = APIRouter(prefix="/v1/inbox", tags=["inbox"])
deliveries = APIRouter(prefix="/v1/disclosures", tags=["inbox"])

Read = Annotated[Granted, guard.action("read_inbox")]
Save = Annotated[Granted, guard.action("save_delivery")]
Acknowledge = Annotated[Granted, guard.action("acknowledge_delivery")]
Wait = Annotated[int, Query(ge=0, le=30, description="Seconds to wait for something new")]

_LIST: Final = "inbox"


@dataclass(frozen=True, slots=True)
class Parts:
    """What every route here works with."""

    context: Annotated[InboxContext, Depends(provided(InboxContext))]
    store: Annotated[Store[InboxTx, InboxView], Depends(provided(Store))]
    arrivals: Annotated[Arrivals, Depends(provided(Arrivals))]
    checks: Annotated[ReleaseChecks, Depends(provided(ReleaseChecks))]
    trail: TrailDep
    cursors: CursorsDep


PartsDep = Annotated[Parts, Depends(gathered(Parts))]


def _role_unknown(_error: Exception) -> Problem:
    words = ", ".join(get_args(TakingUp))
    return Problem("validation-failed", errors=[Fault("/role", f"must be one of {words}")])


def _answer_refused(error: Exception) -> Problem:
    if not isinstance(error, AnswerRefused):
        return Problem("validation-failed")
    words = "must be one of " + ", ".join(error.allowed) if error.allowed else "must be left out"
    return Problem("validation-failed", errors=[Fault(f"/{error.field}", words)])


def _keys_unreachable(error: Exception) -> Problem:
    after = math.ceil(error.retry_after) if isinstance(error, KeysUnreachable) else 1
    return Problem(
        "unavailable",
        "Your key is not known here yet; send the receipt again.",
        headers={"Retry-After": str(after)},
    )


PROBLEMS: Final[Answers] = {
    CheckUnanswered: lambda _error: Problem(
        "unavailable",
        "Whether these deliveries may still be shown cannot be checked now, so none is. Nothing is "
        "lost; ask again.",
        headers={"Retry-After": "2"},
    ),
    DeliveryNotFound: lambda _error: Problem("not-found"),
    ReceiptRefused: lambda _error: Problem("receipt-refused"),
    RoleUnknown: _role_unknown,
    Moved: lambda _error: Problem("conflict"),
    NothingToAnswer: lambda _error: Problem(
        "conflict", "Only a correction or a withdrawal is answered."
    ),
    AnswerRefused: _answer_refused,
    KeysUnreachable: _keys_unreachable,
}


@router.get("", summary="Read the inbox")
async def read_inbox(
    granted: Read,
    parts: PartsDep,
    cursor: paging.CursorText = None,
    limit: paging.Limit = 25,
    wait: Wait = 0,
) -> InboxPage:
    """Your agency's deliveries, oldest first, each sealed to your key.

    With `wait` the answer comes as soon as there is one.

    The read is accounted for before the answer leaves. Each is checked for vetoes at this moment:
    one that must not be disclosed any more is not listed. Until that is decided, what came after it
    may be listed again: know deliveries by their id. The same deliveries come on your Kafka topic.
    """
    place = parts.cursors.read(_LIST, cursor, granted)
    after = int(place[0]) if place else 0
    clock = parts.context.clock
    page = await _page(parts, granted, after, limit)
    deadline = clock.monotonic() + wait
    while not page.shown and (left := deadline - clock.monotonic()) > 0:
        await parts.arrivals.wait(granted.principal.agency, left)
        page = await _page(parts, granted, page.resume, limit)
    return InboxPage(
        items=[_item(each) for each in page.shown],
        next_cursor=parts.cursors.make(_LIST, [page.resume], granted),
    )


@router.get("/{delivery_id}", summary="Read one delivery")
async def read_delivery(delivery_id: UUID, granted: Read, parts: PartsDep) -> InboxItem:
    """The newest envelope of one delivery to your agency.

    Another agency's answers as if it did not exist.
    """
    demand_readable(parts.trail)
    actor, agency = actor_of(granted.principal), granted.principal.agency
    case_id = await parts.store.read(lambda view: view.inbox.case_of(agency, delivery_id))
    checked = await _checked(parts, frozenset() if case_id is None else frozenset({case_id}))
    return _item(
        await parts.store.write(
            lambda tx: receiving.read_delivery(
                tx, parts.context, granted, actor, delivery_id, checked
            )
        )
    )


@deliveries.post("/{delivery_id}/receipt", summary="Sign that a delivery is saved")
async def save_delivery(
    delivery_id: UUID, body: ReceiptIn, granted: Save, parts: PartsDep
) -> SavedOut:
    """Your system of record holds the case: a JWS by your agency's signing key over the delivery id
    and the envelope's digest.

    A receipt over other bytes than those you were given is refused. Sending it again changes
    nothing.
    """
    await _know_key(parts, body.receipt)
    actor = actor_of(granted.principal)
    saved_at = await parts.store.write(
        lambda tx: receiving.save(tx, parts.context, granted, actor, delivery_id, body.receipt)
    )
    return SavedOut(delivery_id=delivery_id, saved_at=saved_at)


@deliveries.post("/{delivery_id}/acknowledgement", summary="Acknowledge a delivery")
async def acknowledge_delivery(
    delivery_id: UUID, body: AcknowledgementIn, granted: Acknowledge, parts: PartsDep
) -> AcknowledgedOut:
    """A named role has taken the delivery up.

    This is not a receipt: the delivery stays open until it is saved.

    Sending it again changes nothing, whatever role it names: the answer says when it was first
    acknowledged.
    """
    actor = actor_of(granted.principal)
    at = await parts.store.write(
        lambda tx: receiving.acknowledge(tx, parts.context, granted, actor, delivery_id, body.role)
    )
    return AcknowledgedOut(delivery_id=delivery_id, acknowledged_at=at)


@deliveries.post("/{delivery_id}/answer", summary="Answer a correction or withdrawal")
async def answer_delivery(
    delivery_id: UUID, body: AnswerIn, granted: Acknowledge, parts: PartsDep
) -> AnsweredOut:
    """Say what your agency did with what it had read: corrected, stopped and deleted, or kept under
    a duty.

    What was read cannot be unread; the referrer and the audit log hear your answer. The same answer
    again changes nothing; another takes its place.
    """
    actor, given = actor_of(granted.principal), (body.answer, body.duty)
    said = await parts.store.write(
        lambda tx: answering.answer(tx, parts.context, granted, actor, delivery_id, given)
    )
    return AnsweredOut(
        delivery_id=delivery_id,
        answer=said.answer or "",
        duty=said.duty or "",
        answered_at=said.answered_at or parts.context.now(),
    )


async def _page(parts: Parts, granted: Granted, after: int, limit: int) -> receiving.Read:
    demand_readable(parts.trail)
    shown: list[Shown] = []
    resume: int | None = None
    place, more = after, True
    # What a veto stops is passed over, so that it never hides what stands behind it.
    while more and len(shown) < limit:
        part = await _part(parts, granted, place, limit - len(shown))
        shown += part.shown
        if resume is None or resume == place:
            resume = part.resume
        place, more = part.looked, part.more
    return receiving.Read(tuple(shown), after if resume is None else resume, place)


async def _part(parts: Parts, granted: Granted, after: int, limit: int) -> receiving.Read:
    agency, now = granted.principal.agency, parts.context.now()
    # Read at once, never kept
    cases = await parts.store.read(lambda view: view.inbox.waiting(agency, after, limit, now))
    if cases is None:
        return receiving.Read((), after, after)
    actor = actor_of(granted.principal)
    wanted = receiving.Wanted(after, limit, await _checked(parts, cases))
    return await parts.store.write(
        lambda tx: receiving.read_inbox(tx, parts.context, granted, actor, wanted)
    )


async def _checked(parts: Parts, cases: frozenset[UUID]) -> receiving.Checked:
    """Ask the owner of the vetoes once for all cases of a page.

    Raises CheckUnanswered: without an answer nothing is shown.
    """
    states = await parts.checks.check_all(cases) if cases else {}
    if states is None:
        raise CheckUnanswered
    return receiving.Checked(cases, states)


async def _know_key(parts: Parts, receipt: str) -> None:
    """Ask the directory for an unknown key before it counts as a failure (design section 5).

    Raises ReceiptRefused, KeysUnreachable.
    """
    directory = parts.context.directory
    if directory.verification(key_id(receipt)) is None:
        await directory.refresh()


def _item(shown: Shown) -> InboxItem:
    delivery = shown.delivery
    return InboxItem(
        delivery_id=delivery.delivery_id,
        kind=delivery.kind,
        state=shown.standing,
        digest=delivery.digest,
        delivered_at=delivery.visible_at,
        saved_at=shown.saved_at,
        acknowledged_at=shown.acknowledged_at,
        answer_due=shown.answer_due,
        answered_at=shown.answered_at,
        answer=shown.answer or "",
        duty=shown.duty or "",
        envelope=json.loads(delivery.envelope),
        envelope_bytes=b64u(delivery.envelope),
    )
