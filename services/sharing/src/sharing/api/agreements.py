"""Agreements in force, and previews of what they would let leave."""

from typing import Annotated, cast

from fastapi import APIRouter, Request

from common.access import Granted
from common.problems import Problem
from common.web import documents, guard
from common.web.frame import actor_of
from hubformats.case_reference import normalised_reference
from sharing.api.shapes import (
    AgreementOut,
    AgreementsOut,
    ClauseOut,
    ObligationOut,
    PreviewIn,
    PreviewOut,
)
from sharing.domain.agreement import Agreement, Clause
from sharing.ports import Store
from sharing.usecases import deciding
from sharing.usecases.desk import Desk

router = APIRouter(prefix="/v1/agreements", tags=["agreements"])
decisions = APIRouter(prefix="/v1/decisions", tags=["agreements"])

Look = Annotated[Granted, guard.requires("directory.read", operation="operation")]
Ask = Annotated[Granted, guard.requires("sharing.request", operation="consultation")]


@router.get("", summary="List sharing agreements")
async def list_agreements(request: Request, granted: Look) -> AgreementsOut:
    """Every agreement this hub decides by: clauses in words, what they carry, on what basis, and
    the rules themselves.
    """
    desk = cast(Desk, request.app.state.desk)
    texts = request.app.state.rule_texts
    today = desk.now().date()
    items = [
        _agreement(rules.agreement, rules.agreement.lapsed(today), texts[area])
        for area, rules in desk.rules.items()
    ]
    return AgreementsOut(items=items)


@decisions.post("/preview", summary="Preview a decision", openapi_extra=documents.problems(404))
async def preview_decision(request: Request, body: PreviewIn, granted: Ask) -> PreviewOut:
    """Who would get what of your own referral, which parts are withheld and why.

    Discloses nothing; is itself recorded.

    `content` is made by the same code, from the same facts, as the package that is delivered.
    """
    if not request.app.state.ready_to_read():
        raise Problem("audit-backlog")
    desk = cast(Desk, request.app.state.desk)
    store = cast(Store, request.app.state.store)
    reference = normalised_reference(body.case_reference)
    actor = actor_of(granted.principal)
    return PreviewOut.model_validate(
        await store.write(lambda tx: deciding.preview(tx, desk, granted, actor, reference))
    )


def _agreement(agreement: Agreement, lapsed: bool, rules: dict[str, str]) -> AgreementOut:
    terms = agreement.terms
    return AgreementOut(
        id=terms.id,
        version=terms.version,
        hash=agreement.hash,
        title=terms.title,
        area=terms.area,
        effective_from=terms.effective_from.isoformat(),
        review_by=terms.review_by.isoformat(),
        lapsed=lapsed,
        owner=terms.owner,
        parties=list(terms.parties),
        clauses=[_clause(agreement, clause) for clause in terms.clause],
        vetoes=dict(terms.veto),
        rules=rules,
    )


def _clause(agreement: Agreement, clause: Clause) -> ClauseOut:
    texts = agreement.terms.obligation
    return ClauseOut(
        id=clause.id,
        title=clause.title,
        text=clause.text,
        purpose=clause.purpose,
        necessity=clause.necessity,
        gateway=clause.gateway,
        recipient_types=list(clause.recipient_types),
        categories=list(clause.categories),
        essential=list(clause.essential),
        obligations=[ObligationOut(code=code, text=texts[code]) for code in clause.obligations],
        lawful_basis={"ukGdpr": clause.uk_gdpr.model_dump(), "part3": clause.part3.model_dump()},
    )
