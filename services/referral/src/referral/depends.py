"""Dependencies of the routes, by type."""

from typing import Annotated, Final

from fastapi import Depends

from common.attempts import Attempt
from common.audit_trail import AuditTrail
from common.problems import Problem
from common.web import idempotency
from common.web.guard import Guards
from common.web.provided import provided
from referral.context import AgencyDirectory, Context
from referral.permissions import ACTIONS

guard: Final = Guards(ACTIONS)
ContextDep = Annotated[Context, Depends(provided(Context))]
AgenciesDep = Annotated[AgencyDirectory, Depends(provided(AgencyDirectory))]
TrailDep = Annotated[AuditTrail, Depends(provided(AuditTrail))]
Once = Annotated[Attempt, idempotency.required()]


def refuse_on_backlog(trail: AuditTrail) -> None:
    """Refuse a read while earlier ones wait too long for the log.

    Raises Problem(audit-backlog).
    """
    if not trail.ready():
        raise Problem("audit-backlog")
