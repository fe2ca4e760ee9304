"""Routes of the emergency release: what has no proof yet, one of it let go in a person's own name,
and what was promised."""

from dataclasses import replace
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.background import BackgroundTask
from starlette.responses import Response

from common.web.client import CallFailed, ProblemAnswer, TokenRefused
from portal import usecases
from portal.api.visit import (
    ANYONE,
    Visit,
    Visiting,
    authorization,
    cookie_name,
    desk,
    form,
    new_cookie,
    page,
    see_other,
    sessions,
    set_cookie,
)
from portal.domain import emergency
from portal.domain.emergency import Unproven
from portal.domain.visit import Draft
from portal.permissions import SCREENS
from portal.ports import SignInFailed

router = APIRouter(prefix="/emergency", include_in_schema=False, dependencies=[ANYONE])


@router.get("")
async def show_unproven(request: Request, here: Visit = Visiting) -> Response:
    """What of the agency's own referrals waits for its receipt, and what left on a promise; asks
    for a fresh sign-in first.
    """
    usecases.demand_authority(here.principal)
    if _stale(here):
        return _sign_in_page(request, "")
    found = await usecases.unproven(
        here.granted(SCREENS["release_in_emergency"], "consultation"), here.hub
    )
    groups = [
        (
            "waiting",
            "Waiting for its audit entry",
            "Nothing waits.",
            [each for each in found.items if not each.promised],
        ),
        (
            "promised",
            "Promised, not proven",
            "Nothing has left on a promise.",
            [each for each in found.items if each.promised],
        ),
    ]
    return page(
        request, "emergency.html", groups=groups, more=found.more, agencies=desk(request).agencies
    )


@router.post("/sign-in")
async def sign_in_again(request: Request, here: Visit = Visiting) -> Response:
    """Push a sign-in that also asks for the right to release; what was written waits, sealed, for
    the same person.
    """
    typed = await form(request, here.session)
    usecases.demand_authority(here.principal)
    draft = Draft(
        here.session.person.id,
        _delivery(typed.get("delivery", "")),
        typed.get("code", ""),
        typed.get("reason", ""),
    )
    try:
        redirect = await authorization(request).begin(SCREENS["release_in_emergency"], draft)
    except SignInFailed:
        text = (
            "Nothing was released and you are still signed in. Go back, and try again in a "
            "minute. If somebody is in danger, call 999."
        )
        return page(request, "problem.html", 503, heading="Sign-in is not available", text=text)
    cookie = new_cookie()
    await sessions(request).begin(cookie, redirect.pending)
    await sessions(request).end(request.cookies.get(cookie_name(request), ""))
    answer = see_other(redirect.location)
    set_cookie(request, answer, cookie)
    answer.background = BackgroundTask(authorization(request).revoke, here.session)
    return answer


@router.get("/{delivery_id}")
async def show_release(request: Request, delivery_id: UUID, here: Visit = Visiting) -> Response:
    """The form, or that it left on a promise."""
    usecases.demand_authority(here.principal)
    if _stale(here):
        return _sign_in_page(request, str(delivery_id))
    found = await _one(here, delivery_id)
    if found is None:
        return await _after(request, here, str(delivery_id))
    if found.promised:
        await _keep(request, here, found)
    draft = here.session.draft
    kept = (
        {"code": draft.code, "reason": draft.reason}
        if draft is not None and draft.delivery == str(delivery_id)
        else {}
    )
    return _release_page(request, found, kept, {}, clause=await _clause(here, found))


@router.post("/{delivery_id}")
async def release(request: Request, delivery_id: UUID, here: Visit = Visiting) -> Response:
    """Release on a promise; whatever stands against it is said on the form, with everything that
    was typed still in it.
    """
    typed = await form(request, here.session)
    usecases.demand_authority(here.principal)
    if _stale(here, asked=True):
        return _sign_in_page(request, str(delivery_id), typed)
    wrong = emergency.problems(typed)
    status = 422
    if not wrong:
        granted = here.granted(SCREENS["release_in_emergency"], "disclosure")
        try:
            await usecases.release_in_emergency(
                granted, here.hub, str(delivery_id), typed["code"], typed["reason"].strip()
            )
        except ProblemAnswer as problem:
            if problem.code == "step-up-required":
                return _sign_in_page(request, str(delivery_id), typed)
            status, wrong = _against(problem)
        except TokenRefused as refused:
            if refused.code != "unreachable":
                return _sign_in_page(request, str(delivery_id), typed)
            status, wrong = 503, {"": emergency.UNREADABLE}
        except CallFailed:
            status, wrong = 503, {"": emergency.NO_ANSWER}
        else:
            return see_other(f"/emergency/{delivery_id}")
    known = await _as_known(here, delivery_id)
    return _release_page(request, known, typed, wrong, status, clause=await _clause(here, known))


def _against(problem: ProblemAnswer) -> tuple[int, dict[str, str]]:
    """Status and what to say about a refusal.

    Raises the problem when a plain page says it better.
    """
    if problem.status == 409:
        return 409, {"": emergency.MOVED_ON}
    if problem.status == 422:
        return 422, {"reason": "Say in a sentence why it cannot wait"}
    if problem.status >= 500:
        return 503, {"": emergency.UNREADABLE}
    raise problem


def _stale(here: Visit, *, asked: bool = False) -> bool:
    """Whether this sign-in lacks the right, or is too old to begin with; `asked` once the form was
    sent: then sharing decides.
    """
    signed_in, now = here.session.grantings.auth_time, here.clock.now().timestamp()
    if not here.session.grantings.allows(SCREENS["release_in_emergency"]) or signed_in is None:
        return True
    return (
        not asked
        and now - signed_in > (emergency.SIGN_IN_LASTS - emergency.TIME_TO_WRITE).total_seconds()
    )


async def _one(here: Visit, delivery_id: UUID) -> Unproven | None:
    found = await usecases.unproven(
        here.granted(SCREENS["release_in_emergency"], "consultation"), here.hub, str(delivery_id)
    )
    return next((each for each in found.items if each.delivery_id == str(delivery_id)), None)


async def _as_known(here: Visit, delivery_id: UUID) -> Unproven:
    """For a form that is shown again: what is still known of it, or nothing but its id."""
    try:
        found = await _one(here, delivery_id)
    except (ProblemAnswer, CallFailed, TokenRefused):
        found = None
    return found or Unproven(
        str(delivery_id),
        "",
        "",
        "",
        "",
        promised=False,
        decided_at="",
        released_at="",
        proof_due="",
    )


def _delivery(text: str) -> str:
    """The id as we write it, or none: it becomes part of the address one returns to."""
    try:
        return str(UUID(text))
    except ValueError:
        return ""


async def _keep(request: Request, here: Visit, item: Unproven) -> None:
    """With the visit, sealed, so that this page can tell the same person when the proof has
    come.
    """
    if item.delivery_id not in here.session.released:
        seen = replace(
            here.session, released={**here.session.released, item.delivery_id: item.case_reference}
        )
        await sessions(request).amend(request.cookies.get(cookie_name(request), ""), seen)


async def _after(request: Request, here: Visit, delivery_id: str) -> Response:
    """It waits no more: proven by now, if this person saw it leave."""
    reference = here.session.released.get(delivery_id, "")
    granted = here.granted(SCREENS["release_in_emergency"], "consultation")
    proven = await usecases.left(granted, here.hub, delivery_id, reference) if reference else None
    return (
        _gone(request)
        if proven is None
        else _release_page(request, proven, {}, {}, clause=await _clause(here, proven))
    )


async def _clause(here: Visit, item: Unproven) -> str:
    """What the clause says; its code alone when that cannot be read now, because nothing may keep
    the form back.
    """
    try:
        return (await here.hub.clauses()).get(item.clause, "")
    except (ProblemAnswer, CallFailed, TokenRefused):
        return ""


def _gone(request: Request) -> Response:
    text = (
        "It has left with its proof, it was stopped, or it is not one of your agency's. Look "
        "at the list again."
    )
    return page(request, "problem.html", 404, heading="Nothing waits here", text=text)


def _sign_in_page(
    request: Request, delivery_id: str, typed: dict[str, str] | None = None
) -> Response:
    kept = {name: (typed or {}).get(name, "") for name in ("code", "reason")}
    return page(
        request,
        "emergency_sign_in.html",
        401 if typed else 200,
        delivery_id=delivery_id,
        kept=kept,
        message=emergency.SIGN_IN if typed else "",
        dangers=emergency.DANGERS,
    )


def _release_page(
    request: Request,
    item: Unproven,
    typed: dict[str, str],
    wrong: dict[str, str],
    status: int = 200,
    *,
    clause: str,
) -> Response:
    errors = [
        {"text": text, "href": f"#{name}" if name else "#code"} for name, text in wrong.items()
    ]
    return page(
        request,
        "emergency_release.html",
        status,
        item=item,
        agencies=desk(request).agencies,
        dangers=emergency.DANGERS,
        summary=errors,
        errors={name: {"text": text} for name, text in wrong.items() if name},
        confirmed=emergency.CONFIRMED,
        typed={name: typed.get(name, "") for name in emergency.FIELDS},
        clause=clause,
    )
