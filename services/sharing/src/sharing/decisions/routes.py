"""Previews of decisions, and the operator's request to decide again."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends

from common.access import Granted
from common.database import DatabaseStopped, DatabaseUnavailable
from common.problems import Fault, Problem
from common.telemetry import describe
from common.web import documents
from common.web.app import Answers
from common.web.frame import actor_of
from common.web.provided import gathered, provided
from hubformats.audit_record import Actor
from hubformats.case_reference import normalised_reference
from sharing.cases.model import CaseNotFound
from sharing.context import Store
from sharing.decisions.ports import DecisionTx, DecisionView
from sharing.decisions.schemas import (
    AgreementRef,
    DecideAgainIn,
    DecidedAgainOut,
    PreviewedOut,
    PreviewIn,
    PreviewOut,
    WithheldOut,
)
from sharing.decisions.use_cases import asked_again
from sharing.decisions.use_cases.asked_again import Outcome, Wanted
from sharing.decisions.use_cases.preview import Preview, PreviewedRecipient, preview
from sharing.decisions.use_cases.run import DecisionContext
from sharing.depends import TrailDep, demand_readable, guard

router = APIRouter(prefix="/v1/decisions", tags=["agreements"])
again = APIRouter(prefix="/v1/disclosures", tags=["releases"])

_log = logging.getLogger("hub.sharing")
_CASES: Final = 100
"""Cases in one call: an operator waits for its answer."""

Ask = Annotated[Granted, guard.action("preview_decision")]
Again = Annotated[Granted, guard.action("decide_again")]


@dataclass(frozen=True, slots=True)
class Parts:
    """What every route here works with."""

    context: Annotated[DecisionContext, Depends(provided(DecisionContext))]
    store: Annotated[Store[DecisionTx, DecisionView], Depends(provided(Store))]
    trail: TrailDep


PartsDep = Annotated[Parts, Depends(gathered(Parts))]

PROBLEMS: Final[Answers] = {CaseNotFound: lambda _error: Problem("not-found")}


@router.post("/preview", summary="Preview a decision", openapi_extra=documents.problems(404))
async def preview_decision(body: PreviewIn, granted: Ask, parts: PartsDep) -> PreviewOut:
    """Who would get what of your own referral, which parts are withheld and why.

    Discloses nothing; is itself recorded.

    `content` is made by the same code, from the same facts, as the package that is delivered.
    """
    demand_readable(parts.trail)
    reference = normalised_reference(body.case_reference)
    actor = actor_of(granted.principal)
    shown = await parts.store.write(
        lambda tx: preview(tx, parts.context, granted, actor, reference)
    )
    return _preview(reference, shown)


@again.post(
    "/decide-again",
    summary="Decide again on what is blocked",
    openapi_extra=documents.problems(404),
)
async def decide_again(body: DecideAgainIn, granted: Again, parts: PartsDep) -> DecidedAgainOut:
    """A new decision on the kept facts, under the agreement in force now, with its own audit
    records.

    What it permits goes the ordinary road: receipt, vetoes once more, release. What had left and
    says the same is not sent again.
    """
    actor = actor_of(granted.principal)
    named = (bool(body.delivery_ids), body.reason is not None, body.agency is not None)
    if sum(named) != 1 or (body.agency is None) != (body.case_reference is None):
        fault = Fault("", "name deliveries, or a reason, or an agency with its case reference")
        raise Problem("validation-failed", errors=[fault])
    if body.agency is not None and body.case_reference is not None:
        work = partial(
            asked_again.decide_case,
            context=parts.context,
            actor=actor,
            agency=body.agency,
            reference=normalised_reference(body.case_reference),
        )
        return _counted([await _one(parts, work)], more=False)
    wanted = Wanted(frozenset(body.delivery_ids), body.reason)
    return await _blocked(parts, actor, wanted)


async def _blocked(parts: Parts, actor: Actor, wanted: Wanted) -> DecidedAgainOut:
    found: tuple[UUID, ...] = await parts.store.read(
        lambda view: view.disclosures.blocked(wanted.deliveries, wanted.reason or "", _CASES + 1)
    )
    done = [
        await _one(
            parts,
            partial(
                asked_again.decide_blocked,
                context=parts.context,
                actor=actor,
                case_id=case_id,
                wanted=wanted,
            ),
        )
        for case_id in found[:_CASES]
    ]
    return _counted(done, more=len(found) > _CASES)


async def _one(parts: Parts, work: Callable[[DecisionTx], Outcome]) -> Outcome | None:
    """Decide on one case in a transaction of its own: it must not keep the others.

    None when it failed.

    Raises CaseNotFound.
    """
    try:
        return await parts.store.write(work)
    except (CaseNotFound, DatabaseUnavailable, DatabaseStopped):
        raise
    # It stays blocked, loudly, and can be asked for again
    except Exception as error:  # noqa: BLE001
        _log.error(
            "deciding again failed",
            extra={"alarm": "decide-again-failed", "error": describe(error)},
        )
        return None


def _counted(done: Sequence[Outcome | None], *, more: bool) -> DecidedAgainOut:
    known = [each for each in done if each is not None]
    return DecidedAgainOut(
        cases=sum(each.decided for each in known),
        prepared=sum(each.prepared for each in known),
        unchanged=sum(not each.decided for each in known),
        failed=len(done) - len(known),
        more=more,
    )


def _preview(reference: str, shown: Preview) -> PreviewOut:
    decision = shown.decision
    return PreviewOut(
        case_reference=reference,
        as_of=decision.as_of,
        agreement=AgreementRef(
            id=decision.agreement,
            version=decision.agreement_version,
            hash=decision.agreement_hash,
        ),
        recipients=[_previewed(each) for each in shown.recipients],
    )


def _previewed(each: PreviewedRecipient) -> PreviewedOut:
    return PreviewedOut(
        agency=each.agency,
        outcome="permit" if each.why is None else "withhold",
        withheld=[
            WithheldOut(
                category=one.category, label=one.label, reason=one.why.reason, text=one.why.text
            )
            for one in each.withheld
        ],
        reason=each.why.reason if each.why else "",
        text=each.why.text if each.why else "",
        content=None if each.content is None else dict(each.content),
    )
