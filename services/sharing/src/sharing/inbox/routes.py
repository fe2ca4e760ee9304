"""An agency's inbox: read, long-poll, sign receipts, acknowledge."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, get_args
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from opentelemetry import metrics

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
from sharing.disclosures.use_cases.last_look import CheckUnanswered
from sharing.inbox.model import Only, ReceiptRefused, Shown, key_id
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
    StandingOut,
)
from sharing.inbox.use_cases import answering, receiving, standing
from sharing.inbox.use_cases.arrivals import Arrivals
from sharing.inbox.use_cases.checking import VetoQuestions
from sharing.inbox.use_cases.receiving import Checked, DeliveryNotFound, InboxContext, RoleUnknown

define(
    "receipt-refused",
    422,
    "The receipt does not fit this delivery",
    "Sign a receipt over exactly the envelope you were given, with your agency's signing key.",
)

define(
    "deliveries-unchecked",
    503,
    "Whether deliveries may still be shown cannot be checked now",
    "Nothing is lost, and withdrawals are still shown (kind=withdrawal). Ask again after "
    "Retry-After; if one is needed now, call the hub's support, who has been alarmed.",
)

router = APIRouter(prefix="/v1/inbox", tags=["inbox"])
deliveries = APIRouter(prefix="/v1/disclosures", tags=["inbox"])

Read = Annotated[Granted, guard.action("read_inbox")]
Ask = Annotated[Granted, guard.action("ask_standing")]
Save = Annotated[Granted, guard.action("save_delivery")]
Acknowledge = Annotated[Granted, guard.action("acknowledge_delivery")]
Wait = Annotated[int, Query(ge=0, le=30, description="Seconds to wait for something new")]
OnlyKind = Annotated[
    Only, Query(description="withdrawal: only those, which are shown also when nothing else is")
]

_LISTS: Final[Mapping[Only, str]] = {None: "inbox", "withdrawal": "inbox-withdrawals"}
"""A cursor of one is none of the other: it would jump over what the other did not list."""

_unchecked = metrics.get_meter("hub.sharing").create_counter(
    "hub_inbox_unchecked", description="Looks into an inbox refused for want of an answer on vetoes"
)


@dataclass(frozen=True, slots=True)
class Parts:
    """What every route here works with."""

    context: Annotated[InboxContext, Depends(provided(InboxContext))]
    store: Annotated[Store[InboxTx, InboxView], Depends(provided(Store))]
    arrivals: Annotated[Arrivals, Depends(provided(Arrivals))]
    vetoes: Annotated[VetoQuestions, Depends(provided(VetoQuestions))]
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


def _check_unanswered(_error: Exception) -> Problem:
    _unchecked.add(1)
    return Problem("deliveries-unchecked", headers={"Retry-After": "3"})


PROBLEMS: Final[Answers] = {
    CheckUnanswered: _check_unanswered,
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
    kind: OnlyKind = None,
) -> InboxPage:
    """Your agency's deliveries, oldest first, each sealed to your key.

    With `wait` the answer comes as soon as there is one.

    The read is accounted for before the answer leaves. Each is checked for vetoes at this moment:
    one that must not be disclosed any more is not listed. Until that is decided, what came after it
    may be listed again: know deliveries by their id. The same deliveries come on your Kafka topic.

    While vetoes cannot be asked about, only `kind=withdrawal` is answered: a withdrawal carries no
    fact.
    """
    place = parts.cursors.read(_LISTS[kind], cursor, granted)
    after = int(place[0]) if place else 0
    clock, part = parts.context.clock, _Part(parts, granted, kind)
    page = await part.page(after, limit)
    deadline = clock.monotonic() + wait
    while not page.shown and (left := deadline - clock.monotonic()) > 0:
        await parts.arrivals.wait(granted.principal.agency, left)
        page = await part.page(page.resume, limit)
    return InboxPage(
        items=[_item(each) for each in page.shown],
        next_cursor=parts.cursors.make(_LISTS[kind], [page.resume], granted),
    )


@router.get("/{delivery_id}", summary="Read one delivery")
async def read_delivery(delivery_id: UUID, granted: Read, parts: PartsDep) -> InboxItem:
    """The newest envelope of one delivery to your agency.

    Another agency's answers as if it did not exist.
    """
    demand_readable(parts.trail)
    actor, agency = actor_of(granted.principal), granted.principal.agency
    case_id = await parts.store.read(lambda view: view.inbox.case_of(agency, delivery_id))
    checked = await parts.vetoes.about(frozenset() if case_id is None else frozenset({case_id}))
    found = await parts.store.write(
        lambda tx: receiving.read_delivery(tx, parts.context, granted, actor, delivery_id, checked)
    )
    place = found.delivery.position
    still = await _Part(parts, granted, None).still(receiving.Read((found,), place, place))
    if not still.shown:
        raise DeliveryNotFound
    return _item(found)


@router.get("/{delivery_id}/standing", summary="Ask whether a delivery still stands")
async def read_standing(delivery_id: UUID, granted: Ask, parts: PartsDep) -> StandingOut:
    """Whether what your agency was given may still be used; for whoever has it open.

    It shows nothing of the delivery, so it is recorded as no look. One that was taken back answers
    also while vetoes cannot be asked about.
    """
    agency = granted.principal.agency
    case_id = await parts.store.read(lambda view: view.inbox.case_of(agency, delivery_id))
    checked = await parts.vetoes.about(frozenset() if case_id is None else frozenset({case_id}))
    found = await parts.store.write(
        lambda tx: standing.standing(tx, parts.context, granted, delivery_id, checked)
    )
    return StandingOut(
        delivery_id=delivery_id,
        stands=found.stands,
        taken_back_at=found.taken_back_at,
        replaced=found.replaced,
        said_by=found.said_by,
    )


@deliveries.post("/{delivery_id}/receipt", summary="Sign that a delivery is saved")
async def save_delivery(
    delivery_id: UUID, body: ReceiptIn, granted: Save, parts: PartsDep
) -> SavedOut:
    """Your system of record holds the case.

    The receipt is a JWS by your agency's signing key over the delivery id and the envelope's
    digest. A receipt over other bytes than those you were given is refused. Sending it again
    changes nothing.
    """
    await _know_key(parts, body.receipt)
    actor = actor_of(granted.principal)
    saved_at = await parts.store.write(
        lambda tx: receiving.save_by_api(
            tx, parts.context, granted, actor, delivery_id, body.receipt
        )
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


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of its inbox that one caller asks for."""

    parts: Parts
    granted: Granted
    only: Only

    async def page(self, after: int, limit: int) -> receiving.Read:
        """Read what may be shown behind a place. Raises CheckUnanswered."""
        demand_readable(self.parts.trail)
        shown: list[Shown] = []
        resume: int | None = None
        place, more = after, True
        # What a veto stops is passed over, so that it never hides what stands behind it.
        while more and len(shown) < limit:
            part = await self._look(place, limit - len(shown))
            shown += part.shown
            if resume is None or resume == place:
                resume = part.resume
            place, more = part.looked, part.more
        resume = after if resume is None else resume
        return await self.still(receiving.Read(tuple(shown), resume, place))

    async def still(self, read: receiving.Read) -> receiving.Read:
        """Ask once more when the look is on record: a veto may have come while it was written.

        What is left out now was counted as shown, never the other way round.
        """
        facts = [each for each in read.shown if each.delivery.kind != "withdrawal"]
        if not facts:
            return read
        cases = frozenset(each.case_id for each in facts)
        checked = await self.parts.vetoes.about(cases)
        return receiving.without_stopped(
            self.parts.context, read, checked, self.granted.principal.agency
        )

    async def _look(self, after: int, limit: int) -> receiving.Read:
        parts, granted, only = self.parts, self.granted, self.only
        agency, now = granted.principal.agency, parts.context.now()
        cases = await parts.store.read(
            lambda view: view.inbox.waiting(agency, after, limit, now, only)
        )
        if cases is None:
            return receiving.Read((), after, after)
        # Read at once, never kept; no veto stands against a withdrawal.
        checked = Checked(cases, {}) if only else await parts.vetoes.about(cases)
        actor, wanted = actor_of(granted.principal), receiving.Wanted(after, limit, checked, only)
        return await parts.store.write(
            lambda tx: receiving.read_inbox(tx, parts.context, granted, actor, wanted)
        )


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
