"""Say what waits for the audit log, also while nothing else can be read because it is silent."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from hubformats.wording import not_left
from hubpartner.answers import ProblemAnswer
from hubpartner.cli.session import profile_of, say, with_hub
from hubpartner.client import HubClient

SUPPORT: Final = "call the hub's support on 01632 960000, any hour"
_SIDES: Final = (("received", "to your agency"), ("sent", "of your agency's referrals"))
DANGER: Final = "If somebody is in danger now, call 999."


async def delays_of(client: HubClient) -> dict[str, Any]:
    """Ask what waits for the audit log; a hub of before, which does not know that, says nothing."""
    try:
        return await client.delayed()
    except ProblemAnswer as refused:
        if refused.status == 404:
            return {}
        raise


def say_delays(context: click.Context, found: Mapping[str, Any]) -> None:
    """Say on either side what has not left, since when, and who can act."""
    for line in _lines(found, f"{profile_of(context).portal_url}/emergency"):
        say(line)


def say_backlog(context: click.Context, refused: ProblemAnswer) -> None:
    """Say what waits when a read is refused because the audit log is too far behind."""
    if refused.code == "audit-backlog":
        say_delays(context, with_hub(context, delays_of))


def _lines(found: Mapping[str, Any], release: str) -> Iterator[str]:
    acts = {
        "received": f"A coordinator of the agency that referred can release: {SUPPORT}.",
        "sent": f"A coordinator of yours can release in an emergency: {release}",
    }
    told = [
        (side, not_left(found[side]["urgent"], found[side]["others"], whose, found[side]["since"]))
        for side, whose in _SIDES
        if found and found[side]["since"]
    ]
    for side, text in told:
        yield f"WAITING: {text}: no entry in the audit log yet. {acts[side]}"
    if told:
        yield f"Nothing is lost. {DANGER}"
