"""hubctl agency: an operator suspends or restores an agency."""

from typing import Final, NoReturn

import click

from hubpartner.answers import ProblemAnswer
from hubpartner.cli.session import (
    CommandFailed,
    create_with_hub,
    json_done,
    key_option,
    say_done,
    with_hub,
)
from hubpartner.client import HubClient

REASONS: Final = (
    "key-compromise",
    "data-breach",
    "left-partnership",
    "agency-request",
    "investigation",
    "exercise",
)
"""Why an agency is stopped; the codes the hub takes."""


@click.group("agency", no_args_is_help=True)
def app() -> None:
    """Suspend or restore an agency (operator)."""


@app.command()
@click.argument("agency")
@click.option(
    "--reason-code",
    required=True,
    type=click.Choice(REASONS),
    metavar="CODE",
    help=f"Why it is stopped: {', '.join(REASONS[:-1])} or {REASONS[-1]}",
)
@json_done
@key_option
@click.pass_context
def suspend(context: click.Context, agency: str, reason_code: str) -> None:
    """Suspend an agency: from now on none of its tokens and deliveries counts."""

    async def work(client: HubClient, key: str) -> None:
        try:
            await client.suspend(agency, reason_code, idempotency_key=key)
        except ProblemAnswer as problem:
            _refuse_unknown(agency, problem)

    create_with_hub(context, work)
    say_done(
        f"{agency} is suspended; every service denies it within seconds, and after sixty without "
        "news denies anyway.",
        {"agency": agency, "suspended": True},
    )


@app.command()
@click.argument("agency")
@json_done
@click.pass_context
def restore(context: click.Context, agency: str) -> None:
    """Let the agency act again."""

    async def work(client: HubClient) -> bool:
        try:
            was_suspended = bool((await client.agency(agency))["suspended"])
        except ProblemAnswer as problem:
            _refuse_unknown(agency, problem)
        if was_suspended:
            await client.restore(agency)
        return was_suspended

    changed = with_hub(context, work)
    say_done(
        f"{agency} is restored." if changed else f"{agency} is not suspended; nothing was changed.",
        {"agency": agency, "suspended": False, "changed": changed},
    )


def _refuse_unknown(agency: str, problem: ProblemAnswer) -> NoReturn:
    if problem.code != "not-found":
        raise problem
    raise CommandFailed(
        1,
        "agency-unknown",
        f"There is no such agency: {agency}. Nothing was changed. An agency's name is that of its "
        "profile, such as northmoor-school.",
    )
