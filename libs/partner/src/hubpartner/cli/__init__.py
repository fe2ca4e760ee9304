"""The `hubctl` command: what a partner's developer, an auditor or an operator does from a shell."""

import sys
from importlib.metadata import version
from pathlib import Path

import click
import stamina.instrumentation

from hubformats.envelope import EnvelopeRefused
from hubformats.package_proof import PackageRefused
from hubformats.tlog import ProofRefused
from hubpartner.answers import CallFailed, ProblemAnswer, TokenRefused
from hubpartner.cli import agency, audit, inbox, proof, referral, service
from hubpartner.cli.completion import completion
from hubpartner.cli.headers import headers
from hubpartner.cli.session import FilePath, profile_first, say_error
from hubpartner.package_file import PackageFileRefused
from hubpartner.profile import ProfileRefused


@click.group("hubctl", no_args_is_help=True)
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


for _group in (referral.app, inbox.app, audit.app, proof.app, service.app, agency.app):
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


def main() -> None:
    """Entry point.

    Exit codes: 0 done, 1 refused or not verified, 2 used wrongly, 3 the hub cannot be reached.
    """
    stamina.instrumentation.set_on_retry_hooks([])  # a person wants the outcome, not each try
    try:
        app.main(profile_first(sys.argv[1:]), prog_name="hubctl")
    except ProblemAnswer as problem:
        say_error(f"The hub refused ({problem.status} {problem.code}). {problem.detail}")
        for fault in problem.errors:
            say_error(
                f"  {fault.get('in', 'body')} {fault.get('pointer', '')}: {fault.get('detail', '')}"
            )
        say_error(f"  correlation id {problem.correlation_id}")
        sys.exit(1)
    except TokenRefused as refused:
        say_error(
            f"No access token was given ({refused.code}): "
            f"{_TOKEN_ADVICE.get(refused.code, 'check client, keys and scope of the profile.')}"
        )
        sys.exit(3 if refused.code == "unreachable" else 1)
    except CallFailed:
        say_error(
            "The hub gave no answer. Nothing is known to have happened; the call may be repeated."
        )
        sys.exit(3)
    except ProfileRefused as refused:
        say_error(f"The profile cannot be used: {refused}.")
        sys.exit(2)
    except PackageFileRefused as refused:
        say_error(f"{refused}.")
        sys.exit(2)
    except PackageRefused as refused:
        say_error(
            f"NOT VERIFIED: check {refused.step} failed ({refused.code}). Do not rely on this "
            "package."
        )
        sys.exit(1)
    except EnvelopeRefused as refused:
        say_error(
            f"NOT OPENED: {refused.code}. It is not sealed to this profile's agency, or it was "
            "changed."
        )
        sys.exit(1)
    except ProofRefused as refused:
        say_error(f"NOT VERIFIED: {refused.code}.")
        sys.exit(1)
    except OSError as error:
        named = (
            f"The file {error.filename}" if error.filename else "A file named on the command line"
        )
        say_error(f"{named} cannot be read or written.")
        sys.exit(2)
