"""Agencies: which there are, their keys, who is suspended; and the heartbeat that tells every
service so."""

from common.access import Granted
from common.bootstrap import Bootstrap
from common.events.identity import AgencyRestored, AgencySuspended, DirectoryHeartbeat
from common.problems import Problem
from hubformats.clock import Clock
from identity.domain import AgencyState
from identity.ports import Tx
from identity.usecases import accounts


def enrol(tx: Tx, bootstrap: Bootstrap) -> int:
    """Store the agencies of the bootstrap file that are new; what was changed since stays.

    Returns how many were new.
    """
    found = [
        tx.add_agency(
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


def suspend(
    tx: Tx, clock: Clock, granted: Granted, agency: str, *, reason_code: str, note: str
) -> AgencyState:
    """Stop an agency: no token from now on, those out are revoked, every service is told.

    Repeating it changes nothing.

    If we crash after the commit, the outbox still tells the services; if before, nothing happened.
    Raises Problem.
    """
    now = clock.now()
    if tx.agency(agency) is None:
        raise _no_such_agency()
    if tx.set_suspended(agency, now, reason_code):
        ended = tx.revoke_agency(agency)
        accounts.agency_changed(
            tx, granted, agency, suspended=True, reason_code=reason_code, note=note, ended=ended
        )
        tx.publish(
            AgencySuspended(
                agency=agency, reason_code=reason_code, state_epoch=tx.advance_epoch(), at=now
            )
        )
    return _present(tx, agency)


def restore(
    tx: Tx, clock: Clock, granted: Granted, agency: str, *, reason_code: str
) -> AgencyState:
    """Let an agency act again. Tokens revoked by the suspension stay revoked. Raises Problem."""
    if tx.agency(agency) is None:
        raise _no_such_agency()
    if tx.set_suspended(agency, None, ""):
        accounts.agency_changed(
            tx, granted, agency, suspended=False, reason_code=reason_code, note="", ended=0
        )
        tx.publish(AgencyRestored(agency=agency, state_epoch=tx.advance_epoch(), at=clock.now()))
    return _present(tx, agency)


def beat(tx: Tx, clock: Clock) -> DirectoryHeartbeat:
    """Publish the whole state that denies, and sweep what expired."""
    now = clock.now()
    suspended = tuple(agency.id for agency in tx.agencies() if agency.suspended_at is not None)
    event = DirectoryHeartbeat(at=now, state_epoch=tx.state_epoch(), suspended=suspended)
    tx.publish(event)
    tx.purge(now)
    return event


def _present(tx: Tx, agency: str) -> AgencyState:
    state = tx.agency(agency)
    if state is None:
        raise _no_such_agency()
    return state


def _no_such_agency() -> Problem:
    """Said to operators, who may see them all; a misspelt name must not look like a missing
    right.
    """
    return Problem("not-found", "There is no such agency; GET /v1/agencies lists them.")
