"""What more than one folder's routes are given, by type."""

from typing import Annotated, Final

from fastapi import Depends

from common.web.guard import Guards
from common.web.provided import provided
from hubformats.bootstrap import Bootstrap
from identity.permissions import ACTIONS

guard: Final = Guards(ACTIONS)
BootstrapDep = Annotated[Bootstrap, Depends(provided(Bootstrap))]
