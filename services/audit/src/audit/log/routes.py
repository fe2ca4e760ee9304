"""The public log as C2SP tlog-tiles lays it out, and the operator's check of the search rows.

Anybody may read the log: it holds commitments, counts and times and nothing else.
"""

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Response
from starlette.responses import PlainTextResponse

from audit.depends import guard
from audit.log import use_cases
from audit.log.model.entries import LogStopped
from audit.log.ports import LogStore, PublicLog, TileFiles
from audit.log.schemas import CheckOut, GenesisOut, RebuildOut
from common.access import Granted
from common.problems import Problem
from common.web.app import Answers
from common.web.guard import anyone
from common.web.provided import provided
from hubformats.canonical import b64u
from hubformats.tlog import ProofRefused, Verifier
from hubformats.tlog.tiles import Tile

_PUBLIC: Final = anyone(
    "public log: blinded commitments, counts and times per producer, nothing else"
)
_IMMUTABLE: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Access-Control-Allow-Origin": "*",
}
_FRESH: Final = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
_NAMED: Final = 100
"""So many differing entries are named in the answer of a check."""

router = APIRouter(prefix="/log", tags=["log"], dependencies=[_PUBLIC])
search_rows = APIRouter(prefix="/v1/search-rows", tags=["search rows"])
LogDep = Annotated[PublicLog, Depends(provided(PublicLog))]
VerifierDep = Annotated[Verifier, Depends(provided(Verifier))]
StoreDep = Annotated[LogStore, Depends(provided(LogStore))]
FilesDep = Annotated[TileFiles, Depends(provided(TileFiles))]


def _stopped(_error: LogStopped) -> Problem:
    """Refuse what cannot be recorded: unrecorded means unanswered."""
    return Problem(
        "unavailable",
        "The log is halted, so no question can be recorded; the public log stays readable.",
    )


PROBLEMS: Final[Answers] = {LogStopped: _stopped}


@router.get("/checkpoint", summary="Newest published checkpoint", response_class=PlainTextResponse)
async def read_checkpoint(log: LogDep) -> PlainTextResponse:
    """The signed head (C2SP tlog-checkpoint) that the tiles served here belong to; at most a second
    behind the newest receipt.
    """
    note = log.checkpoint
    if note is None:
        raise Problem("unavailable", headers={"Retry-After": "1"})
    return PlainTextResponse(note, headers=_FRESH)


@router.get("/vkey", summary="The log's verifier key", response_class=PlainTextResponse)
async def read_vkey(verifier: VerifierDep) -> PlainTextResponse:
    """The C2SP verifier key.

    Pin it from the operator-signed bootstrap file; a key taken from the log itself proves little.
    """
    return PlainTextResponse(verifier.format() + "\n", headers=_FRESH)


@router.get("/genesis", summary="Entry 0 opened")
async def read_genesis(response: Response, store: StoreDep) -> GenesisOut:
    """The record and salt behind entry 0; its `ed` is the SHA-256 of the operator-signed bootstrap
    file.
    """
    found = await store.read(lambda view: view.genesis())
    if found is None:
        raise Problem("unavailable")
    response.headers.update(_FRESH)
    return GenesisOut(record=b64u(found.record), salt=b64u(found.salt), leaf=b64u(found.leaf))


@router.get("/tile/{place:path}", summary="One tile or entry bundle", response_class=Response)
async def read_tile(place: str, files: FilesDep) -> Response:
    """`/log/tile/<L>/<N>[.p/<W>]` or `/log/tile/entries/<N>[.p/<W>]`. Never changes once it was
    served, so cache it for ever.
    """
    try:
        tile = Tile.parse(f"tile/{place}")
    except ProofRefused:
        raise Problem("not-found") from None
    data = await asyncio.to_thread(files.read, tile)
    if data is None:
        raise Problem("not-found")
    return Response(data, media_type="application/octet-stream", headers=_IMMUTABLE)


@search_rows.post("/check", summary="Compare the search rows with the entries")
async def check_search_rows(
    _granted: Annotated[Granted, guard.action("check_search_rows")], store: StoreDep
) -> CheckOut:
    """Reads every entry, so run it at a quiet hour.

    A difference is an insider's edit or a bug: rebuild, and ask who.
    """
    wrong, size = await store.read(lambda view: (view.row_differences(), view.size()))
    return CheckOut(entries=size, different=len(wrong), first=tuple(wrong[:_NAMED]))


@search_rows.post("/rebuild", summary="Make the search rows anew")
async def rebuild_search_rows(
    granted: Annotated[Granted, guard.action("rebuild_search_rows")],
    store: StoreDep,
    log: LogDep,
) -> RebuildOut:
    """Replaces every search row in one transaction; the log takes no records while it runs.

    The log itself is never touched.
    """
    log.demand_running()
    entries = await store.write(lambda rows: use_cases.rebuild_search_rows(rows, granted))
    return RebuildOut(entries=entries)
