"""hubctl agency: an operator suspends or restores an agency."""

from enum import StrEnum
from typing import Annotated

import typer

from hubpartner.cli.session import say, with_hub
from hubpartner.client import HubClient


class Why(StrEnum):
    """Why an agency is stopped; the codes the hub takes."""

    KEY_COMPROMISE = "key-compromise"
    DATA_BREACH = "data-breach"
    LEFT_PARTNERSHIP = "left-partnership"
    AGENCY_REQUEST = "agency-request"
    INVESTIGATION = "investigation"
    EXERCISE = "exercise"


app = typer.Typer(no_args_is_help=True, help="Operator: suspend or restore an agency.")


@app.command()
def suspend(
    context: typer.Context,
    agency: str,
    reason_code: Annotated[
        Why,
        typer.Option(
            help="Why it is stopped: key-compromise, data-breach, left-partnership, agency-request, investigation or exercise",
            metavar="CODE",
        ),
    ],
) -> None:
    """From now on nothing of this agency counts: no token, no delivery."""
    with_hub(context, lambda client: client.suspend(agency, reason_code.value))
    say(f"{agency} is suspended; every service denies it within seconds, and after sixty without news denies anyway.")


@app.command()
def restore(context: typer.Context, agency: str) -> None:
    """The agency may act again."""

    async def work(client: HubClient) -> bool:
        was_suspended = bool((await client.agency(agency))["suspended"])
        if was_suspended:
            await client.restore(agency)
        return was_suspended

    say(f"{agency} is restored." if with_hub(context, work) else f"{agency} is not suspended; nothing was changed.")
