"""Agencies: which there are and who is suspended; and the heartbeat that tells every service so."""

from dataclasses import dataclass

from common.access import Granted
from common.events.identity import AgencyRestored, AgencySuspended, DirectoryHeartbeatV2
from hubformats.audit_record import Actor, AuditEntry
from hubformats.bootstrap import Bootstrap
from hubformats.clock import Clock
from identity.agencies.model import AgencyState, NoSuchAgency
from identity.agencies.ports import AgencyTx


@dataclass(frozen=True, slots=True)
class Change:
    """What an operator does to an agency, and why. The note is somebody's own words."""

    agency: str
    reason_code: str
    note: str = ""


def enrol(tx: AgencyTx, bootstrap: Bootstrap) -> int:
    """Store the agencies of the bootstrap file that are new; what was changed since stays.

    Returns how many were new.
    """
    found = [
        tx.agencies.add(
            AgencyState(
                agency.id,
                agency.name,
                agency.type,
                agency.area,
                agency.root,
                agency.key_set,
                agency.custodial,
            )
        )
        for agency in bootstrap.agencies.values()
    ]
    return sum(found)


def suspend(tx: AgencyTx, granted: Granted, change: Change) -> AgencyState:
    """Stop an agency: no token from now on, those out are revoked, every service is told.

    Repeating it changes nothing. If we crash after the commit, the outbox still tells the services;
    if before, nothing happened.

    Raises NoSuchAgency.
    """
    _present(tx, change.agency)
    if tx.agencies.set_suspended(change.agency, granted.at, change.reason_code):
        ended = tx.end_access(change.agency)
        _record(tx, granted, change, field_set="suspension", ended=ended)
        tx.publish(
            AgencySuspended(
                agency=change.agency,
                reason_code=change.reason_code,
                state_epoch=tx.agencies.advance_epoch(),
                at=granted.at,
            )
        )
    return _present(tx, change.agency)


def restore(tx: AgencyTx, granted: Granted, change: Change) -> AgencyState:
    """Let an agency act again. Tokens revoked by the suspension stay revoked.

    Raises NoSuchAgency.
    """
    _present(tx, change.agency)
    if tx.agencies.set_suspended(change.agency, None, ""):
        _record(tx, granted, change, field_set="restoration", ended=0)
        epoch = tx.agencies.advance_epoch()
        tx.publish(AgencyRestored(agency=change.agency, state_epoch=epoch, at=granted.at))
    return _present(tx, change.agency)


def beat(tx: AgencyTx, clock: Clock) -> DirectoryHeartbeatV2:
    """Publish the whole state that denies, and sweep what expired."""
    now = clock.now()
    suspended = tuple(agency.id for agency in tx.agencies.all() if agency.suspended_at is not None)
    ended = tx.ended(now)
    event = DirectoryHeartbeatV2(
        at=now,
        state_epoch=tx.agencies.epoch(),
        suspended=suspended,
        ended_tokens=ended.tokens,
        ended_until=ended.until,
    )
    tx.publish(event)
    tx.purge(now)
    return event


def actor_of(granted: Granted) -> Actor:
    """Name a caller for the audit trail."""
    who = granted.principal
    role = "system" if who.kind == "system" else ",".join(sorted(who.roles)) or "person"
    subject = f"{who.issuer}|{who.subject}"
    return Actor(subject=subject, agency=who.agency, role=role, acr=who.acr or "")


def _present(tx: AgencyTx, agency: str) -> AgencyState:
    state = tx.agencies.find(agency)
    if state is None:
        raise NoSuchAgency(agency)
    return state


def _record(tx: AgencyTx, granted: Granted, change: Change, *, field_set: str, ended: int) -> None:
    tx.record(
        AuditEntry(
            operation="permission_change",
            outcome="done",
            actor=actor_of(granted),
            resource_type="agency",
            resource_id=change.agency,
            # the resource id becomes a handle; this says in clear which agency it concerns
            recipient=change.agency,
            field_set=field_set,
            reason_code=change.reason_code,
            count=ended,
            # sealed, because it is somebody's own words
            detail={"note": change.note} if change.note else {},
        )
    )
