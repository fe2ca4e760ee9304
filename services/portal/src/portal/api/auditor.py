"""Routes of the auditor's view: state a purpose, search, read an entry with our own verdict, take
its proof away."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import PlainTextResponse, Response

from common.web.client import CallFailed, ProblemAnswer, TokenRefused
from portal import usecases
from portal.api.visit import (
    ANYONE,
    Visit,
    Visiting,
    cookie_name,
    desk,
    form,
    page,
    see_other,
    sessions,
)
from portal.domain import search as searching
from portal.domain.wording import PURPOSES, record_rows

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])
_Index = Annotated[int, Path(ge=0, le=2**53)]


@router.get("/audit-log")
async def show_search(request: Request, here: Visit = Visiting) -> Response:
    """The search form."""
    here.granted("audit.read", "consultation")
    return _search_page(request, {}, {})


@router.post("/audit-log")
async def search(request: Request, here: Visit = Visiting) -> Response:
    """Record the question, then show what it finds under an opaque id; what was typed is in no
    URL.
    """
    here.granted("audit.read", "consultation")
    typed = await form(request, here.session)
    problems = searching.problems(typed, desk(request).agencies.keys())
    if problems:
        return _search_page(request, typed, problems)
    try:
        wanted = searching.wanted(typed)
        query_id = await here.hub.ask_log(typed["purpose"], typed["justification"].strip(), wanted)
    except ProblemAnswer as problem:
        if problem.status >= 500:
            return _search_page(request, typed, {"": searching.NO_ANSWER}, 503)
        if problem.status != 422:
            raise
        return _search_page(request, typed, searching.refused_by_log())
    except TokenRefused as refused:
        if refused.code != "unreachable":
            raise
        return _search_page(request, typed, {"": searching.NO_ANSWER}, 503)
    except CallFailed:
        return _search_page(request, typed, {"": searching.NO_ANSWER}, 503)
    # Kept with the visit, sealed: the results say what was asked, and no address or title ever
    # holds the reference.
    kept = replace(
        here.session,
        asked={
            "id": query_id,
            "purpose": typed["purpose"],
            "justification": typed["justification"].strip(),
            **wanted,
        },
    )
    await sessions(request).amend(request.cookies.get(cookie_name(request), ""), kept)
    return see_other(f"/audit-log/queries/{query_id}")


@router.get("/audit-log/queries/{query_id}")
async def show_answers(
    request: Request,
    query_id: UUID,
    here: Visit = Visiting,
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """What the question found, newest first."""
    here.granted("audit.read", "consultation")
    kept = here.session.asked
    try:
        found = await here.hub.answers(str(query_id), cursor or None)
    except ProblemAnswer as problem:
        return _purpose_again(request, here, problem)
    return page(
        request,
        "audit_results.html",
        items=found["items"],
        asked=searching.asked(kept, desk(request).agencies)
        if kept.get("id") == str(query_id)
        else [],
        more=bool(cursor or found.get("nextCursor")),
        next_cursor=found.get("nextCursor"),
        query_id=str(query_id),
        agencies=desk(request).agencies,
    )


@router.get("/audit-log/entries/{index}")
async def show_entry(request: Request, index: _Index, here: Visit = Visiting) -> Response:
    """One entry: what it says in plain words, and whether it verifies by our own reckoning."""
    here.granted("audit.read", "consultation")
    try:
        checked = usecases.check_entry(desk(request), await here.hub.entry(index))
    except ProblemAnswer as problem:
        return _purpose_again(request, here, problem)
    return page(
        request,
        "audit_entry.html",
        checked=checked,
        rows=record_rows(checked.record, desk(request).agencies),
        results=here.session.asked.get("id", ""),
    )


@router.get("/audit-log/entries/{index}/proof")
async def download_proof(request: Request, index: _Index, here: Visit = Visiting) -> Response:
    """The tlog-proof as a file, for anybody's verifier."""
    here.granted("audit.read", "consultation")
    try:
        entry = await here.hub.entry(index)
    except ProblemAnswer as problem:
        return _purpose_again(request, here, problem)
    return _file(entry["proof"], f"entry-{index}.tlog-proof")


def _purpose_again(request: Request, here: Visit, problem: ProblemAnswer) -> Response:
    """The search form as it was last sent, when the purpose stated there no longer holds.

    Raises the answer when it says anything else.
    """
    if problem.code != "purpose-required":
        raise problem
    kept = here.session.asked
    return _search_page(
        request, kept, {"purpose": searching.STATE_AGAIN if kept else searching.STATE_FIRST}, 403
    )


def _file(text: str, name: str) -> Response:
    return PlainTextResponse(
        text, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


def _search_page(
    request: Request, typed: dict[str, str], problems: dict[str, str], status: int = 422
) -> Response:
    errors = [
        {"text": problems[name], "href": f"#{name or searching.FIELDS[0]}"}
        for name in ("", *searching.FIELDS)
        if name in problems
    ]
    return page(
        request,
        "audit_search.html",
        status if errors else 200,
        purposes=PURPOSES,
        agencies=sorted(desk(request).agencies.items(), key=lambda pair: pair[1]),
        summary=errors,
        errors={name: {"text": text} for name, text in problems.items() if name},
        typed={name: typed.get(name, "") for name in searching.FIELDS},
    )
