"""What more than one folder's routes are given, by type."""

from typing import Annotated, Final

from fastapi import Depends

from audit.permissions import ACTIONS
from common.attempts import Attempt
from common.web import idempotency
from common.web.guard import Guards
from common.web.paging import Cursors
from common.web.provided import provided

guard: Final = Guards(ACTIONS)
Once = Annotated[Attempt, idempotency.required()]
CursorsDep = Annotated[Cursors, Depends(provided(Cursors))]
