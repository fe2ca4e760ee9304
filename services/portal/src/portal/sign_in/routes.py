"""Routes to come in and to leave: the start page, sign-in, a second one, its way back, sign-out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from common.problems import Problem
from common.web.provided import provided
from common.web.rates import Budgets
from portal.depends import ContextDep, guard
from portal.shell.model import Draft, Session
from portal.shell.routes.failures import sign_in_refused
from portal.shell.routes.layout import Show, ShowDep, see_other
from portal.shell.routes.screens import gone
from portal.shell.routes.session import (
    ANYONE,
    POSTED,
    CookieDep,
    FormDep,
    MaybeSessionDep,
    SessionDep,
    ShellDep,
    from_our_page,
    new_cookie,
)
from portal.shell.routes.unkept import FIELDS, fits, page_of
from portal.sign_in import use_cases
from portal.sign_in.model import Callback, SignInFailed
from portal.sign_in.ports import SignInPorts

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])

SignInDep = Annotated[SignInPorts, Depends(provided(SignInPorts))]
BudgetsDep = Annotated[Budgets, Depends(provided(Budgets))]
QUOTAS: Final = {"sign-in": 600, "again": 60}
"""Sign-ins begun in a minute: from one address, and by one person who is signed in.

Identity allows the portal 6,000 for all its visitors together, which no one address may use up.
An office, or all behind a proxy, count as one address.
"""
_Parameter = Annotated[str, Query(max_length=2_000)]
_KEPT: Final = "kept."
"""Starts the name of a field that waits while its writer signs in again."""
_PLACE: Final = re.compile(r"(?:/[a-z0-9][a-z0-9-]{0,63}){1,5}")
_STILL_IN: Final = (
    "Nothing was done and you are still signed in. Go back, and try again in a minute. If somebody "
    "is in danger, call 999."
)


@dataclass(frozen=True, slots=True)
class FreshAct:
    """An act for which one signs in again: its action, the page it is done on, and why."""

    action: str
    place: str
    why: str

    def ask(
        self, show: Show, typed: Mapping[str, str] | None = None, message: str = ""
    ) -> Response:
        """Ask to sign in again. What was `typed` waits, and `message` says what was not done."""
        return show(
            "sign_in/again.html",
            401 if message else 200,
            action=self.action,
            place=self.place,
            why=self.why,
            kept=typed or {},
            message=message,
        )


async def _callback(
    code: _Parameter = "", state: _Parameter = "", iss: _Parameter = ""
) -> Callback:
    return Callback(code, state, iss)


async def _counted(request: Request, context: ContextDep, budgets: BudgetsDep) -> None:
    """Count a sign-in begun on our page; another site's page must not spend its visitors' share."""
    if from_our_page(request, context):
        await _spend(budgets, "sign-in", request.client.host if request.client else "")


async def _counted_again(session: SessionDep, budgets: BudgetsDep) -> None:
    await _spend(budgets, "again", session.person.id)


async def _spend(budgets: Budgets, name: str, key: str) -> None:
    """Count one. Raises Problem(rate-limited)."""
    if wait := await budgets.spend(name, key):
        raise Problem("rate-limited", headers={"Retry-After": str(wait)})


@router.get("/")
async def show_start(session: MaybeSessionDep, show: ShowDep) -> Response:
    """Show the start page, or lead to the person's first screen when they are signed in."""
    if session is not None:
        return see_other(session.person.first_screen)
    return show("shell/start.html")


@router.post("/sign-in", dependencies=[Depends(_counted)])
async def begin_sign_in(
    request: Request, cookie: CookieDep, shell: ShellDep, ports: SignInDep, show: ShowDep
) -> Response:
    """Push the request to identity and send the browser there.

    What was written when the visit had ended waits, sealed, for the same person.
    """
    if not from_our_page(request, cookie.context):
        text = "That request did not come from one of our pages."
        heading = "Start again from this site"
        return show("shell/problem.html", 403, heading=heading, text=text)
    try:
        redirect = await ports.authorization.begin(draft=await _draft_of_ended(request))
    except SignInFailed:
        text = "Try again in a minute. If it goes on, call the hub's support."
        return not_available(show, text)
    fresh = new_cookie()
    await shell.sessions.begin(fresh, redirect.pending)
    answer = see_other(redirect.location)
    cookie.set(answer, fresh)
    return answer


def not_available(show: Show, text: str) -> Response:
    """Say that identity does not answer."""
    return show("shell/problem.html", 503, heading="Sign-in is not available", text=text)


@router.post("/sign-in/again", dependencies=[Depends(_counted_again)])
async def sign_in_again(
    session: SessionDep,
    typed: FormDep,
    cookie: CookieDep,
    shell: ShellDep,
    ports: SignInDep,
    show: ShowDep,
) -> Response:
    """Push a sign-in that brings what an act asks for (RFC 9470).

    What was written waits, sealed, for the same person.
    """
    asked = _asked(typed.get("action", ""), session)
    try:
        redirect = await ports.authorization.begin(asked, _draft(session, typed))
    except SignInFailed:
        return not_available(show, _STILL_IN)
    fresh = new_cookie()
    await shell.sessions.begin(fresh, redirect.pending)
    await shell.sessions.end(cookie.value)
    answer = see_other(redirect.location)
    cookie.set(answer, fresh)
    answer.background = BackgroundTask(shell.revocation.revoke, session)
    return answer


def _asked(action: str, session: Session) -> Mapping[str, str]:
    """Say what the sign-in must bring. Raises Problem for an act that is not this person's."""
    try:
        guard.demand_role(action, session.principal)
        return guard.sign_in_for(action)
    except ValueError:
        raise Problem("forbidden") from None


def _draft(session: Session, typed: Mapping[str, str]) -> Draft:
    """Keep what was written, and the page to go on with: one of ours, or the person's first."""
    place = typed.get("place", "")
    if not _PLACE.fullmatch(place):
        place = session.person.first_screen
    return Draft(session.person.id, place, _kept(typed))


async def _draft_of_ended(request: Request) -> Draft | None:
    """Keep what a form of an ended visit was sent with. Its token tells whose it was."""
    try:
        body = (await request.body()).decode("utf-8", "strict")
        typed = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError:
        return None
    place, fields = typed.get("place", ""), _kept(typed)
    if not page_of(place) or not fits(typed):
        return None
    return Draft(typed.get("writer", ""), place, fields)


def _kept(typed: Mapping[str, str]) -> Mapping[str, str]:
    return {
        name.removeprefix(_KEPT): value for name, value in typed.items() if name.startswith(_KEPT)
    }


@router.get("/sign-in/callback")
async def complete_sign_in(
    show: ShowDep,
    cookie: CookieDep,
    shell: ShellDep,
    ports: SignInDep,
    back: Annotated[Callback, Depends(_callback)],
    error: _Parameter = "",
) -> Response:
    """Take the way back from identity: check, exchange, and begin a visit under a new cookie."""
    context = cookie.context
    pending = await shell.sessions.take(cookie.value, context.clock.now()) if cookie.value else None
    if error == "access_denied":
        return sign_in_refused(show.request)
    if pending is None or error or not back.code:
        return _not_signed_in(show)
    try:
        session = await use_cases.complete(context, ports, pending, back)
    except SignInFailed as failed:
        if failed.code == "unauthorized_client":
            return sign_in_refused(show.request)
        return _not_signed_in(show)
    fresh = new_cookie()
    await shell.sessions.put(fresh, session)
    answer = see_other(
        session.person.first_screen if session.draft is None else session.draft.place
    )
    cookie.set(answer, fresh)
    return answer


@router.post("/sign-out", dependencies=[POSTED])
async def sign_out(session: SessionDep, cookie: CookieDep, shell: ShellDep) -> Response:
    """End the visit and everything it was given."""
    await shell.sessions.end(cookie.value)
    await shell.revocation.revoke(session)
    return gone(cookie, see_other("/"))


@router.post("/stay", status_code=204, dependencies=[POSTED])
async def stay() -> Response:
    """Keep the visit: finding it for this request has already marked it as used."""
    return Response(status_code=204)


def _not_signed_in(show: Show) -> Response:
    text = "The sign-in was not finished or took too long. Start again."
    return show("shell/problem.html", 400, heading="You are not signed in", text=text)
