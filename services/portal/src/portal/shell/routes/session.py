"""The portal's guard: a page needs a session, a form its token, a post one of our own pages."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request
from starlette.responses import Response

from common.access import Granted
from common.problems import Problem
from common.web.guard import anyone
from common.web.provided import gathered, provided
from portal.context import Context
from portal.depends import ContextDep, guard
from portal.shell.model import Session
from portal.shell.ports import ShellPorts
from portal.shell.routes.unkept import FIELDS

OWN_SESSION: Final = "a session cookie decides, not a token; see portal.shell.routes.session"
ANYONE: Final = anyone(OWN_SESSION)
_SIGN_IN_AGAIN: Final = frozenset({"insufficient-scope", "step-up-required"})


class SignInNeeded(Exception):
    """Nobody is signed in here, or the visit is over."""


ShellDep = Annotated[ShellPorts, Depends(provided(ShellPorts))]


@dataclass(frozen=True, slots=True)
class Cookie:
    """The reference to a visit: 256 random bits, nothing else."""

    request: Request
    context: Context

    @property
    def name(self) -> str:
        """`__Host-hub` over TLS, a plain name on loopback, where browsers refuse the prefix."""
        return "__Host-hub" if self.context.secure else "hub"

    @property
    def value(self) -> str:
        """Return the reference this request carries, empty without one."""
        return self.request.cookies.get(self.name, "")

    def set(self, response: Response, value: str) -> None:
        """Give the browser a reference."""
        # Lax, because the way back from sign-in is a navigation from another site in deployments
        # where identity has its own.
        response.set_cookie(
            self.name,
            value,
            path="/",
            secure=self.context.secure,
            httponly=True,
            samesite="lax",
        )

    def forget(self, response: Response) -> None:
        """Take the reference from the browser."""
        response.delete_cookie(
            self.name, path="/", secure=self.context.secure, httponly=True, samesite="lax"
        )


async def _cookie(request: Request, context: ContextDep) -> Cookie:
    return Cookie(request, context)


CookieDep = Annotated[Cookie, Depends(_cookie)]


def new_cookie() -> str:
    """Make a fresh reference."""
    return secrets.token_urlsafe(32)


async def _found(cookie: Cookie, shell: ShellPorts, *, used: bool) -> Session | None:
    if not cookie.value:
        return None
    return await shell.sessions.find(cookie.value, cookie.context.clock.now(), used=used)


async def session_if_any(cookie: CookieDep, shell: ShellDep) -> Session | None:
    """Return the session of this request's cookie, if there is one and it is not over."""
    return await _found(cookie, shell, used=True)


async def visit(request: Request, cookie: CookieDep, shell: ShellDep) -> Session:
    """Return the session of this request. Raises SignInNeeded."""
    return _entered(request, await _found(cookie, shell, used=True))


async def watched(request: Request, cookie: CookieDep, shell: ShellDep) -> Session:
    """Return the session of a page that asks by itself. It ends as if nobody had asked.

    Raises SignInNeeded.
    """
    return _entered(request, await _found(cookie, shell, used=False))


def _entered(request: Request, session: Session | None) -> Session:
    if session is None:
        raise SignInNeeded
    request.state.visit = session  # for the layout, also of an error page
    return session


MaybeSessionDep = Annotated[Session | None, Depends(session_if_any)]
SIGNED_IN: Final = Depends(visit)
"""The dependency of a page that needs a visit and no more."""
SessionDep = Annotated[Session, SIGNED_IN]
WatchedDep = Annotated[Session, Depends(watched)]


def may(action: str, *, watching: bool = False) -> Any:
    """Make the dependency that proves this person may do it, as identity granted at sign-in.

    A page that asks by itself is `watching`.

    Raises Problem for a person who may not.
    """

    async def check(
        session: Annotated[Session, Depends(watched if watching else visit)], context: ContextDep
    ) -> Granted:
        return guard.permit(action, session.principal, at=context.clock.now())

    return Depends(check)


def may_after_sign_in(action: str) -> Any:
    """Make the dependency for what a second sign-in gives: None means that it is due.

    Whoever has not the role is told no more than that.

    Raises Problem(forbidden).
    """

    async def check(session: SessionDep, context: ContextDep) -> Granted | None:
        guard.demand_role(action, session.principal)
        try:
            return guard.permit(action, session.principal, at=context.clock.now())
        except Problem as problem:
            if problem.code not in _SIGN_IN_AGAIN:
                raise
            return None

    return Depends(check)


async def _form(request: Request, session: SessionDep, context: ContextDep) -> dict[str, str]:
    """Read the posted form, if it came from our own page with the visit's token.

    Raises Problem(forbidden), and Problem(malformed-request) for what no form of ours sends.
    """
    if not from_our_page(request, context):
        raise Problem("forbidden")
    try:
        body = (await request.body()).decode("utf-8", "strict")
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=FIELDS))
    except ValueError:  # no UTF-8, or more fields than any form of ours has
        raise Problem("malformed-request") from None
    if not secrets.compare_digest(fields.get("csrf", "").encode(), session.csrf.encode()):
        raise Problem("forbidden")
    return fields


POSTED: Final = Depends(_form)
"""The dependency of a post whose fields are not read."""
FormDep = Annotated[dict[str, str], POSTED]


@dataclass(frozen=True, slots=True)
class Drafts:
    """What the person had written before signing in again."""

    session: SessionDep
    cookie: CookieDep
    shell: ShellDep

    def written(self, place: str) -> Mapping[str, str]:
        """Return what was written for this page."""
        return self.session.written(place)

    async def sent(self, place: str) -> None:
        """Drop it once it was sent, so that it does not stand in the form as if it was not."""
        if self.session.written(place):
            bare = replace(self.session, draft=None)
            await self.shell.sessions.amend(self.cookie.value, bare)


DraftsDep = Annotated[Drafts, Depends(gathered(Drafts))]


def from_our_page(request: Request, context: Context) -> bool:
    """Check Sec-Fetch-Site, or Origin from browsers that do not send it (ASVS 5.0 section 3.5)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    base = urlsplit(context.base_url)
    return request.headers.get("origin") == f"{base.scheme}://{base.netloc}"
