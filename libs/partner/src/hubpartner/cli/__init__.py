"""The `hubctl` command: what a partner's developer, an auditor or an operator does from a shell."""

import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import click
import stamina.instrumentation

from hubformats.clock import ClockRefused, SystemClock
from hubformats.envelope import EnvelopeRefused
from hubformats.package_proof import PackageRefused
from hubformats.tlog import ProofRefused
from hubpartner.answers import CallFailed, ProblemAnswer, TokenRefused
from hubpartner.cli import agency, audit, inbox, key, proof, referral, service
from hubpartner.cli.completion import completion
from hubpartner.cli.headers import headers
from hubpartner.cli.session import (
    CommandFailed,
    FilePath,
    OutcomeUnknown,
    json_last,
    profile_first,
    say_error,
    say_error_json,
    wants_json,
)
from hubpartner.package_file import PackageFileRefused
from hubpartner.profile import ProfileRefused


@click.group(
    "hubctl", no_args_is_help=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.option(
    "--profile",
    type=FilePath,
    help="Profile file of your agency (or the variable HUBCTL_PROFILE)",
)
@click.version_option(version("hub-partner"), message="%(prog)s %(version)s")
@click.pass_context
def app(context: click.Context, profile: Path | None) -> None:
    """Send referrals, receive and check deliveries, verify the audit log."""
    context.obj = profile


for _group in (referral.app, inbox.app, audit.app, proof.app, service.app, agency.app, key.app):
    app.add_command(_group)
app.add_command(headers)
app.add_command(completion)

_TOKEN_ADVICE = {
    "unreachable": "the hub's identity service cannot be reached. Is the hub running?",
    "invalid_scope": "this profile's client may not do this. Commands of an operator need the "
    "operator's profile, an inbox an agency's.",
    "unauthorized_client": "this profile's agency is suspended, or its client may not do this. "
    "The hub's operator knows which.",
    "unusable": "the hub's identity service gave no usable answer; it may be paused. Try again "
    "later.",
    "invalid_client": "the hub does not know this client with this key. Is the profile of this "
    "hub, and of its newest start?",
}


_LATER = frozenset({429, 503})
"""Statuses of a hub that is there and says to try later, such as a paused service."""
_CODES: Mapping[type[Exception], str] = {
    CallFailed: "no-answer",
    ClockRefused: "clock-refused",
    ProfileRefused: "profile-refused",
    PackageFileRefused: "package-file-refused",
    click.Abort: "stopped",
}
"""Codes of failures that carry none, for programs."""

_KNOWN = (
    CommandFailed,
    ProblemAnswer,
    TokenRefused,
    CallFailed,
    ClockRefused,
    ProfileRefused,
    PackageFileRefused,
    PackageRefused,
    EnvelopeRefused,
    ProofRefused,
    OSError,
)


def main() -> None:
    """Run hubctl.

    Exit codes: 0 done, 1 refused or not verified, 2 used wrongly. 3 means that the hub cannot be
    reached or says to try later.
    """
    stamina.instrumentation.set_on_retry_hooks([])  # a person wants the outcome, not each try
    arguments = sys.argv[1:]
    as_json = wants_json(arguments)
    try:
        SystemClock()  # refuses a clock that a test left behind, before anything is asked
        left = app.main(
            profile_first(json_last(arguments)), prog_name="hubctl", standalone_mode=not as_json
        )
    except (*_KNOWN, click.ClickException, click.Abort) as error:
        code, lines = _explained(error)
        if as_json:
            say_error_json(_problem(error, " ".join(line.strip() for line in lines)))
        else:
            for line in lines:
                say_error(line)
        sys.exit(code)
    sys.exit(left if isinstance(left, int) else 0)


def _problem(error: Exception, sentence: str) -> dict[str, Any]:
    """Return the hub's own problem as it came, or one of the same members (RFC 9457)."""
    made: dict[str, Any] = {
        "type": "about:blank",
        "title": "The command did not succeed",
        "code": _code(error),
        "detail": sentence,
    }
    if isinstance(error, ProblemAnswer):
        made = {**made, "status": error.status, **error.body}
    if isinstance(error, OutcomeUnknown):
        made = {**made, **error.members}
    return made


def _code(error: Exception) -> str:
    if isinstance(error, click.ClickException):
        return "used-wrongly"
    return str(getattr(error, "code", "") or _CODES.get(type(error), "file-unusable"))


def _explained(error: Exception) -> tuple[int, Sequence[str]]:
    """Return the exit code, and what to say to a person, line by line."""
    match error:
        case ProblemAnswer():
            faults = (
                f"  {fault.get('in', 'body')} {fault.get('pointer', '')}: {fault.get('detail', '')}"
                for fault in error.errors
            )
            refusal = f"The hub refused ({error.status} {error.code}). {error.detail}"
            code = 3 if error.status in _LATER else 1
            return code, (refusal, *faults, f"  correlation id {error.correlation_id}")
        case TokenRefused():
            advice = _TOKEN_ADVICE.get(error.code, "check client, keys and scope of the profile.")
            code = 3 if error.code == "unreachable" else 1
            return code, (f"No access token was given ({error.code}): {advice}",)
        case CommandFailed():
            return error.exit_code, (str(error),)
        case click.ClickException():
            return error.exit_code, (error.format_message(),)
        case click.Abort():
            return 1, ("Stopped.",)
        case CallFailed():
            return 3, ("The hub gave no answer. Whether it was done is not known; call it again.",)
        case ClockRefused() | PackageFileRefused():
            return 2, (f"{error}.",)
        case ProfileRefused():
            return 2, (f"The profile cannot be used: {error}.",)
        case _:
            code, text = _unverified(error)
            return code, (text,)


def _unverified(error: Exception) -> tuple[int, str]:
    match error:
        case PackageRefused():
            return 1, (
                f"NOT VERIFIED: check {error.step} failed ({error.code}). Do not rely on this "
                "package."
            )
        case EnvelopeRefused():
            return 1, (
                f"NOT OPENED: {error.code}. It is not sealed to this profile's agency, or it was "
                "changed."
            )
        case ProofRefused():
            return 1, f"NOT VERIFIED: {error.code}."
        case OSError() if error.filename:
            return 2, f"The file {error.filename} cannot be read or written."
        case _:
            return 2, "A file named on the command line cannot be read or written."
