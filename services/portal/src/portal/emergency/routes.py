"""Routes of the emergency release: what has no proof yet, and letting one go by name."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from common.access import Granted
from common.web.provided import gathered, provided
from portal.depends import ContextDep
from portal.emergency import model, use_cases
from portal.emergency.model import Unproven
from portal.emergency.ports import EmergencyPorts, Releases
from portal.shell.model import CallRefused, NoAnswer, TokenRefused, written
from portal.shell.routes.layout import ShowDep, errors_shown, see_other
from portal.shell.routes.session import (
    ANYONE,
    CookieDep,
    FormDep,
    SessionDep,
    ShellDep,
    may_after_sign_in,
)
from portal.sign_in.routes import FreshAct

router = APIRouter(prefix="/emergency", include_in_schema=False, dependencies=[ANYONE])

Looking = Annotated[Granted | None, may_after_sign_in("read_unproven")]
Releasing = Annotated[Granted | None, may_after_sign_in("release_in_emergency")]


@dataclass(frozen=True, slots=True)
class Emergency:
    """What these routes work with: the person's visit and sharing's releases."""

    context: ContextDep
    ports: Annotated[EmergencyPorts, Depends(provided(EmergencyPorts))]
    show: ShowDep
    session: SessionDep

    @property
    def releases(self) -> Releases:
        """Return the releases as this person may make them."""
        return self.ports.releases_for(self.session)

    def sign_in_page(self, delivery_id: str, typed: Mapping[str, str] | None = None) -> Response:
        """Ask to sign in again. What was `typed` is kept, but for the confirmation."""
        place = f"/emergency/{delivery_id}" if delivery_id else "/emergency"
        kept = {name: typed.get(name, "") for name in ("code", "reason")} if typed else {}
        message = model.SIGN_IN if typed else ""
        return FreshAct("read_unproven", place, model.WHY_AGAIN).ask(self.show, kept, message)

    async def release_page(
        self,
        item: Unproven,
        typed: Mapping[str, str],
        wrong: Mapping[str, str],
        status: int = 200,
    ) -> Response:
        """Render the form, or what became of this one."""
        return self.show(
            "emergency/release.html",
            status,
            item=item,
            agencies=self.context.agencies,
            dangers=model.DANGERS,
            **errors_shown(wrong, "code"),
            confirmed=model.CONFIRMED,
            typed={name: typed.get(name, "") for name in model.FIELDS},
            clause=await use_cases.clause_text(self.releases, item),
        )

    async def after_page(self, granted: Granted, delivery_id: str) -> Response:
        """Render one that waits no more: proven by now, if this person saw it leave."""
        reference = self.session.released.get(delivery_id, "")
        if reference:
            proven = await use_cases.proven_after_send(
                granted, self.releases, delivery_id, reference
            )
            if proven is not None:
                return await self.release_page(proven, {}, {})
        text = (
            "It has left with its proof, it was stopped, or it is not one of your agency's. Look "
            "at the list again."
        )
        return self.show("shell/problem.html", 404, heading="Nothing waits here", text=text)


EmergencyDep = Annotated[Emergency, Depends(gathered(Emergency))]


@router.get("")
async def show_unproven(emergency: EmergencyDep, granted: Looking) -> Response:
    """Show what waits for its receipt and what left on a promise.

    Asks for a fresh sign-in first.
    """
    if granted is None:
        return emergency.sign_in_page("")
    found = await use_cases.unproven(granted, emergency.releases)
    waiting = [each for each in found.items if not each.promised]
    promised = [each for each in found.items if each.promised]
    groups = [
        ("waiting", "Waiting for its audit entry", "Nothing waits.", waiting),
        ("promised", "Promised, not proven", "Nothing has left on a promise.", promised),
    ]
    return emergency.show(
        "emergency/unproven.html",
        groups=groups,
        more=found.more,
        agencies=emergency.context.agencies,
    )


@router.get("/{delivery_id}")
async def show_release(
    emergency: EmergencyDep,
    delivery_id: UUID,
    granted: Looking,
    cookie: CookieDep,
    shell: ShellDep,
) -> Response:
    """Show the form, or that it left on a promise."""
    asked, session = str(delivery_id), emergency.session
    if granted is None:
        return emergency.sign_in_page(asked)
    found = await use_cases.one_unproven(granted, emergency.releases, asked)
    if found is None:
        return await emergency.after_page(granted, asked)
    if found.promised and asked not in session.released:
        # Kept with the visit, sealed, so that this page can tell the same person when the proof
        # has come.
        released = {**session.released, asked: found.case_reference}
        await shell.sessions.amend(cookie.value, replace(session, released=released))
    return await emergency.release_page(found, session.written(f"/emergency/{asked}"), {})


@router.post("/{delivery_id}")
async def release(
    emergency: EmergencyDep, delivery_id: UUID, typed: FormDep, granted: Releasing
) -> Response:
    """Release on a promise.

    Whatever stands against it is said on the form, with everything that was typed still in it.
    """
    asked, releases = str(delivery_id), emergency.releases
    if granted is None:
        return emergency.sign_in_page(asked, typed)
    status, wrong = 422, model.problems(typed)
    if not wrong:
        try:
            await releases.release(granted, asked, typed["code"], written(typed))
        except CallRefused as refused:
            if refused.code == "step-up-required":
                return emergency.sign_in_page(asked, typed)
            status, wrong = _against(refused)
        except TokenRefused as refused:
            if refused.code != "unreachable":
                return emergency.sign_in_page(asked, typed)
            status, wrong = 503, {"": model.UNREADABLE}
        except NoAnswer:
            status, wrong = 503, {"": model.NO_ANSWER}
        else:
            return see_other(f"/emergency/{delivery_id}")
    known = await _as_known(granted, releases, asked)
    return await emergency.release_page(known, typed, wrong, status)


def _against(refused: CallRefused) -> tuple[int, dict[str, str]]:
    """Return status and what to say about a refusal.

    Raises the refusal when a plain page says it better.
    """
    if refused.status == 409:
        return 409, {"": model.MOVED_ON}
    if refused.status == 422:
        return 422, {"reason": model.TOO_SHORT}
    if refused.status >= 500:
        return 503, {"": model.UNREADABLE}
    raise refused


async def _as_known(granted: Granted, releases: Releases, delivery_id: str) -> Unproven:
    """Find what is still known of it for a form that is shown again, or nothing but its id."""
    try:
        found = await use_cases.one_unproven(granted, releases, delivery_id)
    except (CallRefused, NoAnswer, TokenRefused):
        found = None
    return found or model.unknown(delivery_id)
