"""Routes of the auditor's view: state a purpose, search, read an entry with our own verdict, take its proof away."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import PlainTextResponse, Response

from common.case_reference import normalised_reference
from common.web.client import ProblemAnswer
from portal import usecases
from portal.api.visit import ANYONE, Visit, Visiting, desk, form, page, see_other
from portal.domain import PURPOSES
from portal.words import record_rows

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])
_Index = Annotated[int, Path(ge=0, le=2**53)]


@router.get("/audit-log")
async def show_search(request: Request, here: Visit = Visiting) -> Response:
    """The search form."""
    here.granted("audit.read", "consultation")
    return page(request, "audit_search.html", purposes=PURPOSES, errors={}, typed={})


@router.post("/audit-log")
async def search(request: Request, here: Visit = Visiting) -> Response:
    """Record the question, then show what it finds under an opaque id; what was typed is in no URL."""
    here.granted("audit.read", "consultation")
    typed = await form(request, here.session)
    errors = _errors(typed)
    if errors:
        return page(request, "audit_search.html", 422, purposes=PURPOSES, errors=errors, typed=typed)
    try:
        reference = normalised_reference(typed["caseReference"])
        query_id = await here.hub.ask_log(typed["purpose"], typed["justification"].strip(), {"caseReference": reference})
    except ProblemAnswer as problem:
        if problem.status != 422:
            raise
        errors = {"caseReference": "Enter a case reference in the form NM-7F3K-9QXA-2C4T"}
        return page(request, "audit_search.html", 422, purposes=PURPOSES, errors=errors, typed=typed)
    return see_other(f"/audit-log/queries/{query_id}")


@router.get("/audit-log/queries/{query_id}")
async def show_answers(
    request: Request, query_id: UUID, here: Visit = Visiting, cursor: Annotated[str, Query(max_length=500)] = ""
) -> Response:
    """What the question found, newest first."""
    found = await here.hub.answers(str(query_id), cursor or None)
    return page(request, "audit_results.html", items=found["items"], next_cursor=found.get("nextCursor"), query_id=str(query_id))


@router.get("/audit-log/entries/{index}")
async def show_entry(request: Request, index: _Index, here: Visit = Visiting) -> Response:
    """One entry: what it says in plain words, and whether it verifies by our own reckoning."""
    entry = await here.hub.entry(index)
    checked = usecases.check_entry(desk(request), entry)
    return page(request, "audit_entry.html", entry=entry, checked=checked, rows=record_rows(checked.record))


@router.get("/audit-log/entries/{index}/proof")
async def download_proof(request: Request, index: _Index, here: Visit = Visiting) -> Response:
    """The tlog-proof as a file, for anybody's verifier."""
    entry = await here.hub.entry(index)
    name = f"entry-{index}.tlog-proof"
    return PlainTextResponse(entry["proof"], headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _errors(typed: dict[str, str]) -> dict[str, str]:
    errors: dict[str, str] = {}
    if not typed.get("caseReference", "").strip():
        errors["caseReference"] = "Enter a case reference"
    if typed.get("purpose") not in PURPOSES:
        errors["purpose"] = "Select why you need to look"
    if len(typed.get("justification", "").strip()) < 3:
        errors["justification"] = "Say in a sentence what you are looking into"
    elif len(typed["justification"]) > 1000:
        errors["justification"] = "What you are looking into must be 1,000 characters or less"
    return errors
