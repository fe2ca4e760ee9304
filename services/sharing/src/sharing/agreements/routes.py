"""Agreements in force."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends

from common.access import Granted
from common.web.provided import provided
from sharing.agreements.model import Agreement, Clause
from sharing.agreements.schemas import AgreementOut, AgreementsOut, ClauseOut, ObligationOut
from sharing.agreements.use_cases import Agreements
from sharing.depends import ContextDep, guard

router = APIRouter(prefix="/v1/agreements", tags=["agreements"])

Look = Annotated[Granted, guard.action("list_agreements")]
AgreementsDep = Annotated[Agreements, Depends(provided(Agreements))]


@router.get("", summary="List sharing agreements")
async def list_agreements(
    _granted: Look, context: ContextDep, agreements: AgreementsDep
) -> AgreementsOut:
    """Every agreement this hub decides by: clauses in words, what they carry, on what basis, and
    the rules themselves.
    """
    today = context.now().date()
    items = [
        _agreement(rules.agreement, rules.agreement.lapsed(today), agreements.texts[area])
        for area, rules in agreements.by_area.items()
    ]
    return AgreementsOut(items=items)


def _agreement(agreement: Agreement, lapsed: bool, rules: Mapping[str, str]) -> AgreementOut:
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
        rules=dict(rules),
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
