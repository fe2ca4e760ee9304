"""Agencies: who there is, and the operator's suspension."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from common.access import Granted
from common.problems import Problem
from common.web import paging
from common.web.app import Answers
from common.web.paging import Cursors
from common.web.provided import provided
from identity.agencies import use_cases
from identity.agencies.model import NoSuchAgency
from identity.agencies.ports import AgencyStore, Heartbeat
from identity.agencies.schemas import AgencyOut, RestorationReason, SuspensionIn, shown
from identity.agencies.use_cases import Change
from identity.depends import guard

# Said to operators, who may see them all: a misspelt name must not look like a missing right.
PROBLEMS: Final[Answers] = {
    NoSuchAgency: lambda _error: Problem(
        "not-found", "There is no such agency; GET /v1/agencies lists them."
    )
}
router = APIRouter(prefix="/v1", tags=["agencies"])
StoreDep = Annotated[AgencyStore, Depends(provided(AgencyStore))]
CursorsDep = Annotated[Cursors, Depends(provided(Cursors))]
HeartbeatDep = Annotated[Heartbeat, Depends(provided(Heartbeat))]


@router.get("/agencies", summary="List agencies")
async def list_agencies(
    granted: Annotated[Granted, guard.action("list_agencies")],
    store: StoreDep,
    cursors: CursorsDep,
    cursor: paging.CursorText = None,
    limit: paging.Limit = 100,
) -> paging.Page[AgencyOut]:
    """Every agency by id, suspended ones included."""
    place = cursors.read("agencies", cursor, granted)
    after = str(place[0]) if place else ""
    agencies = await store.read(lambda tx: tx.agencies.all())
    found = [agency for agency in agencies if agency.id > after]
    more = cursors.make("agencies", [found[limit - 1].id], granted) if len(found) > limit else None
    return paging.Page(items=[shown(agency) for agency in found[:limit]], next_cursor=more)


@router.get("/agencies/{agency_id}", summary="Read one agency")
async def read_agency(
    _granted: Annotated[Granted, guard.action("read_agency")], agency_id: str, store: StoreDep
) -> AgencyOut:
    """One agency."""
    found = await store.read(lambda tx: tx.agencies.find(agency_id))
    if found is None:
        raise Problem("not-found")
    return shown(found)


@router.post("/agencies/{agency_id}/suspension", summary="Suspend an agency")
async def suspend_agency(
    body: SuspensionIn,
    granted: Annotated[Granted, guard.action("suspend_agency")],
    agency_id: str,
    store: StoreDep,
    heartbeat: HeartbeatDep,
) -> AgencyOut:
    """From now on the agency gets no token and those it has are refused, everywhere within 60
    seconds. Its topic is closed to it. Repeating it changes nothing.
    """
    change = Change(agency_id, body.reason_code, body.note)
    agency = await store.write(lambda tx: use_cases.suspend(tx, granted, change))
    await heartbeat.beat()  # our own door must not wait for the next beat
    return shown(agency)


@router.delete("/agencies/{agency_id}/suspension", summary="Restore an agency")
async def restore_agency(
    granted: Annotated[Granted, guard.action("restore_agency")],
    agency_id: str,
    reason_code: Annotated[RestorationReason, Query(alias="reasonCode")],
    store: StoreDep,
    heartbeat: HeartbeatDep,
) -> AgencyOut:
    """The agency may act again, with new tokens."""
    change = Change(agency_id, reason_code)
    agency = await store.write(lambda tx: use_cases.restore(tx, granted, change))
    await heartbeat.beat()
    return shown(agency)
