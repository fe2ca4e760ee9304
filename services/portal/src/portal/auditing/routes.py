"""Routes of the auditor: state a purpose, search, read an entry with our verdict, its proof."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import PlainTextResponse, Response

from common.access import Granted
from common.web.provided import gathered, provided
from portal.auditing import use_cases
from portal.auditing.ports import AuditingPorts, AuditLog
from portal.auditing.rules import records
from portal.auditing.rules import search as searching
from portal.depends import ContextDep
from portal.shell.model import CallRefused, NoAnswer, Session, TokenRefused
from portal.shell.routes.layout import ShowDep, see_other
from portal.shell.routes.session import (
    ANYONE,
    CookieDep,
    FormDep,
    SessionDep,
    ShellDep,
    may,
)

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])

FILTERS: Final[Mapping[str, Callable[..., str]]] = {
    "happened": records.happened,
    "outcome": records.outcome,
    "reason": records.reason,
}
_Index = Annotated[int, Path(ge=0, le=2**53)]
Searching = Annotated[Granted, may("search_log")]


@dataclass(frozen=True, slots=True)
class Auditing:
    """What these routes work with: the auditor's visit, the proof that it may, and the log."""

    context: ContextDep
    ports: Annotated[AuditingPorts, Depends(provided(AuditingPorts))]
    show: ShowDep
    session: SessionDep
    granted: Searching

    @property
    def log(self) -> AuditLog:
        """Return the log as this person may ask it."""
        return self.ports.log_for(self.session)

    def form(
        self, typed: Mapping[str, str], problems: Mapping[str, str], status: int = 422
    ) -> Response:
        """Render the search form, with what was typed and what is wrong with it."""
        errors = [
            {"text": problems[name], "href": f"#{name or searching.FIELDS[0]}"}
            for name in ("", *searching.FIELDS)
            if name in problems
        ]
        return self.show(
            "auditing/search.html",
            status if errors else 200,
            purposes=records.PURPOSES,
            agencies=sorted(self.context.agencies.items(), key=lambda pair: pair[1]),
            summary=errors,
            errors={name: {"text": text} for name, text in problems.items() if name},
            typed={name: typed.get(name, "") for name in searching.FIELDS},
        )

    def purpose_again(self, refused: CallRefused) -> Response:
        """Render the form as it was last sent, when the purpose stated there no longer holds.

        Raises the refusal when it says anything else.
        """
        if refused.code != "purpose-required":
            raise refused
        kept = self.session.asked
        said = searching.STATE_AGAIN if kept else searching.STATE_FIRST
        return self.form(kept, {"purpose": said}, 403)


AuditingDep = Annotated[Auditing, Depends(gathered(Auditing))]


@router.get("/audit-log")
async def show_search(auditing: AuditingDep) -> Response:
    """Show the search form."""
    return auditing.form({}, {})


@router.post("/audit-log")
async def search(
    auditing: AuditingDep, typed: FormDep, cookie: CookieDep, shell: ShellDep
) -> Response:
    """Record the question, then show what it finds under an opaque id.

    What was typed is in no URL.
    """
    problems = searching.problems(typed, auditing.context.agencies.keys())
    if problems:
        return auditing.form(typed, problems)
    wanted, reason = searching.wanted(typed), typed["justification"].strip()
    try:
        query_id = await auditing.log.ask(auditing.granted, typed["purpose"], reason, wanted)
    except CallRefused as refused:
        if refused.status >= 500:
            return auditing.form(typed, {"": searching.NO_ANSWER}, 503)
        if refused.status != 422:
            raise
        return auditing.form(typed, searching.refused_by_log())
    except TokenRefused as refused:
        if refused.code != "unreachable":
            raise
        return auditing.form(typed, {"": searching.NO_ANSWER}, 503)
    except NoAnswer:
        return auditing.form(typed, {"": searching.NO_ANSWER}, 503)
    # Kept with the visit, sealed: the results say what was asked, and no address or title ever
    # holds the reference.
    asked = {"id": query_id, "purpose": typed["purpose"], "justification": reason, **wanted}
    await shell.sessions.amend(cookie.value, replace(auditing.session, asked=asked))
    return see_other(f"/audit-log/queries/{query_id}")


@router.get("/audit-log/queries/{query_id}")
async def show_answers(
    auditing: AuditingDep,
    query_id: UUID,
    cursor: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Show what the question found, newest first."""
    try:
        found = await auditing.log.answers(auditing.granted, str(query_id), cursor or None)
    except CallRefused as refused:
        return auditing.purpose_again(refused)
    agencies = auditing.context.agencies
    return auditing.show(
        "auditing/results.html",
        items=found["items"],
        asked=_asked(auditing.session, str(query_id), agencies),
        more=bool(cursor or found.get("nextCursor")),
        next_cursor=found.get("nextCursor"),
        query_id=str(query_id),
        agencies=agencies,
    )


def _asked(session: Session, query_id: str, agencies: Mapping[str, str]) -> list[tuple[str, str]]:
    """Say what was asked, if it is this visit's last question."""
    kept = session.asked
    return searching.asked(kept, agencies) if kept.get("id") == query_id else []


@router.get("/audit-log/entries/{index}")
async def show_entry(auditing: AuditingDep, index: _Index) -> Response:
    """Show one entry in plain words, and whether it verifies by our own reckoning."""
    try:
        served = await auditing.log.entry(auditing.granted, index)
    except CallRefused as refused:
        return auditing.purpose_again(refused)
    checked = use_cases.check_entry(auditing.context.log, served)
    return auditing.show(
        "auditing/entry.html",
        checked=checked,
        rows=records.record_rows(checked.record, auditing.context.agencies, checked.reason),
        results=auditing.session.asked.get("id", ""),
    )


@router.get("/audit-log/entries/{index}/proof")
async def download_proof(auditing: AuditingDep, index: _Index) -> Response:
    """Give the tlog-proof as a file, for anybody's verifier."""
    try:
        entry = await auditing.log.entry(auditing.granted, index)
    except CallRefused as refused:
        return auditing.purpose_again(refused)
    name = f'attachment; filename="entry-{index}.tlog-proof"'
    return PlainTextResponse(entry["proof"], headers={"Content-Disposition": name})
