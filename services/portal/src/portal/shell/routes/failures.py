"""Errors as pages: plain English, what to do next, and never what was typed or why in detail."""

from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from common.database import DatabaseStopped, DatabaseUnavailable
from common.problems import Problem
from common.web.provided import take
from portal.context import Context
from portal.shell.model import CallRefused, NoAnswer, TokenRefused
from portal.shell.ports import ShellPorts
from portal.shell.routes.layout import Pages
from portal.shell.routes.session import Cookie, SignInNeeded, from_our_page, session_if_any
from portal.shell.routes.unkept import (
    NOT_KEPT,
    SIGN_IN,
    UNKNOWN,
    has_steps,
    is_act,
    page_of,
    unkept,
)

_WORDS: Final[dict[int, tuple[str, str]]] = {
    400: ("That did not work", "Go back and try again."),
    403: (
        "You cannot do this",
        "Your role does not include this. If it should, ask your agency's administrator.",
    ),
    404: (
        "Page not found",
        "There is nothing here that you may see. If you typed the address, check it.",
    ),
    405: ("Page not found", "There is nothing here that you may see."),
    409: ("Somebody was there before you", "This changed while you were looking. Open it again."),
    413: (
        "That is too much",
        (
            "Nothing was kept or done. Go back: what you wrote may still stand there. Keep it in "
            "your own records too, shorten it and try again. If somebody is in danger now, call "
            "999."
        ),
    ),
    422: ("That did not work", "Go back and check what you entered."),
    429: ("Too many requests", "Wait a minute and try again."),
}
_AWAY: Final = (
    "The service is not available now",
    (
        "Try again in a minute. If it goes on, call the hub's support on 01632 960000, any hour. "
        "If somebody is in danger now, call 999."
    ),
)


REFUSED: Final = (
    "Sign-in was refused",
    (
        "You are not signed in, and trying again will not change that unless you cancelled it "
        "yourself. "
        "Your agency's access may be suspended, or yours may have ended. Call the hub's support "
        "on 01632 960000, any hour."
    ),
)
"""What identity says for a suspended agency, an ended account and a cancelled sign-in alike."""
_TRY_AGAIN: Final = frozenset({"unreachable", "temporarily_unavailable"})
"""Identity cannot be asked, or was asked too often: neither ends a visit."""


def page(request: Request, template: str, status: int, **facts: object) -> Response:
    """Render an error page, where no dependency can stand."""
    return take(request, Pages).show(request, template, status, **facts)


def sign_in_refused(request: Request) -> Response:
    """Say whom to ring, and offer no way round in a circle."""
    heading, text = REFUSED
    return page(request, "shell/problem.html", 403, heading=heading, text=text, onward=False)


async def error_page(request: Request, problem: Problem) -> Response | None:
    """Render a problem raised in a route. Service endpoints keep their JSON."""
    if request.url.path.startswith(("/v1/", "/healthz", "/readyz", "/metrics", "/openapi")):
        return None
    await _known(request)
    # An id that cannot exist and one that is another agency's are one answer, to the byte.
    malformed_address = problem.code == "validation-failed" and request.method == "GET"
    if is_act(request) and (problem.status >= 500 or problem.status == 429):
        unknown = problem.status == 500 or (problem.status > 500 and has_steps(request))
        answer = await _not_done(request, problem.status, unknown=unknown)
    else:
        answer = words(request, 404 if malformed_address else problem.status)
    if wait := problem.headers.get("Retry-After"):
        answer.headers["Retry-After"] = wait
    return answer


async def _known(request: Request) -> None:
    """Find the visit, for the header of a page behind which no route stands."""
    cookie = Cookie(request, take(request, Context))
    if getattr(request.state, "visit", None) is not None or not cookie.value:
        return
    try:
        session = await session_if_any(cookie, take(request, ShellPorts))
    except (DatabaseStopped, DatabaseUnavailable):
        return
    if session is not None:
        request.state.visit = session


def words(request: Request, status: int) -> Response:
    """Render the page for a status."""
    heading, text = _WORDS.get(status, _AWAY)
    place = page_of(request.url.path) if status in {404, 405} else ""
    onward = place if place != request.url.path else ""
    return page(request, "shell/problem.html", status, heading=heading, text=text, place=onward)


def register(app: FastAPI) -> None:
    """Answer with pages what other services refuse, and a visit that is over."""
    app.add_exception_handler(SignInNeeded, _again)
    app.add_exception_handler(CallRefused, _refused)
    app.add_exception_handler(TokenRefused, _no_token)
    app.add_exception_handler(NoAnswer, _no_answer)


async def _again(request: Request, _: Exception) -> Response:
    if not is_act(request):
        return page(request, "shell/start.html", 401, again=True)
    sent = await unkept(request, ours=from_our_page(request, take(request, Context)))
    return page(request, "shell/start.html", 401, again=True, unkept=sent, said=SIGN_IN)


async def _not_done(request: Request, status: int, *, unknown: bool) -> Response:
    """Say that an act was not kept, or that it is not known. What was written stands there."""
    heading = "It is not known whether it was kept" if unknown else "Nothing was kept"
    return page(
        request,
        "shell/unkept.html",
        status,
        heading=heading,
        said=UNKNOWN if unknown else NOT_KEPT,
        unkept=await unkept(request, ours=from_our_page(request, take(request, Context))),
        unknown=unknown,
    )


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, CallRefused) and error.code == "agency-suspended":
        return sign_in_refused(request)
    status = error.status if isinstance(error, CallRefused) else 502
    status = 503 if status == 401 else status
    if is_act(request) and (status >= 500 or status == 429):
        unknown = status not in {429, 503} or has_steps(request)
        return await _not_done(request, status, unknown=unknown)
    return words(request, status)


async def _no_token(request: Request, error: Exception) -> Response:
    if isinstance(error, TokenRefused) and error.code in _TRY_AGAIN:
        if is_act(request):  # the visit goes on
            return await _not_done(request, 503, unknown=has_steps(request))
        return words(request, 503)
    if isinstance(error, TokenRefused) and error.code == "unauthorized_client":
        return sign_in_refused(request)
    return await _again(request, error)


async def _no_answer(request: Request, error: Exception) -> Response:
    if is_act(request):
        unread = isinstance(error, NoAnswer) and error.reading
        return await _not_done(request, 503, unknown=not unread or has_steps(request))
    return words(request, 503)
