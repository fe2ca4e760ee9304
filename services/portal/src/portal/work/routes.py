"""Routes of the work list and of one delivery."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
from hubformats.wording import ANSWERS, DUTIES
from hubformats.wording import UNCHECKED as WHY_UNCHECKED
from portal.depends import ContextDep
from portal.shell.model import CallRefused, Session
from portal.shell.routes.layout import ShowDep, see_other
from portal.shell.routes.session import ANYONE, POSTED, FormDep, SessionDep, WatchedDep, may
from portal.work import use_cases
from portal.work.model import DONE, AuditBacklog, KeysKeptElsewhere, Opened, delay_lines
from portal.work.ports import WorkPorts
from portal.work.rules.shown import held_back, names_referrer, reasons, risk_level, sections, strip

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

    def withdrawal(
        self, opened: Opened, session: Session, typed: Mapping[str, str], errors: Mapping[str, str]
    ) -> Response:
        """Say what was taken back, and ask what was done with it."""
        now, standing = self.context.clock.now(), opened.standing
        return self.show(
            "work/withdrawal.html",
            422 if errors else 200,
            delivery_id=standing.delivery_id,
            content=opened.delivery.verdict.content,
            standing=standing,
            overdue=standing.overdue(now),
            may_answer=session.grantings.allows("disclosure.acknowledge"),
            duties=DUTIES,
            answers=ANSWERS,
            typed=typed,
            errors={name: {"text": text} for name, text in errors.items()},
            summary=[{"text": text, "href": f"#{name}"} for name, text in errors.items()],
        )

    def not_shown(self, reason: Exception) -> Response:
        """Say why a delivery is not shown here. Raises what a plain page says better."""
        if isinstance(reason, CallRefused):
            if reason.code != UNCHECKED:
                raise reason
            return self.show("work/unchecked.html", reason.status, why=WHY_UNCHECKED)
        if isinstance(reason, PackageRefused | EnvelopeRefused):
            return self.show("work/not_verified.html", code=reason.code)
        return self.show("work/own_system.html")


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
    deliveries = work.ports.deliveries_for(session)
    try:
        opened = await use_cases.open_for(
            work.context, work.ports, granted, deliveries, str(delivery_id)
        )
    except _NOT_SHOWN as reason:
        return work.not_shown(reason)
    content, today = opened.delivery.verdict.content, london_day(work.context.clock.now())
    if content["kind"] == "withdrawal":
        return work.withdrawal(opened, session, {}, {})
    return work.show(
        "work/delivery.html",
        delivery_id=str(delivery_id),
        content=content,
        verdict=opened.delivery.verdict,
        standing=opened.standing,
        known=opened.known,
        urgent=opened.known.urgent or opened.known.promised,
        may_accept=session.grantings.allows("disclosure.acknowledge"),
        strip=strip(content.get("safeContact"), today),
        sections=sections(content, today),
        risk=risk_level(content),
        held_back=held_back(content),
        referrer=names_referrer(content),
        reasons=reasons(content),
    )


@router.post("/deliveries/{delivery_id}/accept", dependencies=[POSTED])
async def accept_delivery(
    work: WorkDep, delivery_id: UUID, session: SessionDep, granted: Accepting, read: Reading
) -> Response:
    """Accept: sign a receipt for exactly what was delivered, then back to the page."""
    deliveries = work.ports.deliveries_for(session)
    try:
        await use_cases.accept(
            work.context, work.ports, granted, read, deliveries, str(delivery_id)
        )
    except _NOT_SHOWN as reason:
        return work.not_shown(reason)
    return see_other(f"/deliveries/{delivery_id}")


@router.post("/deliveries/{delivery_id}/answer")
async def answer_withdrawal(
    work: WorkDep,
    delivery_id: UUID,
    session: SessionDep,
    typed: FormDep,
    granted: Accepting,
    read: Reading,
) -> Response:
    """Answer a withdrawal: stopped and deleted, or kept under a named duty; then the page again."""
    deliveries = work.ports.deliveries_for(session)
    said = (typed.get("answer", ""), typed.get("duty", ""))
    wrong = use_cases.problems(*said)
    if not wrong:
        await use_cases.answer(work.ports, granted, deliveries, str(delivery_id), said)
        return see_other(f"/deliveries/{delivery_id}")
    try:
        opened = await use_cases.open_for(
            work.context, work.ports, read, deliveries, str(delivery_id)
        )
    except _NOT_SHOWN as reason:
        return work.not_shown(reason)
    return work.withdrawal(opened, session, typed, wrong)
