"""The key directory: which public keys there are."""

from typing import Annotated

from fastapi import APIRouter, Depends

from common.web.guard import anyone
from common.web.provided import provided
from identity.agencies.ports import AgencyStore
from identity.depends import BootstrapDep
from identity.directory.schemas import KeyDirectoryOut, ServiceKeysOut

router = APIRouter(prefix="/v1", tags=["agencies"])
StoreDep = Annotated[AgencyStore, Depends(provided(AgencyStore))]


@router.get(
    "/directory/keys",
    summary="Read public keys",
    dependencies=[anyone("public keys only, needed before anyone can have a token")],
)
async def read_keys(store: StoreDep, bootstrap: BootstrapDep) -> KeyDirectoryOut:
    """Every agency's signed key set and root, and the services' keys."""
    found = await store.read(lambda tx: tx.agencies.all())
    return KeyDirectoryOut(
        key_sets={agency.id: agency.key_set for agency in found},
        roots={agency.id: dict(agency.root) for agency in found},
        services=[
            ServiceKeysOut(name=one.name, owner=one.owner, keys=[*one.signing, *one.opening])
            for one in bootstrap.services.values()
        ],
    )
