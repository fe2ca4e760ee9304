"""Routes to come in and to leave: start page, sign-in, its way back, sign-out, and "Hide this screen"."""

import secrets
from dataclasses import replace
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from portal.api.visit import (
    ANYONE,
    Visit,
    Visiting,
    cookie_name,
    desk,
    form,
    from_our_page,
    new_cookie,
    page,
    see_other,
    sessions,
    set_cookie,
)
from portal.clients.sign_in import Authorizer, SignInFailed
from portal.domain import Person, Session

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])

_CLEAR: Final = '"cache", "cookies", "storage"'
_Parameter = Annotated[str, Query(max_length=2_000)]


@router.get("/")
async def show_start(request: Request) -> Response:
    """The start page, or the person's first screen when they are signed in."""
    cookie = request.cookies.get(cookie_name(request), "")
    session = await sessions(request).find(cookie, desk(request).clock.now()) if cookie else None
    if session is not None:
        return see_other(_first_screen(session.person))
    return page(request, "start.html")


@router.post("/sign-in")
async def begin_sign_in(request: Request) -> Response:
    """Push the request to identity and send the browser there."""
    if not from_our_page(request):
        return page(
            request, "problem.html", 403, heading="Start again from this site", text="That request did not come from one of our pages."
        )
    authorizer: Authorizer = request.app.state.authorizer
    try:
        redirect = await authorizer.begin()
    except SignInFailed:
        return page(
            request,
            "problem.html",
            503,
            heading="Sign-in is not available",
            text="Try again in a minute. If it goes on, call the hub's support.",
        )
    cookie = new_cookie()
    await sessions(request).begin(cookie, redirect.pending)
    answer = see_other(redirect.location)
    set_cookie(request, answer, cookie)
    return answer


@router.get("/sign-in/callback")
async def complete_sign_in(
    request: Request, code: _Parameter = "", state: _Parameter = "", iss: _Parameter = "", error: _Parameter = ""
) -> Response:
    """The way back from identity: check, exchange, and begin a visit under a new cookie."""
    at, authorizer = desk(request), request.app.state.authorizer
    before = request.cookies.get(cookie_name(request), "")
    pending = await sessions(request).take(before, at.clock.now()) if before else None
    if pending is None or error or not code:
        return _not_signed_in(request)
    try:
        grantings, _ = await authorizer.complete(pending, code=code, state=state, iss=iss, resource=request.app.state.settings.identity_url)
    except SignInFailed:
        return _not_signed_in(request)
    now = at.clock.now()
    nobody = Person(id="", name="", agency="", roles=())
    session = Session(
        id=b"", person=nobody, grantings=grantings, dpop_jwk=pending.dpop_jwk, csrf=secrets.token_urlsafe(32), created=now, seen=now
    )
    about = await at.hub_for(session).me()
    person = Person(id=about["id"], name=about["name"], agency=about["agency"], roles=tuple(about["roles"]))
    cookie = new_cookie()
    await sessions(request).put(cookie, replace(session, person=person))
    answer = see_other(_first_screen(person))
    set_cookie(request, answer, cookie)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, here: Visit = Visiting) -> Response:
    """End the visit and everything it was given."""
    await form(request, here.session)
    await _end(request, here.session)
    return _left(request, see_other("/"))


@router.get("/leave")
async def leave(request: Request) -> Response:
    """ "Hide this screen": works without a script and without a question asked; the visit is over before the answer leaves."""
    cookie = request.cookies.get(cookie_name(request), "")
    if cookie:
        await sessions(request).end(cookie)
    return _left(request, see_other(request.app.state.neutral_place))


@router.get("/hidden")
async def show_hidden(request: Request) -> Response:
    """Where "Hide this screen" leads unless a deployment names its own neutral page."""
    return page(request, "hidden.html")


@router.get("/accessibility")
async def show_accessibility(request: Request) -> Response:
    """The accessibility statement."""
    return page(request, "accessibility.html")


def _not_signed_in(request: Request) -> Response:
    return page(
        request, "problem.html", 400, heading="You are not signed in", text="The sign-in was not finished or took too long. Start again."
    )


def _first_screen(person: Person) -> str:
    return "/audit-log" if person.is_auditor else "/work"


async def _end(request: Request, session: Session) -> None:
    cookie = request.cookies.get(cookie_name(request), "")
    await sessions(request).end(cookie)
    await request.app.state.end_grants(session)


def _left(request: Request, answer: Response) -> Response:
    answer.delete_cookie(cookie_name(request), path="/", secure=cookie_name(request).startswith("__Host-"), httponly=True, samesite="lax")
    answer.headers["Clear-Site-Data"] = _CLEAR
    return answer
