"""What routes ask for: the guard of each action, and the parts that wiring provides."""

from typing import Annotated, Final

from fastapi import Depends

from common.audit_trail import AuditTrail
from common.problems import Problem
from common.web.guard import Guards
from common.web.paging import Cursors
from common.web.provided import provided
from sharing.context import Context
from sharing.permissions import ACTIONS

guard: Final = Guards(ACTIONS)

ContextDep = Annotated[Context, Depends(provided(Context))]
CursorsDep = Annotated[Cursors, Depends(provided(Cursors))]
TrailDep = Annotated[AuditTrail, Depends(provided(AuditTrail))]


def demand_readable(trail: AuditTrail) -> None:
    """Show no personal data while reads cannot be accounted for (design section 9).

    Raises Problem(audit-backlog).
    """
    if not trail.ready():
        raise Problem("audit-backlog")
