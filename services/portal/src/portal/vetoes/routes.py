"""Routes of vetoes: one's referrals, one case's vetoes, asking to lift one, and the second
person's answer."""

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from common.access import Granted
from common.web.provided import gathered, provided
from portal.depends import ContextDep
from portal.shell.model import CallRefused, NoAnswer, written
from portal.shell.routes.layout import ShowDep, errors_shown, see_other
from portal.shell.routes.session import (
    ANYONE,
    DraftsDep,
    FormDep,
    SessionDep,
    may,
    may_after_sign_in,
)
from portal.shell.routes.unkept import shown_again
from portal.sign_in.routes import FreshAct
from portal.vetoes import model
from portal.vetoes.model import Lifting
from portal.vetoes.ports import Vetoes, VetoPorts

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])

See = Annotated[Granted, may("see_vetoes")]
Set = Annotated[Granted, may("set_veto")]
Ask = Annotated[Granted | None, may_after_sign_in("ask_lifting")]
SeeLiftings = Annotated[Granted, may("see_liftings")]
Settle = Annotated[Granted | None, may_after_sign_in("confirm_lifting")]


@dataclass(frozen=True, slots=True)
class VetoScreens:
    """What these routes work with."""

    context: ContextDep
    ports: Annotated[VetoPorts, Depends(provided(VetoPorts))]
    show: ShowDep
    session: SessionDep
    drafts: DraftsDep
    holds: UUID | None = None
    """The veto that was set a moment ago, from the address."""

    @property
    def vetoes(self) -> Vetoes:
        """Return the vetoes as this person may use them."""
        return self.ports.vetoes_for(self.session)

    def page(
        self,
        template: str,
        typed: Mapping[str, str],
        wrong: Mapping[str, str],
        status: int,
        **facts: Any,
    ) -> Response:
        """Render a form, with what stands against what was typed."""
        return self.show(
            template,
            status,
            kinds=model.KINDS,
            agencies=self.context.agencies,
            **errors_shown(wrong, "answer"),
            typed={name: typed.get(name, "") for name in model.FIELDS},
            **facts,
        )


ScreensDep = Annotated[VetoScreens, Depends(gathered(VetoScreens))]


@router.get("/vetoes")
async def show_referrals(here: ScreensDep, granted: See) -> Response:
    """Show the agency's own referrals, to set or lift a veto on one."""
    return here.show(
        "vetoes/referrals.html",
        sent=await here.vetoes.sent(granted),
        lapsed=await here.vetoes.lapsed(granted),
        kinds=model.KINDS,
    )


@router.get("/vetoes/{referral_id}")
async def show_vetoes(here: ScreensDep, granted: See, referral_id: UUID) -> Response:
    """Show the vetoes in force, and the form to set one."""
    typed = here.drafts.written(f"/vetoes/{referral_id}")
    return await _case_page(here, granted, str(referral_id), typed, {})


@router.post("/vetoes/{referral_id}")
async def set_veto(
    here: ScreensDep, granted: Set, seeing: See, referral_id: UUID, typed: FormDep
) -> Response:
    """Set a veto. It acts at once."""
    asked = str(referral_id)
    allowed = (await here.vetoes.reasons()).to_set()
    wrong = model.problems(typed, allowed, "Select the veto and its reason")
    status = 422
    if not wrong:
        agency, made = typed.get("agency", model.EVERYBODY), list[str]()

        async def act() -> None:
            made.append(
                await here.vetoes.set(granted, asked, typed["answer"], agency, written(typed))
            )

        status, wrong = await _tried(act())
        if not wrong:
            await here.drafts.sent(f"/vetoes/{referral_id}")
            return see_other(f"/vetoes/{referral_id}?holds={made[0]}")
    page = _case_page(here, seeing, asked, typed, wrong, status)
    return await shown_again(page, unknown=wrong.get("") == model.NO_ANSWER)


@router.get("/vetoes/{referral_id}/{veto_id}")
async def show_asking(
    here: ScreensDep, granted: Ask, seeing: See, referral_id: UUID, veto_id: UUID
) -> Response:
    """Show the form to ask for lifting. It wants a fresh sign-in first."""
    place = f"/vetoes/{referral_id}/{veto_id}"
    if granted is None:
        return FreshAct("ask_lifting", place, model.WHY_ASK).ask(here.show)
    return await _asking_page(here, seeing, place, here.drafts.written(place), {})


@router.post("/vetoes/{referral_id}/{veto_id}")
async def ask_lifting(
    here: ScreensDep,
    granted: Ask,
    seeing: See,
    referral_id: UUID,
    veto_id: UUID,
    typed: FormDep,
) -> Response:
    """Ask to lift a veto, which holds until a second person has confirmed."""
    place = f"/vetoes/{referral_id}/{veto_id}"
    if granted is None:
        return _again("ask_lifting", place, here, typed)
    allowed = (await here.vetoes.reasons()).lifting
    status, wrong = 422, model.problems(typed, allowed, "Select why it can be lifted")
    if not wrong:
        words, code = written(typed), typed["answer"]
        status, wrong = await _tried(
            here.vetoes.ask(granted, str(referral_id), str(veto_id), code, words)
        )
        if status == 401:
            return _again("ask_lifting", place, here, typed)
        if not wrong:
            await here.drafts.sent(place)
            return see_other(f"/vetoes/{referral_id}")
    page = _asking_page(here, seeing, place, typed, wrong, status)
    return await shown_again(page, unknown=wrong.get("") == model.NO_ANSWER)


@router.get("/liftings")
async def show_liftings(here: ScreensDep, granted: SeeLiftings) -> Response:
    """Show what waits for a second person."""
    found = await here.vetoes.waiting(granted)
    return here.show(
        "vetoes/liftings.html",
        found=[each for each in found if each.state == "asked"],
        lapsed=[each for each in found if each.state == "lapsed"],
        kinds=model.KINDS,
        agencies=here.context.agencies,
    )


@router.get("/liftings/{lifting_id}")
async def show_lifting(
    here: ScreensDep, granted: Settle, seeing: SeeLiftings, lifting_id: UUID
) -> Response:
    """Show who asked first and why, and the second person's form, after a fresh sign-in."""
    place = f"/liftings/{lifting_id}"
    if granted is None:
        return FreshAct("confirm_lifting", place, model.WHY_ASK).ask(here.show)
    lifting = await here.vetoes.lifting(seeing, str(lifting_id))
    return await _lifting_page(here, lifting, here.drafts.written(place), {})


@router.post("/liftings/{lifting_id}")
async def settle_lifting(
    here: ScreensDep, granted: Settle, seeing: SeeLiftings, lifting_id: UUID, typed: FormDep
) -> Response:
    """Lift the veto as the second person, or leave it."""
    place, asked = f"/liftings/{lifting_id}", str(lifting_id)
    if granted is None:
        return _again("confirm_lifting", place, here, typed)
    lifting = await here.vetoes.lifting(seeing, asked)
    allowed = (await here.vetoes.reasons()).to_settle(lifting)
    status, wrong = 422, model.problems(typed, allowed, "Select what you decide")
    if not wrong:
        call = here.vetoes.settle(granted, asked, typed["answer"], written(typed))
        status, wrong = await _tried(call)
        if status == 401:
            return _again("confirm_lifting", place, here, typed)
        if not wrong:
            await here.drafts.sent(place)
            return see_other("/liftings")
    page = _lifting_page(here, lifting, typed, wrong, status)
    return await shown_again(page, unknown=wrong.get("") == model.NO_ANSWER)


def _again(action: str, place: str, here: VetoScreens, typed: Mapping[str, str]) -> Response:
    kept = {name: typed.get(name, "") for name in ("answer", "reason")}
    return FreshAct(action, place, model.WHY_ASK).ask(here.show, kept, model.SIGN_IN)


async def _tried(call: Awaitable[None]) -> tuple[int, dict[str, str]]:
    """Try an act. Returns what stands against it; raises what a plain page says better."""
    try:
        await call
    except CallRefused as refused:
        if refused.code == "step-up-required":
            return 401, {"": model.SIGN_IN}
        if refused.code == "second-person-needed":
            return 403, {"": model.SECOND}
        if refused.status == 503:
            return 503, {"": model.NOT_KEPT}
        if refused.status != 409:
            raise
        return 409, {"": model.MOVED}
    except NoAnswer:
        return 503, {"": model.NO_ANSWER}
    return 200, {}


async def _case_page(
    here: VetoScreens,
    granted: Granted,
    referral_id: str,
    typed: Mapping[str, str],
    wrong: Mapping[str, str],
    status: int = 200,
) -> Response:
    found = await here.vetoes.of_referral(granted, referral_id)
    reasons = await here.vetoes.reasons()
    rows = [(veto, found.waiting(veto.veto_id)) for veto in found.vetoes]
    return here.page(
        "vetoes/case.html",
        typed,
        wrong,
        status,
        referral_id=referral_id,
        case_reference=found.case_reference,
        rows=rows,
        found=found,
        new=found.veto(str(here.holds)) if here.holds else None,
        reasons=reasons,
        choices=reasons.to_set(),
    )


async def _asking_page(
    here: VetoScreens,
    granted: Granted,
    place: str,
    typed: Mapping[str, str],
    wrong: Mapping[str, str],
    status: int = 200,
) -> Response:
    _, _, referral_id, veto_id = place.split("/")
    found = await here.vetoes.of_referral(granted, referral_id)
    veto = next((each for each in found.vetoes if each.veto_id == veto_id), None)
    if veto is None:
        raise CallRefused(404, "not-found")
    reasons = await here.vetoes.reasons()
    return here.page(
        "vetoes/ask.html",
        typed,
        wrong,
        status,
        place=place,
        back=f"/vetoes/{referral_id}",
        case_reference=found.case_reference,
        own_reference=found.own_reference,
        veto=veto,
        set_why=reasons.why_set(veto),
        choices=reasons.lifting,
    )


async def _lifting_page(
    here: VetoScreens,
    lifting: Lifting,
    typed: Mapping[str, str],
    wrong: Mapping[str, str],
    status: int = 200,
) -> Response:
    reasons = await here.vetoes.reasons()
    choices = reasons.to_settle(lifting)
    return here.page(
        "vetoes/lifting.html",
        typed,
        wrong,
        status,
        lifting=lifting,
        why=reasons.meaning(lifting.reason_code),
        set_why=reasons.why_set(lifting.veto) if lifting.veto else "",
        choices=choices,
    )
