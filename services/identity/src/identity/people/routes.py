"""The front channel: the sign-in page and its completion, and who is signed in.

The page has no script and no cookie, and nothing is stored before the click.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import APIRouter, Query, Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from common.access import Granted
from common.problems import Problem
from common.web.app import Answers
from common.web.edge import inner_path
from common.web.guard import anyone
from common.web.rates import Budgets
from hubformats.visible_text import visible
from identity.depends import BootstrapDep, guard
from identity.oauth.ports import OAuthTx
from identity.oauth.routes import AuthorityDep, BudgetsDep, StoreDep, peer, respond
from identity.oauth.use_cases.authority import Authority
from identity.oauth.use_cases.exchange import Answer, BadForm, form_of
from identity.people.model import PersonUnknown, SignInGone, SignInRefused, Waiting
from identity.people.schemas import PersonOut
from identity.people.use_cases import cancel, complete, waiting

router = APIRouter(
    tags=["oauth"],
    dependencies=[anyone("people are not signed in yet", any_query=True)],
    include_in_schema=False,
)

signed_in = APIRouter(prefix="/v1", tags=["agencies"])
PROBLEMS: Final[Answers] = {PersonUnknown: lambda _error: Problem("not-found")}
_Parameter = Annotated[str, Query(max_length=300)]
_KNOWN: Final = ("client_id", "request_uri", "person", "cancel")
_FOLDER: Final = Path(__file__).parent / "templates"
_PAGES: Final = Environment(
    loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined
)
_STYLE: Final = (_FOLDER / "sign_in.css").read_text()
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


@router.get("/authorize")
async def show_sign_in(
    request: Request,
    authority: AuthorityDep,
    store: StoreDep,
    budgets: BudgetsDep,
    client_id: _Parameter = "",
    request_uri: _Parameter = "",
) -> Response:
    """Who asks, and how one may sign in. Reading it uses nothing up, so back and refresh work."""
    try:
        form_of([each for each in request.query_params.multi_items() if each[0] in _KNOWN])
        found = await store.read(lambda tx: waiting(tx, client_id, request_uri))
    except (BadForm, SignInGone):
        return await _gone(request, budgets)
    wait = await _over_quota(budgets, found)
    if wait:
        return _later(wait)
    return _sign_in_page(authority, found, client_id, request_uri)


@router.post("/authorize")
async def complete_sign_in(
    request: Request, authority: AuthorityDep, store: StoreDep, budgets: BudgetsDep
) -> Response:
    """A click on the page. Takes it from our own page only."""
    if not _from_our_page(request, authority.issuer):
        return _page("gone.html", 403, {})
    try:
        form = await _form(request)
        place = {"client_id": form.get("client_id", ""), "request_uri": form.get("request_uri", "")}
        found = await store.read(lambda tx: waiting(tx, **place))
        wait = await _over_quota(budgets, found)
        if wait:
            return _later(wait)
        answer: Answer
        if "cancel" in form:
            answer = await store.write(lambda tx: cancel(authority, tx, **place))
        else:
            outcome = await store.write(lambda tx: _attempt(authority, tx, form, place))
            if isinstance(outcome, SignInRefused):
                return _page("refused.html", 403, {"open": _is_open(authority)})
            answer = outcome
    except (ValueError, SignInGone):
        return await _gone(request, budgets)
    return respond(answer)


@signed_in.get("/me", summary="Read who is signed in")
async def read_me(
    granted: Annotated[Granted, guard.action("read_me")], bootstrap: BootstrapDep
) -> PersonOut:
    """The person this token is for; the name travels here and never in a token."""
    person = bootstrap.people.get(granted.principal.subject)
    if person is None:
        raise PersonUnknown(granted.principal.subject)
    return PersonOut(id=person.id, name=person.name, agency=person.agency, roles=list(person.roles))


async def error_page(request: Request, problem: Problem) -> Response | None:
    """Make a page instead of a problem for whoever looks at the sign-in page with a browser.

    Only what is wrong with this sign-in says to begin anew; the rest says to wait.
    """
    if inner_path(request.scope) != "/authorize":
        return None
    if problem.status == 429:
        return _page("later.html", 429, {"wait": int(problem.headers.get("Retry-After", "60"))})
    return _page("away.html" if problem.status >= 500 else "gone.html", problem.status, {})


async def _form(request: Request) -> dict[str, str]:
    """Read the known parameters of the body; others are ignored. Raises ValueError, BadForm."""
    pairs = parse_qsl(
        (await request.body()).decode("ascii"),
        keep_blank_values=True,
        max_num_fields=40,
        errors="strict",
    )
    return form_of([each for each in pairs if each[0] in _KNOWN])


async def _over_quota(budgets: Budgets, found: Waiting) -> int:
    """Count a page or a click of a sign-in under way; the seconds to wait when there were many."""
    mine = await budgets.spend("sign-in", found.handle)
    return mine or await budgets.spend("portal", f"/authorize {found.client_id}")


async def _gone(request: Request, budgets: Budgets) -> Response:
    """Make the page for a sign-in that is none, counted against the address it comes from."""
    wait = await budgets.spend("failures", peer(request))
    return _later(wait) if wait else _page("gone.html", 400, {})


def _later(wait: int) -> Response:
    page = _page("later.html", 429, {"wait": wait})
    page.headers["Retry-After"] = str(wait)
    return page


def _attempt(
    authority: Authority, tx: OAuthTx, form: Mapping[str, str], place: Mapping[str, str]
) -> Answer | SignInRefused:
    # Returned, not raised: the transaction holds the record of the refusal and must commit.
    try:
        return complete(authority, tx, **place, form=form)
    except SignInRefused as refused:
        return refused


def _from_our_page(request: Request, issuer: str) -> bool:
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    parts = urlsplit(issuer)
    return request.headers.get("origin") == f"{parts.scheme}://{parts.netloc}"


def _sign_in_page(
    authority: Authority, found: Waiting, client_id: str, request_uri: str
) -> Response:
    return_to = urlsplit(found.return_to)
    facts = {
        "open": _is_open(authority),
        "people": authority.authenticator.offered(),
        "client_id": client_id,
        "request_uri": request_uri,
        "action": urlsplit(authority.issuer).path + "/authorize",
    }
    # Chrome applies form-action to the redirect that follows the click too, so the client's origin
    # must be named.
    return _page(
        "sign_in.html", 200, facts, form_action=f"'self' {return_to.scheme}://{return_to.netloc}"
    )


def _is_open(authority: Authority) -> bool:
    return bool(authority.authenticator.acr_values)


def _page(
    name: str, status: int, facts: Mapping[str, Any], form_action: str = "'none'"
) -> Response:
    # Last of all, so that no name turns the page's own words round.
    body = visible(_PAGES.get_template(name).render(style=_STYLE, **facts), lines=True, named=None)
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; "
        "frame-ancestors 'none'; base-uri 'none'"
    )
    # Not no-referrer: with it a browser sends `Origin: null` with the click, and the click could
    # not be told from a stranger's.
    return HTMLResponse(
        body, status, headers={"Content-Security-Policy": policy, "Referrer-Policy": "same-origin"}
    )
