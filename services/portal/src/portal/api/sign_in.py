"""Routes to come in and to leave: start page, sign-in, its way back, sign-out, and "Hide this
screen"."""

import secrets
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from common.database import DatabaseStopped, DatabaseUnavailable
from portal.api.failures import sign_in_refused
from portal.api.visit import (
    ANYONE,
    Visit,
    Visiting,
    authorization,
    cookie_name,
    desk,
    form,
    from_our_page,
    new_cookie,
    page,
    see_other,
    session_of,
    sessions,
    set_cookie,
)
from portal.domain.visit import Person, Session
from portal.ports import SignInFailed

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])

_CLEAR: Final = '"cache", "cookies", "storage"'
_Parameter = Annotated[str, Query(max_length=2_000)]


@router.get("/")
async def show_start(request: Request) -> Response:
    """The start page, or the person's first screen when they are signed in."""
    session = await session_of(request)
    if session is not None:
        return see_other(session.person.first_screen)
    return page(request, "start.html")


@router.post("/sign-in")
async def begin_sign_in(request: Request) -> Response:
    """Push the request to identity and send the browser there."""
    if not from_our_page(request):
        text = "That request did not come from one of our pages."
        return page(request, "problem.html", 403, heading="Start again from this site", text=text)
    try:
        redirect = await authorization(request).begin()
    except SignInFailed:
        text = "Try again in a minute. If it goes on, call the hub's support."
        return page(request, "problem.html", 503, heading="Sign-in is not available", text=text)
    cookie = new_cookie()
    await sessions(request).begin(cookie, redirect.pending)
    answer = see_other(redirect.location)
    set_cookie(request, answer, cookie)
    return answer


@router.get("/sign-in/callback")
async def complete_sign_in(
    request: Request,
    code: _Parameter = "",
    state: _Parameter = "",
    iss: _Parameter = "",
    error: _Parameter = "",
) -> Response:
    """The way back from identity: check, exchange, and begin a visit under a new cookie."""
    at = desk(request)
    before = request.cookies.get(cookie_name(request), "")
    pending = await sessions(request).take(before, at.clock.now()) if before else None
    if error == "access_denied":
        return sign_in_refused(request)
    if pending is None or error or not code:
        return _not_signed_in(request)
    try:
        grantings = await authorization(request).complete(pending, code=code, state=state, iss=iss)
    except SignInFailed as failed:
        return (
            sign_in_refused(request)
            if failed.code == "unauthorized_client"
            else _not_signed_in(request)
        )
    now = at.clock.now()
    nobody = Person(id="", name="", agency="", roles=())
    session = Session(
        id=b"",
        person=nobody,
        grantings=grantings,
        dpop_jwk=pending.dpop_jwk,
        csrf=secrets.token_urlsafe(32),
        created=now,
        seen=now,
    )
    about = await at.hub_for(session).me()
    person = Person(
        id=about["id"], name=about["name"], agency=about["agency"], roles=tuple(about["roles"])
    )
    cookie = new_cookie()
    # What somebody else had written at this browser is dropped, not shown.
    draft = (
        pending.draft if pending.draft is not None and pending.draft.person == person.id else None
    )
    await sessions(request).put(cookie, replace(session, person=person, draft=draft))
    answer = see_other(person.first_screen if draft is None else draft.place)
    set_cookie(request, answer, cookie)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, here: Visit = Visiting) -> Response:
    """End the visit and everything it was given."""
    await form(request, here.session)
    await sessions(request).end(request.cookies.get(cookie_name(request), ""))
    await authorization(request).revoke(here.session)
    return _left(request, see_other("/"))


@router.post("/stay", status_code=204)
async def stay(request: Request, here: Visit = Visiting) -> Response:
    """Keep the visit: finding it for this request has already marked it as used."""
    await form(request, here.session)
    return Response(status_code=204)


@router.get("/leave")
async def leave(request: Request) -> Response:
    """ "Hide this screen": works without a script and without a question asked; the visit is over
    before the answer leaves.
    """
    answer = _left(request, see_other(request.app.state.neutral_place))
    try:
        session = await session_of(request)
        if session is not None:
            await sessions(request).end(request.cookies.get(cookie_name(request), ""))
            # Afterwards, so that a slow authorization server cannot keep the screen visible.
            answer.background = BackgroundTask(authorization(request).revoke, session)
    except (DatabaseStopped, DatabaseUnavailable):
        return answer  # the browser forgets its cookie all the same, and nobody else has it
    return answer


@router.get("/no-screens")
async def show_no_screens(request: Request, here: Visit = Visiting) -> Response:
    """For a role whose work is done with other tools."""
    return page(request, "no_screens.html")


@router.get("/hidden")
async def show_hidden(request: Request) -> Response:
    """Where "Hide this screen" leads unless a deployment names its own neutral page."""
    return page(request, "hidden.html")


@router.get("/accessibility")
async def show_accessibility(request: Request) -> Response:
    """The accessibility statement."""
    return page(request, "accessibility.html")


def _not_signed_in(request: Request) -> Response:
    text = "The sign-in was not finished or took too long. Start again."
    return page(request, "problem.html", 400, heading="You are not signed in", text=text)


def _left(request: Request, answer: Response) -> Response:
    answer.delete_cookie(
        cookie_name(request),
        path="/",
        secure=cookie_name(request).startswith("__Host-"),
        httponly=True,
        samesite="lax",
    )
    answer.headers["Clear-Site-Data"] = _CLEAR
    return answer
