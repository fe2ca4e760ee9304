"""Routes of the work list and of one delivery."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from common.access import Granted
from common.problems import Problem
from common.web.provided import gathered, provided
from hubformats.dates import london_day
from hubformats.envelope import EnvelopeRefused
from hubformats.package_proof import PackageRefused
from hubformats.wording import ANSWERS, COMPARE, DUTIES
from hubformats.wording import UNCHECKED as WHY_UNCHECKED
from portal.depends import ContextDep
from portal.shell.model import CallRefused, Session
from portal.shell.routes.layout import ShowDep, errors_shown, see_other
from portal.shell.routes.session import ANYONE, POSTED, FormDep, SessionDep, WatchedDep, may
from portal.work import use_cases
from portal.work.model.delivery import (
    CHOICES,
    CORRECTED,
    DONE,
    AuditBacklog,
    KeysKeptElsewhere,
    Opened,
    Standing,
    delay_lines,
    person_mark,
)
from portal.work.ports import Deliveries, WorkPorts
from portal.work.rules.shown import (
    held_back,
    names_referrer,
    outdated,
    reasons,
    risk_level,
    sections,
    strip,
)

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])

PROBLEMS: Final[Mapping[type[Exception], Callable[[Any], Problem]]] = {
    AuditBacklog: lambda _: Problem("audit-backlog"),
}
_NOT_SHOWN: Final = (KeysKeptElsewhere, PackageRefused, EnvelopeRefused, CallRefused)
UNCHECKED: Final = "deliveries-unchecked"
"""Sharing's word for: whether this may still be shown cannot be checked now."""


@dataclass(frozen=True, slots=True)
class Work:
    """What these routes work with."""

    context: ContextDep
    ports: Annotated[WorkPorts, Depends(provided(WorkPorts))]
    show: ShowDep

    async def list(self, session: Session, granted: Granted, *, still: bool) -> Response:
        """Render the list, and above it what has not left because the audit log is silent.

        The list itself is not shown while looks cannot be accounted for; what waits is.
        """
        deliveries, unchecked = self.ports.deliveries_for(session), ""
        delays = delay_lines(await deliveries.delays(granted))
        try:
            rows = await use_cases.work_list(self.context, self.ports, granted, deliveries)
        except CallRefused as refused:
            if refused.code == "audit-backlog":
                return self.show("work/no_list.html", delays=delays, still=still)
            if refused.code != UNCHECKED:
                raise
            unchecked = WHY_UNCHECKED
            rows = await use_cases.withdrawals(self.ports, granted, deliveries)
        done = [row for row in rows if row.state in DONE]
        waiting = [row for row in rows if row.state not in DONE]
        groups = [
            ("new", "To accept", "Nothing is waiting for you.", waiting),
            ("accepted", "Accepted", "Nothing accepted yet.", done),
        ]
        if unchecked:
            groups = [
                ("new", "Withdrawals to answer", "None is known.", waiting),
                ("accepted", "Withdrawals answered", "None is known.", done),
            ]
        return self.show(
            "work/work.html",
            groups=groups,
            still=still,
            opens_here=bool(self.ports.keys.opening(granted)),
            delays=delays,
            unchecked=unchecked,
        )

    def opened(
        self, opened: Opened, session: Session, typed: Mapping[str, str], errors: Mapping[str, str]
    ) -> Response:
        """Show a delivery, and ask what it asks for: to accept it, or an answer."""
        now, standing = self.context.clock.now(), opened.standing
        content = opened.delivery.verdict.content
        asked = {
            "delivery_id": standing.delivery_id,
            "content": content,
            "standing": standing,
            "overdue": standing.overdue(now),
            "may_answer": session.grantings.allows("disclosure.acknowledge"),
            "choices": CHOICES.get(content["kind"], {}),
            "duties": DUTIES,
            "answers": ANSWERS,
            "typed": typed,
            "known": opened.known,
            "mine": opened.known.accepted_by == person_mark(session.principal),
            **errors_shown(errors, "answer"),
        }
        status = 422 if errors else 200
        if content["kind"] == "withdrawal":
            return self.show("work/withdrawal.html", status, **asked)
        return self.show("work/delivery.html", status, **asked, **_facts(opened, london_day(now)))

    async def not_shown(
        self, granted: Granted, deliveries: Deliveries, delivery_id: str, reason: Exception
    ) -> Response:
        """Say why a delivery is not shown here. Raises what a plain page says better."""
        if isinstance(reason, CallRefused):
            if reason.code == UNCHECKED:
                return self.show("work/unchecked.html", reason.status, why=WHY_UNCHECKED)
            if reason.status != 404:
                raise reason
            found = await deliveries.standing(granted, delivery_id)
            if found.stands:
                raise reason
            return self.standing(delivery_id, found, 410)
        if isinstance(reason, PackageRefused | EnvelopeRefused):
            return self.show("work/not_verified.html", code=reason.code)
        listed = await deliveries.waiting(granted, withdrawals=True)
        taken_back = next((one for one in listed if one.delivery_id == delivery_id), None)
        return self.show("work/own_system.html", taken_back=taken_back)

    def standing(self, delivery_id: str, found: Standing, status: int = 200) -> Response:
        """Say whether a delivery still stands, since when not, and what is asked."""
        return self.show("work/standing.html", status, delivery_id=delivery_id, found=found)


def _facts(opened: Opened, today: date) -> dict[str, Any]:
    """Return what a delivery's page shows of its content, as it counts `today`."""
    content, known = opened.delivery.verdict.content, opened.known
    counts = content if known.newer_id is None else outdated(content)
    return {
        "verdict": opened.delivery.verdict,
        "urgent": known.urgent or known.promised or known.presses,
        "compare": COMPARE,
        "strip": strip(counts, today),
        "sections": sections(counts, today),
        "risk": risk_level(content),
        "held_back": held_back(content),
        "referrer": names_referrer(content),
        "reasons": reasons(content),
    }


WorkDep = Annotated[Work, Depends(gathered(Work))]
Reading = Annotated[Granted, may("read_deliveries")]
Accepting = Annotated[Granted, may("accept_delivery")]


@router.get("/work")
async def show_work(
    work: WorkDep, session: SessionDep, granted: Reading, still: bool = False
) -> Response:
    """Show what came for the person's agency: to accept first, then accepted.

    No names: they show only when a delivery is opened. `still` is for whom a list that changes by
    itself disturbs (WCAG 2.2.2).
    """
    return await work.list(session, granted, still=still)


@router.get("/work/renewed")
async def renew_work(
    work: WorkDep,
    session: WatchedDep,
    granted: Annotated[Granted, may("read_deliveries", watching=True)],
) -> Response:
    """Show the same list as the open page asks for it once a minute.

    A screen left alone at night shows what came, and still signs out.
    """
    return await work.list(session, granted, still=False)


@router.get("/deliveries/{delivery_id}")
async def show_delivery(
    work: WorkDep, delivery_id: UUID, session: SessionDep, granted: Reading
) -> Response:
    """Show one delivery, safe contact first. The look is in the audit log before the page is."""
    deliveries, asked = work.ports.deliveries_for(session), str(delivery_id)
    try:
        opened = await use_cases.open_for(work.context, work.ports, granted, deliveries, asked)
    except _NOT_SHOWN as reason:
        return await work.not_shown(granted, deliveries, asked, reason)
    return work.opened(opened, session, {}, {})


@router.get("/deliveries/{delivery_id}/standing")
async def show_standing(
    work: WorkDep,
    delivery_id: UUID,
    session: WatchedDep,
    granted: Annotated[Granted, may("read_deliveries", watching=True)],
) -> Response:
    """Say whether it still stands, as the open page asks once a minute.

    Nothing of the delivery is shown, so it is no look. The visit ends as if nobody had asked.
    """
    found = await work.ports.deliveries_for(session).standing(granted, str(delivery_id))
    return work.standing(str(delivery_id), found)


@router.post("/deliveries/{delivery_id}/accept", dependencies=[POSTED])
async def accept_delivery(
    work: WorkDep, delivery_id: UUID, session: SessionDep, granted: Accepting, read: Reading
) -> Response:
    """Accept: sign a receipt for exactly what was delivered, then back to the page."""
    deliveries, asked = work.ports.deliveries_for(session), str(delivery_id)
    try:
        await use_cases.accept(work.context, work.ports, granted, read, deliveries, asked)
    except _NOT_SHOWN as reason:
        return await work.not_shown(read, deliveries, asked, reason)
    return see_other(f"/deliveries/{delivery_id}")


@router.post("/deliveries/{delivery_id}/answer")
async def answer_delivery(
    work: WorkDep,
    delivery_id: UUID,
    session: SessionDep,
    typed: FormDep,
    granted: Accepting,
    read: Reading,
) -> Response:
    """Answer a withdrawal or correction; then the page again.

    Whoever corrected its record has accepted the correction, with a receipt.
    """
    deliveries, asked = work.ports.deliveries_for(session), str(delivery_id)
    said = (typed.get("answer", ""), typed.get("duty", ""))
    wrong = use_cases.problems(*said)
    try:
        if wrong:
            opened = await use_cases.open_for(work.context, work.ports, read, deliveries, asked)
            return work.opened(opened, session, typed, wrong)
        if said[0] == CORRECTED:
            await use_cases.accept(work.context, work.ports, granted, read, deliveries, asked)
        else:
            await use_cases.answer(work.ports, granted, deliveries, asked, said)
    except _NOT_SHOWN as reason:
        return await work.not_shown(read, deliveries, asked, reason)
    return see_other(f"/deliveries/{delivery_id}")
