"""The portal's own guard: every page beyond the start needs a session, every form its token, every
post our own page."""

import secrets
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from jinja2 import Environment
from starlette.responses import HTMLResponse, RedirectResponse, Response

from common.access import Granted, Operation, Principal, grant
from common.problems import Problem
from common.web import guard
from hubformats.clock import Clock
from portal.domain.visit import IDLE, Session
from portal.domain.wording import sentence
from portal.ports import Authorization, Hub, Sessions
from portal.usecases import PortalDesk

OWN_SESSION: Final = "a session cookie decides, not a token; see portal.api.visit"
_FIELDS: Final = 40


class SignInNeeded(Exception):
    """Nobody is signed in here, or the visit is over."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A signed-in request: who, and the hub as they may see it."""

    session: Session
    hub: Hub
    principal: Principal
    clock: Clock

    def granted(self, scope: str, operation: Operation) -> Granted:
        """Proof that this person may use `scope`, which identity granted at sign-in.

        Raises Problem(forbidden).
        """
        try:
            return grant(self.principal, scope=scope, operation=operation, at=self.clock.now())
        except ValueError:
            raise Problem("forbidden") from None


def cookie_name(request: Request) -> str:
    """`__Host-hub` wherever the portal is reached over TLS; a plain name on loopback, where
    browsers refuse the prefix.
    """
    secure = urlsplit(desk(request).base_url).scheme == "https"
    return "__Host-hub" if secure else "hub"


def set_cookie(request: Request, response: Response, value: str) -> None:
    """The reference to a visit: 256 random bits, nothing else."""
    name = cookie_name(request)
    # Lax, because the way back from sign-in is a navigation from another site in deployments where
    # identity has its own.
    response.set_cookie(
        name, value, path="/", secure=name.startswith("__Host-"), httponly=True, samesite="lax"
    )


def new_cookie() -> str:
    """A fresh reference."""
    return secrets.token_urlsafe(32)


def desk(request: Request) -> PortalDesk:
    """What every page works with."""
    return cast(PortalDesk, request.app.state.desk)


def sessions(request: Request) -> Sessions:
    """Where visits are kept."""
    return cast(Sessions, request.app.state.sessions)


def authorization(request: Request) -> Authorization:
    """The authorization server."""
    return cast(Authorization, request.app.state.authorization)


async def session_of(request: Request, *, used: bool = True) -> Session | None:
    """The session behind this request's cookie, if there is one and it is not over; `used` by a
    person, unless a page renews itself.
    """
    cookie = request.cookies.get(cookie_name(request), "")
    return (
        await sessions(request).find(cookie, desk(request).clock.now(), used=used)
        if cookie
        else None
    )


async def visit(request: Request) -> Visit:
    """The visit of this request. Raises SignInNeeded."""
    return await _visit(request, used=True)


async def watched(request: Request) -> Visit:
    """The visit of a page that asks by itself: it ends as if nobody had asked.

    Raises SignInNeeded.
    """
    return await _visit(request, used=False)


async def _visit(request: Request, *, used: bool) -> Visit:
    session = await session_of(request, used=used)
    if session is None:
        raise SignInNeeded
    request.state.visit = session
    return Visit(
        session,
        desk(request).hub_for(session),
        desk(request).principal(session),
        desk(request).clock,
    )


Visiting = Depends(visit)
Watching = Depends(watched)
ANYONE = guard.anyone(OWN_SESSION)


async def form(request: Request, session: Session | None) -> dict[str, str]:
    """The posted form, if it came from our own page with the visit's token.

    Raises Problem(forbidden).
    """
    if not from_our_page(request):
        raise Problem("forbidden")
    body = (await request.body()).decode("utf-8", "strict")
    fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_FIELDS))
    if session is not None and not secrets.compare_digest(
        fields.get("csrf", "").encode(), session.csrf.encode()
    ):
        raise Problem("forbidden")
    return fields


def from_our_page(request: Request) -> bool:
    """Sec-Fetch-Site, or Origin from browsers that do not send it (ASVS 5.0 section 3.5)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    base = urlsplit(desk(request).base_url)
    return request.headers.get("origin") == f"{base.scheme}://{base.netloc}"


def page(request: Request, template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    """Render a page with what every page needs."""
    pages = cast(Environment, request.app.state.pages)
    session: Session | None = getattr(request.state, "visit", None)
    shared = {
        "person": None if session is None else session.person,
        "csrf": "" if session is None else session.csrf,
        "agency": ""
        if session is None
        else desk(request).agencies.get(session.person.agency) or sentence(session.person.agency),
        "demo": request.app.state.settings.demo,
        "idle_minutes": int(IDLE.total_seconds() // 60),
        "now": desk(request).clock.now(),
        "here": request.url.path,
        "assets": request.app.state.assets_version,
    }
    return HTMLResponse(pages.get_template(template).render(**shared, **facts), status)


def see_other(place: str) -> RedirectResponse:
    """Post, redirect, get: 303, never 307."""
    return RedirectResponse(place, 303)
