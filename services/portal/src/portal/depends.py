"""What routes ask for by type, and the guard's table of actions."""

from typing import Annotated, Final

from fastapi import Depends

from common.web.guard import Guards
from common.web.provided import provided
from portal.context import Context
from portal.permissions import ACTIONS

ContextDep = Annotated[Context, Depends(provided(Context))]

guard: Final = Guards(ACTIONS)
