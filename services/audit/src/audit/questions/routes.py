"""An auditor's questions, and the entries and proofs that may be looked at.

Each question states its purpose and is an entry of the log before it is answered.
"""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path
from starlette.responses import PlainTextResponse, Response

from audit.depends import CursorsDep, Once, guard
from audit.log.ports import PublicLog
from audit.log.routes import LogDep, VerifierDep
from audit.questions import use_cases
from audit.questions.model import (
    EntryNotFound,
    Found,
    NotEntitled,
    PurposeRequired,
    QuestionNotFound,
)
from audit.questions.ports import QuestionStore
from audit.questions.schemas import (
    EntryOut,
    ProofIn,
    ProvenEntryOut,
    QuestionIn,
    QuestionOut,
    VerificationOut,
    held_of,
    shown,
)
from audit.questions.use_cases import Asking
from common.access import Granted
from common.problems import Problem, define
from common.web import paging
from common.web.app import Answers
from common.web.idempotency import idempotent
from common.web.provided import gathered, provided
from hubformats.canonical import CanonicalError, b64u, unb64u
from hubformats.tlog import ProofRefused, verify_proof

define(
    "purpose-required",
    403,
    "No purpose was stated",
    "Ask with POST /v1/queries first, stating one of the permitted purposes.",
)
PROBLEMS: Final[Answers] = {
    NotEntitled: lambda _error: Problem("forbidden"),
    PurposeRequired: lambda _error: Problem("purpose-required"),
    QuestionNotFound: lambda _error: Problem("not-found"),
    EntryNotFound: lambda _error: Problem("not-found"),
}
questions = APIRouter(prefix="/v1", tags=["questions"])
entries = APIRouter(prefix="/v1", tags=["entries"])
Index = Annotated[int, Path(ge=0, le=2**53)]
StoreDep = Annotated[QuestionStore, Depends(provided(QuestionStore))]
AskingDep = Annotated[Asking, Depends(provided(Asking))]


@dataclass(frozen=True, slots=True)
class _PageAsked:
    """Which page of a list is asked for."""

    cursor: paging.CursorText = None
    limit: paging.Limit = 25


@questions.post(
    "/queries", status_code=201, summary="Ask a question of the log", response_model=QuestionOut
)
async def ask_question(
    body: QuestionIn,
    granted: Annotated[Granted, guard.action("ask_question")],
    attempt: Once,
    store: StoreDep,
    asking: AskingDep,
    log: LogDep,
) -> Response:
    """Records the question, durably, as an entry of the log; its answers are at `Location`/entries
    afterwards.
    """
    log.demand_running()
    asked = body.asked()
    return await idempotent(store.write, attempt, lambda tx: asking.ask(tx, granted, asked))


@questions.get("/queries/{query_id}/entries", summary="Read what a question finds")
async def read_answers(
    query_id: UUID,
    granted: Annotated[Granted, guard.action("read_answers")],
    page: Annotated[_PageAsked, Depends(gathered(_PageAsked))],
    store: StoreDep,
    cursors: CursorsDep,
    log: LogDep,
) -> paging.Page[EntryOut]:
    """Entries newest first, for the one who asked only, while the purpose holds. The area's dated
    rules say for how many hours. Each further page is an entry first.

    No total is given: it would count what is not yours to see.
    """
    name = f"answers/{query_id}"
    place = cursors.read(name, page.cursor, granted)
    below = None if place is None else int(place[0])
    if below is not None:
        log.demand_running()
        look = await store.read(lambda view: view.looks.by_question(granted, query_id))
        await store.write(lambda tx: use_cases.record_page(tx, granted, look, below))
    found, next_below = await store.read(
        lambda view: use_cases.answers(
            view, view.looks.by_question(granted, query_id), below, page.limit
        )
    )
    return paging.Page(
        items=[shown(entry) for entry in found],
        next_cursor=None if next_below is None else cursors.make(name, [next_below], granted),
    )


@entries.get("/entries/{index}", summary="Read one entry with its proof")
async def read_entry(
    index: Index,
    granted: Annotated[Granted, guard.action("read_entry")],
    store: StoreDep,
    log: LogDep,
    verifier: VerifierDep,
) -> ProvenEntryOut:
    """One entry, under the purpose last stated by POST /v1/queries; opening it is itself recorded
    first.
    """
    found, proof = await _opened(store, log, granted, index)
    entry = shown(found)
    return ProvenEntryOut(
        **entry.model_dump(by_alias=False),
        record_bytes="" if found.veiled else b64u(found.record),
        salt="" if found.veiled else b64u(found.salt),
        reason_salt=held_of(found)["salt"],
        leaf=b64u(found.leaf),
        proof=proof,
        verified=entry.intact and _proves(proof, found.leaf, verifier.format()),
    )


@entries.get(
    "/entries/{index}/proof",
    summary="The tlog-proof of one entry",
    response_class=PlainTextResponse,
)
async def read_proof(
    index: Index,
    granted: Annotated[Granted, guard.action("read_proof")],
    store: StoreDep,
    log: LogDep,
) -> PlainTextResponse:
    """A C2SP tlog-proof under the newest signed head, for any verifier."""
    _, proof = await _opened(store, log, granted, index)
    return PlainTextResponse(proof)


@entries.post("/verifications", summary="Check a proof")
async def check_proof(
    body: ProofIn, _granted: Annotated[Granted, guard.action("check_proof")], verifier: VerifierDep
) -> VerificationOut:
    """Checks a leaf and its proof against this log's key.

    Better checked by your own software: docs/audit-format.md.
    """
    try:
        proven = verify_proof(body.proof, unb64u(body.leaf), verifier.format())
    except ProofRefused as refused:
        return VerificationOut(verified=False, code=refused.code)
    except CanonicalError:
        return VerificationOut(verified=False, code="leaf-malformed")
    return VerificationOut(verified=True, index=proven.index, size=proven.size)


async def _opened(
    store: QuestionStore, log: PublicLog, granted: Granted, index: int
) -> tuple[Found, str]:
    """Open an entry and prove it, after the opening was recorded.

    Refused and absent entries take the same road.
    """
    log.demand_running()
    look = await store.read(lambda view: view.looks.by_latest(granted))
    await store.write(lambda tx: use_cases.record_opening(tx, granted, look, index))
    found = await store.read(lambda view: view.entries.entry(look, index))
    try:
        return found, await log.prove(index)
    except IndexError:
        # Committed in this moment and not yet signed: the next head, some milliseconds away, covers
        # it.
        raise Problem("unavailable", headers={"Retry-After": "1"}) from None


def _proves(proof: str, leaf: bytes, vkey: str) -> bool:
    try:
        verify_proof(proof, leaf, vkey)
    except ProofRefused:
        return False
    return True
