"""hubctl service: an operator holds one service's work or lets it go on, and replays what it set
aside."""

from enum import StrEnum
from typing import Annotated

import typer

from hubpartner.cli.session import JsonOption, say, say_json, with_hub

app = typer.Typer(
    no_args_is_help=True, help="Operator: hold a service, let it go on, replay what it set aside."
)


class Name(StrEnum):
    """The hub's services."""

    REFERRAL = "referral"
    SHARING = "sharing"
    AUDIT = "audit"
    IDENTITY = "identity"
    PORTAL = "portal"


class Why(StrEnum):
    """Why something set aside is let go of."""

    FORGED = "forged"
    UNREADABLE = "unreadable"
    SENT_ANEW = "sent-anew"
    OBSOLETE = "obsolete"
    EXERCISE = "exercise"


NameArgument = Annotated[Name, typer.Argument(help="Which service")]
ReasonOption = Annotated[
    str | None,
    typer.Option("--reason", help="Only set aside for this reason, such as agency-suspended"),
]


@app.command()
def pause(context: typer.Context, name: NameArgument) -> None:
    """Hold consumers and relays of a service; its API answers 503 until it is resumed.

    A restart resumes too.
    """
    with_hub(context, lambda client: client.switch(name.value, "pause"))
    say(f"{name.value} is paused. Nothing is lost; what waits for it waits.")


@app.command()
def resume(context: typer.Context, name: NameArgument) -> None:
    """Let a paused service go on."""
    with_hub(context, lambda client: client.switch(name.value, "resume"))
    say(f"{name.value} goes on.")


@app.command()
def quarantine(
    context: typer.Context,
    name: NameArgument,
    topic: Annotated[
        str | None, typer.Option(help="Only of this topic", show_default=False)
    ] = None,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
) -> None:
    """List what a service set aside from the bus, oldest first: never content."""
    rows = with_hub(
        context, lambda client: client.quarantine(name.value, topic=topic, reason=reason)
    )
    if as_json:
        say_json(rows)
        return
    if not rows:
        say(f"Nothing is set aside in {name.value}.")
    for row in rows:
        holds = "holds its case" if row["holds"] else "holds nothing"
        say(
            f"{row['receivedAt']}  {row['reason']:<20} {row['topic']}  "
            f"{row.get('sender') or 'sender not proven'}  {holds}  {row['digest']}"
        )


# A digest may begin with a hyphen; an option that is none ends as a topic that the hub refuses.
@app.command(context_settings={"ignore_unknown_options": True})
def replay(
    context: typer.Context,
    name: NameArgument,
    topic: Annotated[
        str | None, typer.Argument(help="Topic from which it was set aside", show_default=False)
    ] = None,
    digests: Annotated[
        list[str] | None,
        typer.Argument(help="Exactly these of it, as `quarantine` lists them", show_default=False),
    ] = None,
    reason: ReasonOption = None,
) -> None:
    """Try again what a service set aside: of a topic, exactly these, or all of one reason.

    Every check of a new arrival is made again.
    """
    if topic is None and reason is None:
        raise typer.BadParameter("name a topic or give --reason CODE")
    came_to = with_hub(
        context,
        lambda client: client.replay(name.value, topic=topic, reason=reason, digests=digests or ()),
    )
    say(
        f"{came_to['applied']} applied, {came_to['known']} known before, {came_to['stillAside']} "
        "still set aside, "
        f"{came_to['absent']} no longer kept."
    )


@app.command(context_settings={"ignore_unknown_options": True})
def discard(
    context: typer.Context,
    name: NameArgument,
    topic: Annotated[str, typer.Argument(help="Topic from which it was set aside")],
    why: Annotated[Why, typer.Option(help="Why it can never be applied; it is on record")],
    digests: Annotated[
        list[str] | None,
        typer.Argument(help="Exactly these of it, as `quarantine` lists them", show_default=False),
    ] = None,
    reason: ReasonOption = None,
) -> None:
    """Let go of what can never be applied.

    Without digests: all of the topic that nobody vouches for. It cannot be replayed afterwards.
    """
    came_to = with_hub(
        context,
        lambda client: client.discard(
            name.value, topic, why=why.value, reason=reason, digests=digests or ()
        ),
    )
    held = came_to["released"]
    say(
        f"{came_to['discarded']} let go "
        f"of{f', {held} of which held releases until now' if held else ''}."
    )
    if came_to["more"]:
        say("There may be more: call again.")


@app.command("decide-again")
def decide_again(
    context: typer.Context,
    deliveries: Annotated[
        list[str] | None, typer.Argument(help="Blocked deliveries", show_default=False)
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option("--reason", help="All blocked for this reason, such as audit-rejected"),
    ] = None,
    agency: Annotated[
        str | None, typer.Option(help="With --case-reference: the agency that referred")
    ] = None,
    case_reference: Annotated[
        str | None, typer.Option(help="A whole case, as that agency knows it")
    ] = None,
) -> None:
    """Have what stays blocked in sharing decided on again, under the agreement in force; vetoes
    hold, nothing is sent twice.
    """
    came_to = with_hub(
        context,
        lambda client: client.decide_again(
            deliveries=deliveries or (), reason=reason, agency=agency, case_reference=case_reference
        ),
    )
    say(
        f"{_cases(came_to['cases'])} decided on again, {came_to['prepared']} "
        f"{'delivery' if came_to['prepared'] == 1 else 'deliveries'} prepared, "
        f"{_cases(came_to['unchanged'])} with nothing to decide, {came_to['failed']} failed."
        f"{' More are blocked: call again.' if came_to['more'] else ''}"
    )


@app.command()
def stuck(context: typer.Context, as_json: JsonOption = False) -> None:
    """What has not left sharing, by state and reason; no case and no person."""
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
            f"{row['count']:>5}  {row['state']:<17} {row['reason'] or '-':<22} since "
            f"{row['oldest']}"
        )
    for row in withheld:
        say(
            f"{row['count']:>5}  {'withheld':<17} {'suspended: ' + row['recipient']:<22} since "
            f"{row['oldest']}"
        )
    if overdue:
        say(f"{overdue:>5}  {'released':<17} {'log entry overdue':<22} promised in an emergency")


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count} cases"
