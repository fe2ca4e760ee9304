"""hubctl service: an operator holds one service's work or lets it go on, and replays what it set
aside."""

from collections.abc import Mapping, Sequence
from typing import Final, get_args

import click

from hubformats.set_aside import why as reason_in_words
from hubformats.wording import HOLDS
from hubpartner.cli.key_uses import key_uses
from hubpartner.cli.session import json_done, json_option, say, say_done, say_json, when, with_hub
from hubpartner.client import HubClient
from hubpartner.operating import ServiceName

WHY: Final = ("forged", "unreadable", "sent-anew", "obsolete", "exercise")
"""Why something set aside is let go of."""

_TAKES_DIGESTS: Final[dict[str, object]] = {
    "ignore_unknown_options": True,
    "help_option_names": ["--help"],
}
"""For commands that take digests: one in 64 begins with a hyphen, and some with -h."""
_STATES: Final = {"awaiting_receipt": "waiting", "proven": "waiting", "blocked": "held back"}
_NOT_RUNNING: Final = (
    "if it refused to start, the last line on its standard error names what to restore "
    "(docs/starting.md)"
)
_FAILED: Final = {
    "running": "is paused",
    "started": "is starting",
    "log": "the log has stopped itself: read-only until somebody has looked (docs/starting.md)",
    "audit": "waits for the audit log",
    "directory": "waits for news from identity, and denies everything until then",
}
_name = click.argument("name", type=click.Choice(get_args(ServiceName)))
_reason = click.option("--reason", help="Only set aside for this reason, such as agency-suspended")
_digests = click.argument("digests", nargs=-1)


@click.group("service", no_args_is_help=True)
def app() -> None:
    """Hold a service, let it go on, replay what it set aside (operator)."""


@app.command()
@json_option
@click.pass_context
def state(context: click.Context, as_json: bool) -> None:
    """Say of every service whether it works, is paused, waits for something, or does not run.

    Ends with status 3 unless all of them work.
    """

    async def ask(client: HubClient) -> dict[str, Mapping[str, bool] | None]:
        return {name: await client.readiness(name) for name in get_args(ServiceName)}

    found = with_hub(context, ask)
    if as_json:
        say_json(found)
    else:
        for name, checks in found.items():
            say(f"{name:<9} {_standing(checks)}")
    if not all(checks is not None and all(checks.values()) for checks in found.values()):
        context.exit(3)


def _standing(checks: Mapping[str, bool] | None) -> str:
    if checks is None:
        return f"does not run: {_NOT_RUNNING}"
    failed = [name for name, passes in checks.items() if not passes]
    return "; ".join(_FAILED.get(name, name) for name in failed) or "works"


@app.command()
@_name
@json_done
@click.pass_context
def pause(context: click.Context, name: ServiceName) -> None:
    """Hold consumers and relays of a service; its API answers 503 until it is resumed.

    A restart resumes too.
    """
    with_hub(context, lambda client: client.switch(name, "pause"))
    say_done(
        f"{name} is paused. Nothing is lost; what waits for it waits.",
        {"service": name, "paused": True},
    )


@app.command()
@_name
@json_done
@click.pass_context
def resume(context: click.Context, name: ServiceName) -> None:
    """Let a paused service go on."""
    with_hub(context, lambda client: client.switch(name, "resume"))
    say_done(f"{name} goes on.", {"service": name, "paused": False})


@app.command()
@_name
@click.option("--topic", help="Only of this topic")
@_reason
@json_option
@click.pass_context
def quarantine(
    context: click.Context, name: ServiceName, topic: str | None, reason: str | None, as_json: bool
) -> None:
    """List what a service set aside from the bus, oldest first: never content."""
    rows = with_hub(context, lambda client: client.quarantine(name, topic=topic, reason=reason))
    if as_json:
        say_json(rows)
        return
    if not rows:
        say(f"Nothing is set aside in {name}.")
    for row in rows:
        holds = "holds its case" if row["holds"] else "holds nothing"
        say(
            f"{when(row['receivedAt'])}  {row['reason']:<20} {row['topic']}  "
            f"{row.get('sender') or 'sender not proven'}  {holds}  {row['digest']}  "
            f"({reason_in_words(row['reason'])})"
        )


# A digest may begin with a hyphen; an option that is none ends as a topic that the hub refuses.
@app.command(context_settings=_TAKES_DIGESTS)
@_name
@click.argument("topic", required=False)
@_digests
@_reason
@json_done
@click.pass_context
def replay(
    context: click.Context,
    name: ServiceName,
    topic: str | None,
    digests: Sequence[str],
    reason: str | None,
) -> None:
    """Try again what a service set aside: of a topic, exactly these, or all of one reason.

    TOPIC is the one from which it was set aside, DIGESTS exactly these of it, as `quarantine` lists
    them. Every check of a new arrival is made again.
    """
    if topic is None and reason is None:
        raise click.BadParameter("name a topic or give --reason CODE")
    came_to = with_hub(
        context,
        lambda client: client.replay(name, topic=topic, reason=reason, digests=digests),
    )
    say_done(
        f"{came_to['applied']} applied, {came_to['known']} known before, {came_to['stillAside']} "
        f"still set aside, {came_to['absent']} no longer kept.",
        came_to,
    )


@app.command(context_settings=_TAKES_DIGESTS)
@_name
@click.argument("topic")
@_digests
@click.option(
    "--why",
    required=True,
    type=click.Choice(WHY),
    help="Why it can never be applied; it is on record",
)
@_reason
@json_done
@click.pass_context
def discard(
    context: click.Context,
    name: ServiceName,
    topic: str,
    digests: Sequence[str],
    why: str,
    reason: str | None,
) -> None:
    """Let go of what can never be applied.

    TOPIC is the one from which it was set aside, DIGESTS exactly these of it, as `quarantine` lists
    them. Without digests: all of the topic that nobody vouches for. It cannot be replayed
    afterwards.
    """
    came_to = with_hub(
        context,
        lambda client: client.discard(name, topic, why=why, reason=reason, digests=digests),
    )
    held = came_to["released"]
    more = " There may be more: call again." if came_to["more"] else ""
    say_done(
        f"{came_to['discarded']} let go "
        f"of{f', {held} of which held releases until now' if held else ''}.{more}",
        came_to,
    )


@app.command("decide-again")
@click.argument("deliveries", nargs=-1)
@click.option("--reason", help="All blocked for this reason, such as audit-rejected")
@click.option("--agency", help="With --case-reference: the agency that referred")
@click.option("--case-reference", help="A whole case, as that agency knows it")
@json_done
@click.pass_context
def decide_again(
    context: click.Context,
    deliveries: Sequence[str],
    reason: str | None,
    agency: str | None,
    case_reference: str | None,
) -> None:
    """Have what stays blocked in sharing decided on again.

    It is decided under the agreement in force; vetoes hold, nothing is sent twice. DELIVERIES are
    blocked deliveries.
    """
    came_to = with_hub(
        context,
        lambda client: client.decide_again(
            deliveries=deliveries, reason=reason, agency=agency, case_reference=case_reference
        ),
    )
    say_done(
        f"{_cases(came_to['cases'])} decided on again, {came_to['prepared']} "
        f"{'delivery' if came_to['prepared'] == 1 else 'deliveries'} prepared, "
        f"{_cases(came_to['unchanged'])} with nothing to decide, {came_to['failed']} failed."
        f"{' More are blocked: call again.' if came_to['more'] else ''}",
        came_to,
    )


app.add_command(key_uses)


@app.command()
@json_option
@click.pass_context
def stuck(context: click.Context, as_json: bool) -> None:
    """List what has not left sharing, by state and reason; no case and no person."""
    found = with_hub(context, lambda client: client.stuck())
    if as_json:
        say_json(found)
        return
    items, withheld, overdue = (
        found["items"],
        found["withheldWhileSuspended"],
        found["promisesOverdue"],
    )
    if not (items or withheld or overdue):
        say("Nothing waits and nothing is blocked.")
    for row in items:
        say(
            f"{row['count']:>5}  {_STATES.get(row['state'], row['state'])}: "
            f"{_hold(row['reason'])}, since {when(row['oldest'])}"
        )
    for row in withheld:
        say(
            f"{row['count']:>5}  withheld: {row['recipient']} was suspended when it was decided, "
            f"since {when(row['oldest'])}"
        )
    if overdue:
        say(f"{overdue:>5}  left on a promise: {HOLDS['promise-overdue']} (promise-overdue)")


def _hold(reason: str) -> str:
    """Say why in words, with the code that `decide-again --reason` takes."""
    words = HOLDS.get(reason, "")
    return f"{words} ({reason})" if words and reason else words or reason


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"
