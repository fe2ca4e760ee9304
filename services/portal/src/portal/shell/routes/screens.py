"""Pages that belong to no task: "Hide this screen", the statement, and where no screens are."""

from typing import Final

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.responses import Response

from common.database import DatabaseStopped, DatabaseUnavailable
from portal.depends import ContextDep
from portal.shell.ports import ShellPorts
from portal.shell.routes.layout import ShowDep, see_other
from portal.shell.routes.session import (
    ANYONE,
    SIGNED_IN,
    Cookie,
    CookieDep,
    ShellDep,
    session_if_any,
)

router = APIRouter(include_in_schema=False, dependencies=[ANYONE])

_CLEAR: Final = '"cache", "cookies", "storage"'


@router.get("/leave")
async def leave(context: ContextDep, cookie: CookieDep, shell: ShellDep) -> Response:
    """Hide this screen: without a script, without a question asked.

    The visit is over before the answer leaves.
    """
    answer = gone(cookie, see_other(context.neutral_place))
    try:
        await _end(cookie, shell, answer)
    except (DatabaseStopped, DatabaseUnavailable):
        return answer  # the browser forgets its cookie all the same, and nobody else has it
    return answer


async def _end(cookie: Cookie, shell: ShellPorts, answer: Response) -> None:
    session = await session_if_any(cookie, shell)
    if session is not None:
        await shell.sessions.end(cookie.value)
        # Afterwards, so that a slow authorization server cannot keep the screen visible.
        answer.background = BackgroundTask(shell.revocation.revoke, session)


def gone(cookie: Cookie, answer: Response) -> Response:
    """Have the browser forget the visit and what it has seen."""
    cookie.forget(answer)
    answer.headers["Clear-Site-Data"] = _CLEAR
    return answer


@router.get("/no-screens", dependencies=[SIGNED_IN])
async def show_no_screens(show: ShowDep) -> Response:
    """Tell a role whose work is done with other tools."""
    return show("shell/no_screens.html")


@router.get("/hidden")
async def show_hidden(show: ShowDep) -> Response:
    """Show where "Hide this screen" leads, unless a deployment names its own neutral page."""
    return show("shell/hidden.html")


@router.get("/accessibility")
async def show_accessibility(show: ShowDep) -> Response:
    """Show the accessibility statement."""
    return show("shell/accessibility.html")
