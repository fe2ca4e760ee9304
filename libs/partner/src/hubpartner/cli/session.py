"""The profile a command runs under, and how commands speak."""

import asyncio
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from hubformats import dates
from hubformats.ids import opaque
from hubformats.visible_text import visible, visible_json
from hubpartner.answers import CallFailed, ProblemAnswer
from hubpartner.client import HubClient, hub
from hubpartner.profile import Profile, ProfileRefused, read_profile

T = TypeVar("T")


FilePath = click.Path(path_type=Path)
ExistingFile = click.Path(exists=True, dir_okay=False, path_type=Path)
_KEY: Final = "hubpartner.idempotency-key"


def _keep_key(context: click.Context, _option: click.Parameter, given: str | None) -> None:
    if given is not None and re.fullmatch(r"[A-Za-z0-9_-]{16,64}", given) is None:
        raise click.BadParameter("it is 16 to 64 characters: letters A-Z a-z, digits, - and _.")
    context.meta[_KEY] = opaque() if given is None else given


key_option = click.option(
    "--idempotency-key",
    callback=_keep_key,
    expose_value=False,
    help="Repeat an earlier try safely with its key",
)
"""For commands that run with `create_with_hub`."""
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON, for programs")


def _note_json(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    context.meta[_JSON] = wanted


_JSON: Final = "hubpartner.json"
json_done = click.option(
    "--json",
    is_flag=True,
    expose_value=False,
    callback=_note_json,
    help="Answer as JSON, for programs",
)
"""For a command that ends with `say_done`."""


class CommandFailed(Exception):
    """A command cannot do its work; `exit_code`, a code for programs, a sentence for people."""

    def __init__(self, exit_code: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.exit_code, self.code = exit_code, code


class OutcomeUnknown(CommandFailed):
    """Nobody knows whether something was made; the text says how to find out.

    `members` tell a program the same.
    """

    def __init__(self, code: str, sentence: str, key: str) -> None:
        super().__init__(3, code, sentence)
        self.members = {"mayBeDone": True, "idempotencyKey": key}


def wants_json(arguments: Sequence[str]) -> bool:
    """Tell whether --json stands anywhere on the command line."""
    return "--json" in _options(arguments)


def json_last(arguments: Sequence[str]) -> list[str]:
    """Move --json behind the command it is meant for, wherever it was typed."""
    options = _options(arguments)
    others = [word for word in options if word != "--json"]
    moved = ["--json"] if len(others) < len(options) else []
    return [*others, *moved, *arguments[len(options) :]]


def _options(arguments: Sequence[str]) -> Sequence[str]:
    """Give what stands before `--`."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def when(value: object) -> str:
    """Write a moment in London's time, as pages do; any other text stays as it is."""
    try:
        return dates.moment(str(value))
    except ValueError:
        return str(value)


def profile_first(arguments: Sequence[str]) -> list[str]:
    """Move --profile FILE before the command, wherever it was typed."""
    ends = arguments.index("--") if "--" in arguments else len(arguments)
    found: list[str] = []
    rest: list[str] = []
    words = iter(arguments[:ends])
    for word in words:
        if word == "--profile":
            found += [word, *(file for file in [next(words, None)] if file is not None)]
        else:
            (found if word.startswith("--profile=") else rest).append(word)
    return [*found, *rest, *arguments[ends:]]


def chosen_profile(context: click.Context) -> Path | None:
    """Return the profile file named by --profile, else by HUBCTL_PROFILE, else None."""
    named = context.obj or os.environ.get("HUBCTL_PROFILE")
    return Path(named) if named else None


def profile_of(context: click.Context) -> Profile:
    """Read the chosen profile. Raises ProfileRefused when none was chosen."""
    chosen = chosen_profile(context)
    if chosen is None:
        raise ProfileRefused(
            "none was chosen; give --profile FILE before the command, or set HUBCTL_PROFILE"
        )
    return read_profile(chosen)


def command(context: click.Context, rest: str) -> str:
    """Write a follow-up command that runs as printed.

    It names this program as it was called, with the profile given on the command line.
    """
    program = sys.argv[0]
    named = "hubctl" if shutil.which("hubctl") == program else program
    profile = f" --profile {shlex.quote(str(context.obj))}" if context.obj else ""
    return f"{shlex.quote(named)}{profile} {rest}"


def with_hub(context: click.Context, work: Callable[[HubClient], Awaitable[T]]) -> T:
    """Run one piece of work against the hub as the chosen profile."""
    profile = profile_of(context)

    async def run() -> T:
        async with hub(profile) as client:
            return await work(client)

    return asyncio.run(run())


def create_with_hub(
    context: click.Context, work: Callable[[HubClient, str], Awaitable[T]], *, look: str = ""
) -> T:
    """Run a piece of work that makes something, under the key of `key_option`.

    `look` is the command that shows whether it was made, if there is one.

    Raises OutcomeUnknown when no answer tells, and when the person stops the command.
    """
    key = context.meta[_KEY]
    try:
        return with_hub(context, lambda client: work(client, key))
    except CallFailed:
        code, became = "no-answer", "The hub gave no answer."
    except KeyboardInterrupt:
        code, became = "stopped", "Stopped."
    except ProblemAnswer as problem:
        if not problem.leaves_open:
            raise
        code, became = problem.code, f"The hub refused ({problem}). {problem.detail}".strip()
        became += f" Correlation id: {problem.correlation_id or 'none'}."
    ways = f"Look with {command(context, look)}, or repeat" if look else "Repeat"
    raise OutcomeUnknown(
        code,
        f"{became} It may have been taken in. {ways} with --idempotency-key {key}, which sends "
        "nothing twice.",
        key,
    )


def say(text: str) -> None:
    """Print a line for a person; what could steer the terminal is written out."""
    sys.stdout.write(visible(text) + "\n")


def say_done(text: str, facts: Mapping[str, Any]) -> None:
    """Say what was done: a line for a person, or the facts where --json was given."""
    if click.get_current_context().meta.get(_JSON):
        say_json(facts)
    else:
        say(text)


def say_whole(text: str) -> None:
    """Print lines for a person, of which every value was made one line before."""
    sys.stdout.write(visible(text, lines=True) + "\n")


def say_json(value: Any) -> None:
    """Print a value for a program, which a terminal can show too."""
    sys.stdout.write(visible_json(json.dumps(value, indent=2, ensure_ascii=False)) + "\n")


def say_error_json(problem: dict[str, Any]) -> None:
    """Print a failure for a program: one problem object of RFC 9457 on standard error."""
    sys.stderr.write(visible_json(json.dumps(problem, indent=2, ensure_ascii=False)) + "\n")


def say_error(text: str) -> None:
    """Print a line on standard error, written out like `say`."""
    sys.stderr.write(visible(text) + "\n")
