"""Routes of the second look: the queue, one item, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.responses import Response

from common.access import Granted
from common.web.provided import gathered, provided
from portal.depends import ContextDep
from portal.second_look import model
from portal.second_look.ports import Looks, SecondLookPorts
from portal.shell.model import CallRefused, NoAnswer, written
from portal.shell.routes.layout import ShowDep, errors_shown, see_other
from portal.shell.routes.session import ANYONE, DraftsDep, FormDep, SessionDep, may
from portal.shell.routes.unkept import shown_again

router = APIRouter(prefix="/second-looks", include_in_schema=False, dependencies=[ANYONE])

See = Annotated[Granted, may("see_second_looks")]
Review = Annotated[Granted, may("review_second_look")]


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What these routes work with."""

    context: ContextDep
    ports: Annotated[SecondLookPorts, Depends(provided(SecondLookPorts))]
    show: ShowDep
    session: SessionDep
    drafts: DraftsDep

    @property
    def looks(self) -> Looks:
        """Return the queue as this person may use it."""
        return self.ports.looks_for(self.session)

    async def page(
        self,
        granted: Granted,
        look_id: str,
        typed: Mapping[str, str],
        wrong: Mapping[str, str],
        status: int = 200,
    ) -> Response:
        """Render one item, with what stands against what was typed."""
        look = await self.looks.one(granted, look_id)
        reasons = await self.looks.reasons(granted)
        return self.show(
            "second_look/look.html",
            status,
            look=look,
            acts=model.ACTS,
            states=model.STATES,
            owners=model.OWNERS,
            agencies=self.context.agencies,
            choices=model.choices(look, reasons),
            meaning=_meaning(look, reasons),
            **errors_shown(wrong, "answer"),
            typed={name: typed.get(name, "") for name in model.FIELDS},
        )


SecondLookDep = Annotated[SecondLook, Depends(gathered(SecondLook))]


@router.get("")
async def show_queue(here: SecondLookDep, granted: See, closed: str = "") -> Response:
    """Show what waits, soonest due first; on request what was closed."""
    found = await here.looks.listed(granted, closed=closed == "yes")
    return here.show(
        "second_look/queue.html",
        looks=found,
        closed=closed == "yes",
        overdue=sum(1 for each in found if each.overdue),
        acts=model.ACTS,
        states=model.STATES,
        owners=model.OWNERS,
    )


@router.get("/{look_id}")
async def show_look(here: SecondLookDep, granted: See, look_id: UUID) -> Response:
    """Show one item."""
    typed = here.drafts.written(f"/second-looks/{look_id}")
    return await here.page(granted, str(look_id), typed, {})


@router.post("/{look_id}/owner")
async def take(here: SecondLookDep, granted: Review, look_id: UUID, _typed: FormDep) -> Response:
    """Say that this person looks at it."""
    await here.looks.take(granted, str(look_id))
    return see_other(f"/second-looks/{look_id}")


@router.post("/{look_id}")
async def answer(
    here: SecondLookDep, granted: Review, seeing: See, look_id: UUID, typed: FormDep
) -> Response:
    """Say what came of it. Whatever stands against it, nothing typed is lost."""
    asked, looks = str(look_id), here.looks
    look = await looks.one(seeing, asked)
    allowed = model.choices(look, await looks.reasons(seeing))
    status, wrong = 422, model.problems(typed, allowed)
    if not wrong:
        outcome, _, code = typed["answer"].partition("/")
        try:
            await looks.answer(granted, asked, outcome, code, written(typed))
        except CallRefused as refused:
            if refused.status != 409:
                raise
            status, wrong = 409, {"": model.MOVED}
        except NoAnswer:
            status, wrong = 503, {"": model.NO_ANSWER}
        else:
            await here.drafts.sent(f"/second-looks/{look_id}")
            return see_other("/second-looks")
    page = here.page(seeing, asked, typed, wrong, status)
    return await shown_again(page, unknown=wrong.get("") == model.NO_ANSWER)


def _meaning(look: model.Look, reasons: model.Reasons) -> str:
    every = {code: text for codes in reasons.values() for code, text in codes.items()}
    return every.get(look.outcome_code, look.outcome_code)
