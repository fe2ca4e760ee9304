"""hubctl agency: an operator suspends or restores an agency."""

from typing import Annotated

import typer

from hubpartner.cli.session import say, with_hub

app = typer.Typer(no_args_is_help=True, help="Operator: suspend or restore an agency.")


@app.command()
def suspend(
    context: typer.Context, agency: str, reason_code: Annotated[str, typer.Option(help="Coded reason, such as key_compromised")]
) -> None:
    """From now on nothing of this agency counts: no token, no delivery."""
    with_hub(context, lambda client: client.suspend(agency, reason_code))
    say(f"{agency} is suspended; every service denies it within seconds, and after sixty without news denies anyway.")


@app.command()
def restore(context: typer.Context, agency: str) -> None:
    """The agency may act again."""
    with_hub(context, lambda client: client.restore(agency))
    say(f"{agency} is restored.")
