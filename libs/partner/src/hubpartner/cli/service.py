"""hubctl service: an operator holds one service's work, or lets it go on."""

from enum import StrEnum
from typing import Annotated

import typer

from hubpartner.cli.session import say, with_hub

app = typer.Typer(no_args_is_help=True, help="Operator: hold a service, or let it go on.")


class Name(StrEnum):
    """The hub's services."""

    REFERRAL = "referral"
    SHARING = "sharing"
    AUDIT = "audit"
    IDENTITY = "identity"
    PORTAL = "portal"


NameArgument = Annotated[Name, typer.Argument(help="Which service")]


@app.command()
def pause(context: typer.Context, name: NameArgument) -> None:
    """Hold consumers and relays of a service; its API answers 503 until it is resumed. A restart resumes too."""
    with_hub(context, lambda client: client.switch(name.value, "pause"))
    say(f"{name.value} is paused. Nothing is lost; what waits for it waits.")


@app.command()
def resume(context: typer.Context, name: NameArgument) -> None:
    """Let a paused service go on."""
    with_hub(context, lambda client: client.switch(name.value, "resume"))
    say(f"{name.value} goes on.")
