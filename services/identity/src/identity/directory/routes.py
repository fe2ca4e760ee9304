"""The key directory: which public keys there are."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends

from common.access import Granted
from common.problems import Problem, define
from common.web.app import Answers
from common.web.guard import anyone
from common.web.provided import provided
from identity.agencies.ports import AgencyStore, Heartbeat
from identity.depends import BootstrapDep, guard
from identity.directory import use_cases
from identity.directory.model import KeySetRefused, Retirement
from identity.directory.schemas import (
    KeyDirectoryOut,
    KeySetIn,
    KeySetOut,
    RetirementIn,
    ServiceKeysOut,
)

define(
    "key-set-refused",
    422,
    "The key set counts for nothing",
    "Sign a newer set of your own keys with your own root, and send it again.",
)
PROBLEMS: Final[Answers] = {
    KeySetRefused: lambda error: Problem(
        "key-set-refused", f"The key set counts for nothing: {error}."
    )
}
router = APIRouter(prefix="/v1", tags=["agencies"])
StoreDep = Annotated[AgencyStore, Depends(provided(AgencyStore))]


@router.get(
    "/directory/keys",
    summary="Read public keys",
    dependencies=[anyone("public keys only, needed before anyone can have a token")],
)
async def read_keys(store: StoreDep, bootstrap: BootstrapDep) -> KeyDirectoryOut:
    """Every agency's signed key set and root, and the services' keys: each set by its owner."""
    found, own = await store.read(lambda tx: (tx.agencies.all(), tx.service_keys.all()))
    return KeyDirectoryOut(
        key_sets={**own, **{agency.id: agency.key_set for agency in found}},
        roots={agency.id: dict(agency.root) for agency in found},
        services=[
            ServiceKeysOut(name=one.name, owner=one.owner, keys=[*one.signing, *one.opening])
            for one in bootstrap.services.values()
        ],
    )


@router.put("/directory/services/{service}", summary="Publish a service's opening keys")
async def publish_service_keys(
    body: KeySetIn,
    granted: Annotated[Granted, guard.action("publish_service_keys")],
    service: str,
    store: StoreDep,
    bootstrap: BootstrapDep,
) -> KeySetOut:
    """The whole set, signed by the service's own key of the bootstrap file. Each service for
    itself; repeating it changes nothing.
    """
    if service not in bootstrap.services or granted.principal.client_id != f"svc-{service}":
        raise Problem("not-found")
    await store.write(
        lambda tx: use_cases.publish_service_keys(tx, bootstrap, service, body.key_set, granted.at)
    )
    return KeySetOut(key_set=body.key_set)


@router.post("/agencies/{agency_id}/key-retirements", summary="Retire a signing key")
async def retire_key(
    body: RetirementIn,
    granted: Annotated[Granted, guard.action("retire_key")],
    agency_id: str,
    store: StoreDep,
    bootstrap: BootstrapDep,
    heartbeat: Annotated[Heartbeat, Depends(provided(Heartbeat))],
) -> KeySetOut:
    """What a compromised key signed since is set aside by every service; what it signed before
    stays valid. The agency goes on with its other key. Repeating it changes nothing.
    """
    if granted.principal.agency not in {agency_id, bootstrap.area.id}:
        raise Problem("not-found")
    wanted = Retirement(body.key_set, body.key_id, body.retired_at, body.compromised_since)
    await store.write(lambda tx: use_cases.retire_key(tx, bootstrap, granted, agency_id, wanted))
    await heartbeat.beat()  # the new key must open the token endpoint at once, the old one nothing
    return KeySetOut(key_set=body.key_set)
