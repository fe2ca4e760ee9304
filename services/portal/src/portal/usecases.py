"""What a person does in the portal: open a delivery, accept it, check a log entry without trusting
who served it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from common.access import Granted, Principal
from common.problems import Problem
from hubformats.audit_record import (
    Actor,
    AuditEntry,
    Leaf,
    RecordRefused,
    check_record,
    record_hash,
)
from hubformats.canonical import CanonicalError, unb64u
from hubformats.clock import Clock
from hubformats.envelope import EnvelopeRefused
from hubformats.keys import KeySource, OpeningKey
from hubformats.package_proof import PackageRefused
from hubformats.tlog import ProofRefused, Verifier, verify_proof
from hubpartner.delivery import Delivery, open_delivery, saved_receipt
from portal.domain.cases import related
from portal.domain.delivery import Known, Waiting, WorkRow, known_of, one_each, ordered
from portal.domain.emergency import Unproven, UnprovenList, most_pressing
from portal.domain.visit import AUTHORITY, Session
from portal.permissions import SCREENS
from portal.ports import Custody, Hub, HubFor, Recorder, Shelf


@dataclass(frozen=True, slots=True)
class PortalDesk:
    """What every page works with, given once by wiring."""

    base_url: str
    issuer: str
    clock: Clock
    log: Verifier
    keys: KeySource
    custody: Custody
    recorder: Recorder
    shelf: Shelf
    hub_for: HubFor
    agencies: Mapping[str, str]
    """Agency id → name, from the operator-signed bootstrap file."""

    def principal(self, session: Session) -> Principal:
        """The signed-in person as a caller; scopes are those identity granted at sign-in."""
        return Principal(
            issuer=self.issuer,
            subject=session.person.id,
            client_id="portal",
            kind="person",
            agency=session.person.agency,
            roles=frozenset(session.person.roles),
            scopes=frozenset(session.grantings.scope.split()),
            acr=session.grantings.acr or None,
            auth_time=session.grantings.auth_time,
        )


class NoCustody(Exception):
    """The person's agency keeps its own keys, so its deliveries open in its own system only."""


async def work_list(desk: PortalDesk, granted: Granted, hub: Hub) -> list[WorkRow]:
    """Every delivery of the person's agency once, the most pressing first.

    Nobody's name is in it, and no case that no person opened.

    Sharing has accounted for the look at the list. What waits here unopened is unsealed in this
    process only, and only whether it is urgent, by when to accept it and whether it is proven
    leaves it: danger at the door must not look like routine.
    """
    _allow("read_deliveries", granted)
    waiting, agency = one_each(await hub.waiting()), granted.principal.agency
    known = await desk.shelf.known(agency, [one.delivery_id for one in waiting])
    found = dict(known)
    opening = desk.custody.opening(granted)
    for one in waiting:
        if opening and one.to_accept and one.delivery_id not in found:
            handling = _handling(desk, one, agency, opening)
            if handling is not None:
                found[one.delivery_id] = handling
    rows = related([WorkRow(one, found.get(one.delivery_id)) for one in waiting])
    for row in rows:
        # Kept also so that a delivery's page can say what came after it, without another look into
        # the whole inbox.
        if row.known is not None and row.known != known.get(row.waiting.delivery_id):
            await desk.shelf.remember(agency, row.waiting.delivery_id, row.known, desk.clock.now())
    return ordered(rows)


def _handling(
    desk: PortalDesk, one: Waiting, me: str, opening: Mapping[str, OpeningKey]
) -> Known | None:
    """What an unopened delivery says of its own handling; None when it does not verify, which is
    said when it is opened.
    """
    if one.envelope is None:
        return None
    try:
        delivery = open_delivery(one.envelope, me=me, opening=opening, keys=desk.keys, log=desk.log)
    except (EnvelopeRefused, PackageRefused):
        return None
    if delivery.delivery_id != one.delivery_id:
        return None
    promised = one.proof_followed or delivery.verdict.standing == "promised"
    return known_of(delivery.verdict.content, one.delivered_at, promised=promised, opened=False)


@dataclass(frozen=True, slots=True)
class Opened:
    """A delivery that verified, how it stands, and what the work list told of it."""

    delivery: Delivery
    standing: Waiting
    known: Known


async def open_for(desk: PortalDesk, granted: Granted, hub: Hub, delivery_id: str) -> Opened:
    """Fetch, open, verify and record a delivery for one person, then return it with how it stands.

    The record is durable before anything leaves this function, and names the case, so that who
    looked can be found by it; a delivery that does not verify is recorded too. If we crash after
    the record, an entry stands for a look that never happened, which is the safe way round. Raises
    NoCustody, EnvelopeRefused, PackageRefused, Problem.
    """
    _allow("read_deliveries", granted)
    opening = desk.custody.opening(granted)
    if not opening:
        raise NoCustody
    if not desk.recorder.ready():
        raise Problem("audit-backlog")
    looked, me = _entry("consultation", granted, delivery_id), granted.principal.agency
    try:
        item = await hub.delivery(delivery_id)
        delivery = open_delivery(
            item.envelope, me=me, opening=opening, keys=desk.keys, log=desk.log
        )
        if delivery.delivery_id != delivery_id:
            raise PackageRefused(0, "another-delivery")
    except (EnvelopeRefused, PackageRefused) as refused:
        await desk.recorder.record(replace(looked, outcome="failed", reason_code=refused.code))
        raise
    known = await _known_now(desk, delivery, item.waiting, me)
    await desk.recorder.record(replace(looked, case_references=(known.case_reference,)))
    await desk.shelf.remember(me, delivery_id, known, desk.clock.now())
    return Opened(delivery, item.waiting, known)


async def _known_now(desk: PortalDesk, delivery: Delivery, standing: Waiting, me: str) -> Known:
    """What it says of its own handling, beside what the work list knew: when it first came, how it
    left, what came after it.
    """
    before = (await desk.shelf.known(me, [delivery.delivery_id])).get(delivery.delivery_id)
    # A notice is the proof that follows a promise.
    promised = (
        delivery.verdict.standing == "promised"
        or standing.kind == "notice"
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
    )


async def accept(
    desk: PortalDesk, granted: Granted, read: Granted, hub: Hub, delivery_id: str
) -> None:
    """A named practitioner accepts a delivery: for agencies that use the portal, that is what
    *saved* means (design section 8).

    If we crash between receipt and acknowledgement the delivery stays on the list as opened;
    accepting it again sends only what is missing.
    """
    _allow("accept_delivery", granted)
    opened = await open_for(desk, read, hub, delivery_id)
    delivery, standing = opened.delivery, opened.standing
    signer = desk.custody.signing(granted)
    if signer is None:
        raise NoCustody
    role = min(granted.principal.roles, default="practitioner")
    if not standing.saved_at:
        await hub.send_receipt(
            delivery_id,
            saved_receipt(delivery, signer=signer, system=f"portal, accepted by {role}"),
        )
    if not standing.taken_up:
        await hub.acknowledge(delivery_id, role)
    reference = str(delivery.verdict.content["caseReference"])
    await desk.recorder.record(
        replace(_entry("acknowledged", granted, delivery_id), case_references=(reference,))
    )


def demand_authority(principal: Principal) -> None:
    """Whoever has not the role is told no more than that. Raises Problem(forbidden)."""
    if AUTHORITY.isdisjoint(principal.roles):
        raise Problem("forbidden")


async def unproven(granted: Granted, hub: Hub, delivery_id: str = "") -> UnprovenList:
    """What of the agency's own referrals has no proof yet, or that one; sharing records the look.

    Raises Problem(forbidden).
    """
    _allow("release_in_emergency", granted)
    demand_authority(granted.principal)
    found = await hub.unproven(delivery_id)
    return UnprovenList(tuple(most_pressing(found.items)), found.more)


async def left(
    granted: Granted, hub: Hub, delivery_id: str, case_reference: str
) -> Unproven | None:
    """What became of one that this person saw leave on a promise; sharing records the look.

    Raises Problem(forbidden).
    """
    _allow("release_in_emergency", granted)
    demand_authority(granted.principal)
    found = await hub.left(delivery_id, case_reference)
    return found if found is not None and found.proven else None


async def release_in_emergency(
    granted: Granted, hub: Hub, delivery_id: str, code: str, reason: str
) -> None:
    """Let one disclosure go with a promise in place of its proof; sharing asks the vetoes again and
    records who did it.

    If we crash before the answer it may have left; asked again it does not leave twice. Raises
    Problem(forbidden).
    """
    _allow("release_in_emergency", granted)
    demand_authority(granted.principal)
    await hub.release_in_emergency(delivery_id, code, reason)


@dataclass(frozen=True, slots=True)
class CheckedEntry:
    """A log entry as the portal itself found it: `verified` is our own verdict, `code` why not."""

    record: Mapping[str, Any]
    index: int
    verified: bool
    code: str = ""
    size: int | None = None
    logged_at: datetime | None = None
    """From the leaf that was proven, like everything below: None and "" unless verified."""
    producer: str = ""
    epoch: int | None = None
    seq: int | None = None


def check_entry(desk: PortalDesk, entry: Mapping[str, Any]) -> CheckedEntry:
    """Recompute record hash, leaf and root from the bytes served; what the service says about
    itself counts for nothing.
    """
    index = int(entry["index"])
    try:
        raw = unb64u(entry["recordBytes"])
        record = check_record(raw)
        leaf_bytes = unb64u(entry["leaf"])
        leaf = Leaf.decode(leaf_bytes)
        if leaf.h != record_hash(unb64u(entry["salt"]), raw):
            return CheckedEntry(record, index, verified=False, code="record-not-committed")
        proven = verify_proof(entry["proof"], leaf_bytes, desk.log)
    except (RecordRefused, ProofRefused) as refused:
        return CheckedEntry({}, index, verified=False, code=refused.code)
    except (CanonicalError, ValueError):
        return CheckedEntry({}, index, verified=False, code="malformed")
    if proven.index != index:
        return CheckedEntry(record, index, verified=False, code="index-differs")
    return CheckedEntry(
        record,
        index,
        verified=True,
        size=proven.size,
        logged_at=datetime.fromtimestamp(leaf.tr / 1_000_000, UTC),
        producer=leaf.src,
        epoch=leaf.ep,
        seq=leaf.seq,
    )


def _allow(screen: str, granted: Granted) -> None:
    if granted.scope != SCREENS[screen]:
        raise Problem("forbidden")


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
