"""An agency's inbox: read, long-poll, sign receipts, acknowledge."""

import json
import math
from typing import Annotated, cast
from uuid import UUID

from fastapi import APIRouter, Query, Request

from common.access import Granted
from common.directory import DirectoryUnreachable
from common.problems import Problem
from common.web import guard, paging
from common.web.frame import actor_of
from common.web.paging import Cursors
from hubformats.canonical import b64u
from sharing.api.arrivals import Arrivals
from sharing.api.shapes import (
    AcknowledgedOut,
    AcknowledgementIn,
    InboxItem,
    InboxPage,
    ReceiptIn,
    SavedOut,
)
from sharing.domain.receipt import ReceiptRefused, key_id
from sharing.ports import Shown, Store
from sharing.usecases import receiving
from sharing.usecases.desk import Desk

router = APIRouter(prefix="/v1/inbox", tags=["inbox"])
deliveries = APIRouter(prefix="/v1/disclosures", tags=["inbox"])

Read = Annotated[Granted, guard.requires("disclosure.read", operation="consultation")]
Acknowledge = Annotated[Granted, guard.requires("disclosure.acknowledge", operation="alteration")]
Wait = Annotated[int, Query(ge=0, le=30, description="Seconds to wait for something new")]

_LIST = "inbox"


@router.get("", summary="Read the inbox")
async def read_inbox(
    request: Request,
    granted: Read,
    cursor: paging.CursorText = None,
    limit: paging.Limit = 25,
    wait: Wait = 0,
) -> InboxPage:
    """Your agency's deliveries, oldest first, each sealed to your key.

    With `wait` the answer comes as soon as there is one.

    The read is accounted for before the answer leaves. The same deliveries come on your Kafka
    topic.
    """
    cursors = cast(Cursors, request.app.state.cursors)
    place = cursors.read(_LIST, cursor, granted)
    after = int(place[0]) if place else 0
    arrivals = cast(Arrivals, request.app.state.arrivals)
    shown = await _page(request, granted, after, limit)
    deadline = arrivals.clock.monotonic() + wait
    while not shown and (left := deadline - arrivals.clock.monotonic()) > 0:
        await arrivals.wait(granted.principal.agency, left)
        shown = await _page(request, granted, after, limit)
    last = shown[-1].delivery.position if shown else after
    return InboxPage(
        items=[_item(each) for each in shown], next_cursor=cursors.make(_LIST, [last], granted)
    )


@router.get("/{delivery_id}", summary="Read one delivery")
async def read_delivery(request: Request, delivery_id: UUID, granted: Read) -> InboxItem:
    """The newest envelope of one delivery to your agency.

    Another agency's answers as if it did not exist.
    """
    _readable(request)
    store, desk = _parts(request)
    actor = actor_of(granted.principal)
    return _item(
        await store.write(lambda tx: receiving.read_delivery(tx, desk, granted, actor, delivery_id))
    )


@deliveries.post("/{delivery_id}/receipt", summary="Sign that a delivery is saved")
async def save_delivery(
    request: Request, delivery_id: UUID, body: ReceiptIn, granted: Acknowledge
) -> SavedOut:
    """Your system of record holds the case: a JWS by your agency's signing key over the delivery id
    and the envelope's digest.

    A receipt over other bytes than those you were given is refused. Sending it again changes
    nothing.
    """
    store, desk = _parts(request)
    await _know_key(request, body.receipt)
    actor = actor_of(granted.principal)
    saved_at = await store.write(
        lambda tx: receiving.save(
            tx, desk, granted.principal.agency, actor, delivery_id, body.receipt
        )
    )
    return SavedOut(delivery_id=delivery_id, saved_at=saved_at)


@deliveries.post("/{delivery_id}/acknowledgement", summary="Acknowledge a delivery")
async def acknowledge_delivery(
    request: Request, delivery_id: UUID, body: AcknowledgementIn, granted: Acknowledge
) -> AcknowledgedOut:
    """A named role has taken the delivery up.

    This is not a receipt: the delivery stays open until it is saved.

    Sending it again changes nothing, whatever role it names: the answer says when it was first
    acknowledged.
    """
    store, desk = _parts(request)
    actor = actor_of(granted.principal)
    at = await store.write(
        lambda tx: receiving.acknowledge(
            tx, desk, granted.principal.agency, actor, delivery_id, body.role
        )
    )
    return AcknowledgedOut(delivery_id=delivery_id, acknowledged_at=at)


async def _page(request: Request, granted: Granted, after: int, limit: int) -> tuple[Shown, ...]:
    _readable(request)
    store, desk = _parts(request)
    actor = actor_of(granted.principal)
    waiting = await store.read(
        lambda view: view.has_delivery(granted.principal.agency, after, desk.now())
    )
    if not waiting:
        return ()
    return await store.write(
        lambda tx: receiving.read_inbox(tx, desk, granted, actor, after=after, limit=limit)
    )


async def _know_key(request: Request, receipt: str) -> None:
    """An unknown key id asks the directory before it counts as a failure (design section 5).

    Raises Problem(unavailable) when it cannot be asked.
    """
    _, desk = _parts(request)
    try:
        known = desk.directory.verification(key_id(receipt)) is not None
    except ReceiptRefused:
        raise Problem("receipt-refused") from None
    if not known:
        try:
            await request.app.state.refresh_keys()
        except DirectoryUnreachable as error:
            after = str(math.ceil(error.retry_after))
            raise Problem(
                "unavailable",
                "Your key is not known here yet; send the receipt again.",
                headers={"Retry-After": after},
            ) from None


def _readable(request: Request) -> None:
    """Personal data is not shown while reads cannot be accounted for (design section 9)."""
    if not request.app.state.ready_to_read():
        raise Problem("audit-backlog")


def _parts(request: Request) -> tuple[Store, Desk]:
    return cast(Store, request.app.state.store), cast(Desk, request.app.state.desk)


def _item(shown: Shown) -> InboxItem:
    delivery = shown.delivery
    return InboxItem.model_validate(
        {
            "delivery_id": delivery.delivery_id,
            "kind": delivery.kind,
            "state": receiving.state_of(shown),
            "digest": delivery.digest,
            "delivered_at": delivery.visible_at,
            "saved_at": shown.saved_at,
            "acknowledged_at": shown.acknowledged_at,
            "envelope": json.loads(delivery.envelope),
            "envelope_bytes": b64u(delivery.envelope),
        }
    )
