"""hubctl agency: an operator suspends or restores an agency."""

from enum import StrEnum
from typing import Annotated, NoReturn

import typer

from common.web.client import ProblemAnswer
from hubpartner.cli.session import say, say_error, with_hub
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
            help="Why it is stopped: key-compromise, data-breach, left-partnership, "
            "agency-request, investigation or exercise",
            metavar="CODE",
        ),
    ],
) -> None:
    """From now on nothing of this agency counts: no token, no delivery."""

    async def work(client: HubClient) -> None:
        try:
            await client.suspend(agency, reason_code.value)
        except ProblemAnswer as problem:
            _refuse_unknown(agency, problem)

    with_hub(context, work)
    say(
        f"{agency} is suspended; every service denies it within seconds, and after sixty without "
        "news denies anyway."
    )


@app.command()
def restore(context: typer.Context, agency: str) -> None:
    """The agency may act again."""

    async def work(client: HubClient) -> bool:
        try:
            was_suspended = bool((await client.agency(agency))["suspended"])
        except ProblemAnswer as problem:
            _refuse_unknown(agency, problem)
        if was_suspended:
            await client.restore(agency)
        return was_suspended

    say(
        f"{agency} is restored."
        if with_hub(context, work)
        else f"{agency} is not suspended; nothing was changed."
    )


def _refuse_unknown(agency: str, problem: ProblemAnswer) -> NoReturn:
    if problem.code != "not-found":
        raise problem
    say_error(
        f"There is no such agency: {agency}. Nothing was changed. An agency's name is that of its "
        "profile, such as northmoor-school."
    )
    raise typer.Exit(1)
