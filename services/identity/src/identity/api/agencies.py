"""Agencies and the key directory: who there is, with which keys, and the operator's suspension."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field

from common.access import Granted
from common.bootstrap import Bootstrap
from common.models import ApiModel, Timestamp
from common.problems import Problem
from common.web import guard, paging
from identity.domain import AgencyState
from identity.ports import Store, Tx
from identity.usecases import agencies

router = APIRouter(prefix="/v1", tags=["agencies"])

Read = Annotated[Granted, guard.requires("directory.read", operation="operation")]
Manage = Annotated[Granted, guard.requires("agency.manage", operation="operation")]
SuspensionReason = Literal[
    "key-compromise",
    "data-breach",
    "left-partnership",
    "agency-request",
    "investigation",
    "exercise",
]
RestorationReason = Literal[
    "resolved", "rejoined-partnership", "exercise-ended", "suspended-in-error"
]


class AgencyOut(ApiModel):
    """An agency of the partnership."""

    id: str
    name: str
    type: str
    area: str
    custodial: bool
    """Whether the hub keeps its keys because it works through the portal."""

    suspended: bool
    suspended_at: Timestamp | None = None


class SuspensionIn(ApiModel):
    """Why an agency is stopped.

    The note is sealed into the audit record and stored nowhere else.
    """

    reason_code: SuspensionReason
    note: Annotated[str, Field(max_length=2000)] = ""


class ServiceKeysOut(ApiModel):
    """A service's public keys, vouched for by the operator's signature on the bootstrap file."""

    name: str
    owner: str
    keys: list[dict[str, str]]


class KeyDirectoryOut(ApiModel):
    """Public keys.

    Each key set is a JWS under the agency's root; check it against the root you pinned, not the one
    here.
    """

    key_sets: dict[str, str]
    roots: dict[str, dict[str, str]]
    services: list[ServiceKeysOut]


class PersonOut(ApiModel):
    """The signed-in person, for the page that greets them."""

    id: str
    name: str
    agency: str
    roles: list[str]


@router.get("/agencies", summary="List agencies")
async def list_agencies(
    request: Request, granted: Read, cursor: paging.CursorText = None, limit: paging.Limit = 100
) -> paging.Page[AgencyOut]:
    """Every agency by id, suspended ones included."""
    store: Store = request.app.state.store
    cursors: paging.Cursors = request.app.state.cursors
    place = cursors.read("agencies", cursor, granted)
    after = str(place[0]) if place else ""
    found = [agency for agency in await store.read(lambda tx: tx.agencies()) if agency.id > after]
    more = cursors.make("agencies", [found[limit - 1].id], granted) if len(found) > limit else None
    return paging.Page(items=[_shown(agency) for agency in found[:limit]], next_cursor=more)


@router.get("/agencies/{agency_id}", summary="Read one agency")
async def read_agency(request: Request, _granted: Read, agency_id: str) -> AgencyOut:
    """One agency."""
    store: Store = request.app.state.store
    found = await store.read(lambda tx: tx.agency(agency_id))
    if found is None:
        raise Problem("not-found")
    return _shown(found)


@router.post("/agencies/{agency_id}/suspension", summary="Suspend an agency")
async def suspend_agency(
    request: Request, body: SuspensionIn, granted: Manage, agency_id: str
) -> AgencyOut:
    """From now on the agency gets no token and those it has are refused, everywhere within 60
    seconds; its topic is closed to it. Repeating it changes nothing.
    """
    store: Store = request.app.state.store
    clock = request.app.state.clock

    def suspend(tx: Tx) -> AgencyState:
        return agencies.suspend(
            tx, clock, granted, agency_id, reason_code=body.reason_code, note=body.note
        )

    return await _changed(request, await store.write(suspend))


@router.delete("/agencies/{agency_id}/suspension", summary="Restore an agency")
async def restore_agency(
    request: Request,
    granted: Manage,
    agency_id: str,
    reason_code: Annotated[RestorationReason, Query(alias="reasonCode")],
) -> AgencyOut:
    """The agency may act again, with new tokens."""
    store: Store = request.app.state.store
    clock = request.app.state.clock
    return await _changed(
        request,
        await store.write(
            lambda tx: agencies.restore(tx, clock, granted, agency_id, reason_code=reason_code)
        ),
    )


@router.get(
    "/directory/keys",
    summary="Read public keys",
    dependencies=[guard.anyone("public keys only, needed before anyone can have a token")],
)
async def read_keys(request: Request) -> KeyDirectoryOut:
    """Every agency's signed key set and root, and the services' keys."""
    store: Store = request.app.state.store
    bootstrap: Bootstrap = request.app.state.bootstrap
    found = await store.read(lambda tx: tx.agencies())
    return KeyDirectoryOut(
        key_sets={agency.id: agency.key_set for agency in found},
        roots={agency.id: dict(agency.root) for agency in found},
        services=[
            ServiceKeysOut(name=one.name, owner=one.owner, keys=[*one.signing, *one.opening])
            for one in bootstrap.services.values()
        ],
    )


@router.get("/me", summary="Read who is signed in")
async def read_me(
    request: Request,
    granted: Annotated[
        Granted, guard.requires("directory.read", operation="operation", person=True)
    ],
) -> PersonOut:
    """The person this token is for; the name travels here and never in a token."""
    bootstrap: Bootstrap = request.app.state.bootstrap
    person = bootstrap.people.get(granted.principal.subject)
    if person is None:
        raise Problem("not-found")
    return PersonOut(id=person.id, name=person.name, agency=person.agency, roles=list(person.roles))


async def _changed(request: Request, agency: AgencyState) -> AgencyOut:
    # Our own door must not wait for the next beat.
    await request.app.state.pulse.beat()
    return _shown(agency)


def _shown(agency: AgencyState) -> AgencyOut:
    return AgencyOut(
        id=agency.id,
        name=agency.name,
        type=agency.type,
        area=agency.area,
        custodial=agency.custodial,
        suspended=agency.suspended_at is not None,
        suspended_at=agency.suspended_at,
    )
