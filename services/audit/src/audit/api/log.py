"""The public log, as C2SP tlog-tiles lays it out: anybody may read it, it holds commitments, counts
and times and nothing else."""

import asyncio

from fastapi import APIRouter, Request, Response
from starlette.responses import PlainTextResponse

from audit.api import desk
from common.models import ApiModel
from common.problems import Problem
from common.web import guard
from hubformats.audit_record import Leaf
from hubformats.canonical import b64u
from hubformats.tlog import ProofRefused
from hubformats.tlog.tiles import Tile

_PUBLIC = guard.anyone(
    "public log: blinded commitments, counts and times per producer, nothing else"
)
_IMMUTABLE = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Access-Control-Allow-Origin": "*",
}
_FRESH = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}

router = APIRouter(prefix="/log", tags=["log"], dependencies=[_PUBLIC])


class GenesisOut(ApiModel):
    """Entry 0, which hides nothing: with the bootstrap file anybody can recompute its leaf.

    Binary fields are base64url.
    """

    record: str
    salt: str
    leaf: str


@router.get("/checkpoint", summary="Newest published checkpoint", response_class=PlainTextResponse)
async def read_checkpoint(request: Request) -> PlainTextResponse:
    """The signed head (C2SP tlog-checkpoint) that the tiles served here belong to; at most a second
    behind the newest receipt.
    """
    note = desk.of(request).sequencer.checkpoint
    if not note:
        raise Problem("unavailable", headers={"Retry-After": "1"})
    return PlainTextResponse(note, headers=_FRESH)


@router.get("/vkey", summary="The log's verifier key", response_class=PlainTextResponse)
async def read_vkey(request: Request) -> PlainTextResponse:
    """The C2SP verifier key.

    Pin it from the operator-signed bootstrap file; a key taken from the log itself proves little.
    """
    return PlainTextResponse(desk.of(request).vkey + "\n", headers=_FRESH)


@router.get("/genesis", summary="Entry 0 opened")
async def read_genesis(request: Request, response: Response) -> GenesisOut:
    """The record and salt behind entry 0; its `ed` is the SHA-256 of the operator-signed bootstrap
    file.
    """
    found = await desk.of(request).store.read(lambda view: view.entry(0, None))
    if found is None or Leaf.decode(found.leaf).seq != 1:
        raise Problem("unavailable")
    response.headers.update(_FRESH)
    return GenesisOut(record=b64u(found.record), salt=b64u(found.salt), leaf=b64u(found.leaf))


@router.get("/tile/{place:path}", summary="One tile or entry bundle", response_class=Response)
async def read_tile(request: Request, place: str) -> Response:
    """`/log/tile/<L>/<N>[.p/<W>]` or `/log/tile/entries/<N>[.p/<W>]`. Never changes once it was
    served, so cache it for ever.
    """
    try:
        tile = Tile.parse(f"tile/{place}")
    except ProofRefused:
        raise Problem("not-found") from None
    data = await asyncio.to_thread(desk.of(request).files.read, tile)
    if data is None:
        raise Problem("not-found")
    return Response(data, media_type="application/octet-stream", headers=_IMMUTABLE)
