"""What a person does with deliveries: list them, open one, accept one."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from common.access import Granted
from hubformats.audit_record import Actor, AuditEntry
from hubformats.canonical import canonical
from hubformats.envelope import EnvelopeRefused
from hubformats.keys import OpeningKey
from hubformats.package_proof import PackageRefused
from hubformats.wording import DUTIES
from hubpartner.delivery import Delivery, open_delivery, saved_receipt
from portal.context import Context
from portal.work.model.delivery import (
    CORRECTED,
    KEPT,
    PROMISED,
    PROOF_FOLLOWS,
    STOPPED,
    AuditBacklog,
    KeysKeptElsewhere,
    Known,
    Opened,
    Waiting,
    WorkRow,
    known_of,
    person_mark,
)
from portal.work.model.listing import one_each, ordered, related
from portal.work.ports import Deliveries, WorkPorts


async def work_list(
    context: Context, ports: WorkPorts, granted: Granted, deliveries: Deliveries
) -> list[WorkRow]:
    """List every delivery of the person's agency once, the most pressing first.

    Nobody's name is in it, and no case that no person opened. Sharing has accounted for the look at
    the list. The portal unseals what waits unopened in this process only, because danger must not
    look like routine. Only urgency, the time to accept it and whether it is proven leave it.
    """
    waiting = one_each(await deliveries.waiting(granted))
    known = await ports.summaries.known(granted, [one.delivery_id for one in waiting])
    found = dict(known)
    opening = ports.keys.opening(granted)
    for one in waiting:
        if opening and one.to_accept and one.delivery_id not in found:
            handling = _handling(context, one, granted.principal.agency, opening)
            if handling is not None:
                found[one.delivery_id] = handling
    rows = related([WorkRow(one, found.get(one.delivery_id)) for one in waiting])
    for row in rows:
        # Kept also so that a delivery's page can say what came after it, without another look into
        # the whole inbox.
        if row.known is not None and row.known != known.get(row.waiting.delivery_id):
            await ports.summaries.remember(
                granted, row.waiting.delivery_id, row.known, context.clock.now()
            )
    return ordered(rows)


async def withdrawals(ports: WorkPorts, granted: Granted, deliveries: Deliveries) -> list[WorkRow]:
    """List what was taken back, which is shown also while nothing else may be.

    It is a part of the list, so nothing is learnt from it of what came after what.
    """
    found = one_each(await deliveries.waiting(granted, withdrawals=True))
    known = await ports.summaries.known(granted, [one.delivery_id for one in found])
    return ordered([WorkRow(one, known.get(one.delivery_id)) for one in found])


def _handling(
    context: Context, one: Waiting, me: str, opening: Mapping[str, OpeningKey]
) -> Known | None:
    """Read what an unopened delivery says of its own handling.

    None when it does not verify. That is said when it is opened.
    """
    if one.envelope is None:
        return None
    try:
        delivery = _opened(context, one.envelope, me, opening)
    except (EnvelopeRefused, PackageRefused):
        return None
    if delivery.delivery_id != one.delivery_id:
        return None
    promised = one.proof_followed or delivery.verdict.standing == PROMISED
    return known_of(delivery.verdict.content, one.delivered_at, promised=promised, opened=False)


def _opened(
    context: Context, envelope: bytes, me: str, opening: Mapping[str, OpeningKey]
) -> Delivery:
    return open_delivery(envelope, me=me, opening=opening, keys=context.keys, log=context.log)


async def open_for(
    context: Context,
    ports: WorkPorts,
    granted: Granted,
    deliveries: Deliveries,
    delivery_id: str,
) -> Opened:
    """Fetch, open, verify and record a delivery for one person, then return how it stands.

    The record is durable before anything leaves this function. It names the case, so that who
    looked can be found by it. A delivery that does not verify is recorded too. If we crash after
    the record, an entry stands for a look that never happened. That is the safe way round.

    Raises KeysKeptElsewhere, AuditBacklog, EnvelopeRefused, PackageRefused, and what
    `Deliveries` raises.
    """
    opening = ports.keys.opening(granted)
    if not opening:
        raise KeysKeptElsewhere
    if not ports.recorder.ready():
        raise AuditBacklog
    looked, me = _entry("consultation", granted, delivery_id), granted.principal.agency
    try:
        item = await deliveries.fetch(granted, delivery_id)
        delivery = _opened(context, item.envelope, me, opening)
        if delivery.delivery_id != delivery_id:
            raise PackageRefused(0, "another-delivery")
    except (EnvelopeRefused, PackageRefused) as refused:
        await ports.recorder.record(replace(looked, outcome="failed", reason_code=refused.code))
        raise
    before = (await ports.summaries.known(granted, [delivery_id])).get(delivery_id)
    known = _known_now(delivery, item.waiting, before)
    content = delivery.verdict.content
    reference = str(content["caseReference"])
    # The page is made from these bytes, which the package's own record commits to as well.
    seen = replace(looked, case_references=(reference,), shown=canonical(dict(content)))
    await ports.recorder.record(seen)
    await ports.summaries.remember(granted, delivery_id, known, context.clock.now())
    return Opened(delivery, item.waiting, known)


def _known_now(delivery: Delivery, standing: Waiting, before: Known | None) -> Known:
    """Join what it says of its own handling with what the work list knew `before`.

    The list knew when it first came, how it left, and what came after it.
    """
    promised = (
        delivery.verdict.standing == PROMISED
        or standing.kind == PROOF_FOLLOWS
        or (before is not None and before.promised)
    )
    known = known_of(
        delivery.verdict.content, standing.delivered_at, promised=promised, opened=True
    )
    if before is None:
        return known
    return replace(
        known,
        accept_by=before.accept_by,
        fuller=before.fuller,
        newer_id=before.newer_id,
        newer_at=before.newer_at,
        presses=before.presses and standing.to_accept,
        accepted_by=before.accepted_by,
    )


async def accept(
    context: Context,
    ports: WorkPorts,
    granted: Granted,
    read: Granted,
    deliveries: Deliveries,
    delivery_id: str,
) -> None:
    """Accept a delivery for a named practitioner.

    For agencies that use the portal, that is what *saved* means (design section 8). `read` opens
    the delivery, `granted` accepts it. If we crash between receipt and acknowledgement, the
    delivery stays on the list as opened. Accepting it again sends only what is missing.

    Raises what `open_for` raises.
    """
    opened = await open_for(context, ports, read, deliveries, delivery_id)
    delivery, standing = opened.delivery, opened.standing
    signer = ports.keys.signing(granted)
    if signer is None:
        raise KeysKeptElsewhere
    role = min(granted.principal.roles, default="practitioner")
    if standing.saved_at is None:
        receipt = saved_receipt(delivery, signer=signer, system=f"portal, accepted by {role}")
        await deliveries.send_receipt(granted, delivery_id, receipt)
        accepted = replace(opened.known, accepted_by=person_mark(granted.principal))
        await ports.summaries.remember(granted, delivery_id, accepted, context.clock.now())
    if not standing.taken_up:
        await deliveries.acknowledge(granted, delivery_id, role)
    reference = str(delivery.verdict.content["caseReference"])
    await ports.recorder.record(
        replace(_entry("acknowledged", granted, delivery_id), case_references=(reference,))
    )


def problems(answer: str, duty: str) -> dict[str, str]:
    """Say what is missing from an answer to a withdrawal or correction, by field."""
    if answer not in {STOPPED, KEPT, CORRECTED}:
        return {"answer": "Select what your agency did"}
    if answer == KEPT and duty not in DUTIES:
        return {"duty": "Select the duty under which your agency keeps it"}
    return {}


async def answer(
    ports: WorkPorts,
    granted: Granted,
    deliveries: Deliveries,
    delivery_id: str,
    said: tuple[str, str],
) -> None:
    """Answer a withdrawal or correction in the agency's name. Sharing tells who referred.

    A duty goes with `kept_under_duty` alone. Raises what `Deliveries` raises.
    """
    given, duty = said[0], said[1] if said[0] == KEPT else ""
    await deliveries.answer(granted, delivery_id, given, duty)
    made = _entry("acknowledged", granted, delivery_id)
    await ports.recorder.record(replace(made, reason_code=given, justification_code=duty))


def _entry(
    operation: Literal["consultation", "acknowledged"], granted: Granted, delivery_id: str
) -> AuditEntry:
    who = granted.principal
    actor = Actor(
        subject=f"{who.issuer}|{who.subject}",
        agency=who.agency,
        role=",".join(sorted(who.roles)) or "person",
        acr=who.acr or "",
    )
    return AuditEntry(
        operation=operation,
        outcome="done",
        actor=actor,
        resource_type="delivery",
        delivery=delivery_id,
        recipient=who.agency,
        purpose="protect_victim",
        channel="portal",
    )
