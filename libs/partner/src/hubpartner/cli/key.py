"""hubctl key: an agency retires a signing key of its own, without being suspended."""

from datetime import datetime
from pathlib import Path

import click

from hubformats.clock import SystemClock
from hubpartner.cli.session import (
    CommandFailed,
    ExistingFile,
    chosen_profile,
    command,
    json_done,
    profile_of,
    say_done,
    with_hub,
)
from hubpartner.client import HubClient
from hubpartner.key_retirement import RootRefused, Wanted, adopt, next_key, read_root, retire


@click.group("key", no_args_is_help=True)
def app() -> None:
    """Manage your agency's own keys."""


@app.command("retire")
# An option, because one key id in 64 begins with a hyphen and would be read as an option
@click.option("--key", "key_id", metavar="KEY_ID", help="Another of your keys than this profile's")
@click.option(
    "--root",
    type=ExistingFile,
    required=True,
    help="Your agency's private root key, which signs its set of keys",
)
@click.option(
    "--compromised-since",
    metavar="TIME",
    help="From when on somebody else may have signed with it, such as 2026-11-28T21:30:00Z",
)
@json_done
@click.pass_context
def retire_key(
    context: click.Context, key_id: str | None, root: Path, compromised_since: str | None
) -> None:
    """Retire a signing key: this profile's, or the one that --key names.

    Whatever it signed since that time is set aside. What of it was used before is told to you
    (`inbox notices`), and is for you to judge. What it signed before stays valid. If no other
    key is left, a new one is made, and this profile signs with it from now on.
    """
    place = chosen_profile(context)
    if place is None:
        raise click.UsageError("Give --profile FILE before the command, or set HUBCTL_PROFILE.")
    profile = profile_of(context)
    since = None if compromised_since is None else _moment(compromised_since)
    kid = key_id or profile.signing.kid
    successor = next_key(place, profile.agency)
    wanted = Wanted(kid, SystemClock().now(), since, successor, place)

    async def work(client: HubClient) -> bool:
        return await retire(client, read_root(root, profile.agency), wanted)

    try:
        added = with_hub(context, work)
    except RootRefused as refused:
        raise CommandFailed(1, "root-refused", f"Nothing was changed: {refused}.") from None
    adopt(place, successor if added else None)
    told = (
        ""
        if since is None
        else (
            " What it signed since then is set aside. What of it was used before is told to you in "
            f"a minute: {command(context, 'inbox notices')}"
        )
    )
    new = " This profile signs with a new key from now on." if added else ""
    say_done(
        f"The key {kid} is retired.{told}{new}",
        {"keyId": kid, "retired": True, "newKeyId": successor.kid if added else None},
    )


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise click.BadParameter(
            "give the day, the time and its zone, such as 2026-11-28T21:30:00Z",
            param_hint="--compromised-since",
        )
    return found
