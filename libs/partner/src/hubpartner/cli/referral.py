"""hubctl referral: send a referral, hear what became of it, forbid disclosure."""

import json
import shlex
from pathlib import Path
from typing import Any, Final

import click

from hubformats.wording import ANSWERS, DUTIES, rule
from hubpartner.answers import ProblemAnswer
from hubpartner.cli.delays import say_backlog
from hubpartner.cli.session import (
    CommandFailed,
    FilePath,
    command,
    create_with_hub,
    json_option,
    key_option,
    profile_of,
    say,
    say_json,
    when,
    with_hub,
)

BECAME: Final = ("sent-again", "told-otherwise", "not-needed")
"""What became of a refused referral."""

_MEANING = {
    "already-completed": ": the form was taken in before this repeat; acknowledge: sent-again",
    "external-reference-exists": ": another referral stands under this reference. If it is the "
    "same one, acknowledge: sent-again",
}
_STATES = {
    "decided": "may know; waits for its entry in the audit log",
    "released": "package delivered to its inbox",
    "saved": "accepted, with a signed receipt",
    "blocked": "held back; the hub's desk is looking at it",
    "withdrawn": "taken back; what was read cannot be unread",
}
_ANSWERS = {
    "awaited": "its answer is awaited",
    "overdue": "its answer is OVERDUE",
    **{code: f"it answered: {words.lower()}" for code, words in ANSWERS.items()},
}


_PROOFS = {
    "overdue": "promised in an emergency; its proof is overdue",
    "broken": "promised in an emergency; there will be no proof",
}


@click.group("referral", no_args_is_help=True)
def app() -> None:
    """Send referrals and hear what became of them."""


@app.command()
@click.argument("file", type=FilePath)
@click.option("--dry-run", is_flag=True, help="Check only; nothing is stored or sent")
@key_option
@json_option
@click.pass_context
def submit(context: click.Context, file: Path, dry_run: bool, as_json: bool) -> None:
    """Send the referral in FILE, full or urgent.

    FILE is JSON; see examples/.
    """
    form = _read(file)
    if dry_run:
        answer = with_hub(context, lambda client: client.submit_referral(form, dry_run=True))
    else:
        answer = create_with_hub(
            context,
            lambda client, key: client.submit_referral(form, idempotency_key=key),
            look=_look_for(form),
        )
    if as_json:
        say_json(answer)
        return
    risk, sender = answer["risk"], profile_of(context).agency
    if dry_run:
        say(f"Checked as {sender}.")
        say(f"Would be taken in. Risk {risk['level']} ({rule(risk['rule'])}). Nothing was stored.")
        _say_warnings(answer)
        return
    say(f"Sent as {sender}.")
    say(f"Referral {answer['referralId']} taken in, your case reference {answer['caseReference']}.")
    say(f"Risk {risk['level']} ({rule(risk['rule'])}).")
    _say_warnings(answer)
    say(f"What became of it: {command(context, 'referral show ' + answer['referralId'])}")


@app.command()
@click.argument("referral_id")
@json_option
@click.pass_context
def show(context: click.Context, referral_id: str, as_json: bool) -> None:
    """Show a referral of yours and what became of it."""
    try:
        answer = with_hub(context, lambda client: client.read_referral(referral_id))
    except ProblemAnswer as refused:
        if not as_json:
            say_backlog(context, refused)
        raise
    if as_json:
        say_json(answer)
        return
    say(
        f"Referral {answer['referralId']}, case {answer['caseReference']}, version "
        f"{answer['version']}, risk {answer['risk']['level']}"
    )
    if not answer["outcomes"]:
        say("  decided: nobody was told" if answer["decided"] else "  nothing decided yet")
    for outcome in answer["outcomes"]:
        proof = f", {_PROOFS.get(outcome['proof'], outcome['proof'])}" if outcome["proof"] else ""
        if outcome.get("earlierPromise"):
            proof += (
                "; an earlier version was "
                f"{_PROOFS.get(outcome['earlierPromise'], outcome['earlierPromise'])}"
            )
        if outcome.get("answer"):
            proof += f"; {_answered(outcome)}"
        say(
            f"  {outcome['recipient']}: {_STATES.get(outcome['state'], outcome['state'])}{proof} "
            f"({when(outcome['changedAt'])})"
        )
    if any(outcome.get("waitingSince") for outcome in answer["outcomes"]):
        say(
            f"{'URGENT: not' if answer.get('provisional') else 'Not'} everybody was told yet. If "
            "somebody is in danger now, call 999 and ring them. A coordinator of yours can release "
            f"what waits: {profile_of(context).portal_url}/emergency"
        )


@app.command("list")
@click.option("--external-reference", help="Only those sent under this reference of yours")
@click.option("--changed-since", help="Only those changed then or later: 2026-01-31T21:40:00Z")
@json_option
@click.pass_context
def list_sent(
    context: click.Context,
    external_reference: str | None,
    changed_since: str | None,
    as_json: bool,
) -> None:
    """List the referrals you sent, the oldest change first."""
    found = with_hub(
        context,
        lambda client: client.sent_referrals(
            external_reference=external_reference, changed_since=changed_since
        ),
    )
    if as_json:
        say_json(found)
        return
    if not found:
        say("None found.")
    for one in found:
        say(
            f"{one['referralId']}  {when(one['changedAt'])}  {one['form']}, {one['state']}, "
            f"version {one['version']}, case {one['caseReference']}, your reference "
            f"{one['externalReference'] or 'none'}"
        )


@app.command()
@click.argument("referral_id")
@click.option("--reason", prompt=True, help="Why; kept sealed, sent to nobody")
@click.option(
    "--agency",
    required=True,
    help="Agency that must not know, such as northmoor-social-care; '*' for every agency",
)
@click.option(
    "--category",
    default="*",
    show_default=True,
    help="Kind of information it must not know; * for everything",
)
@key_option
@json_option
@click.pass_context
def forbid(
    context: click.Context,
    referral_id: str,
    reason: str,
    agency: str,
    category: str,
    as_json: bool,
) -> None:
    """Set must-not-disclose on the referral's case, from this moment on.

    What was told to that agency is taken back as well.
    """
    answer = create_with_hub(
        context,
        lambda client, key: client.forbid_disclosure(
            referral_id, agency=agency, category=category, reason=reason, idempotency_key=key
        ),
        look=f"referral show {shlex.quote(referral_id)}",
    )
    if as_json:
        say_json(answer)
        return
    who = "no agency may" if agency == "*" else f"{agency} must not"
    what = "anything" if category == "*" else category
    say(
        f"Marked: {who} know {what} of this case. Case version {answer['version']}. What was "
        "already read cannot be unread."
    )


@app.group(invoke_without_command=True)
@json_option
@click.pass_context
def refused(context: click.Context, as_json: bool) -> None:
    """List referrals of yours that were refused and stand so."""
    if context.invoked_subcommand is not None:
        return
    found = with_hub(context, lambda client: client.refused_intakes())
    if as_json:
        say_json(found)
        return
    if not found:
        say("Nothing stands refused.")
    for one in found:
        say(f"{one['id']}  {when(one['at'])}  {one['code']}{_MEANING.get(one['code'], '')}")
    if found:
        say(
            "Your own system knows which these are by their time; this list shows nothing of what "
            "they held."
        )
        say(
            "One leaves this list when it is sent again, with the same externalReference or "
            "Idempotency-Key, and accepted."
        )
        say(
            "Otherwise say what became of it: "
            f"{command(context, 'referral refused acknowledge ID --reason ' + '|'.join(BECAME))}"
        )


@refused.command()
@click.argument("refused_id")
@click.option("--reason", prompt=True, type=click.Choice(BECAME), help="What became of it")
@json_option
@click.pass_context
def acknowledge(context: click.Context, refused_id: str, reason: str, as_json: bool) -> None:
    """End the alarm of one that no accepted referral will correct."""
    answer = with_hub(context, lambda client: client.acknowledge_refused(refused_id, reason))
    if as_json:
        say_json(answer)
        return
    say(f"Acknowledged: refused {when(answer['at'])}, {answer['code']}.")


@app.command("code-lists")
@click.option("--json", is_flag=True, expose_value=False, help="It is JSON in any case")
@click.pass_context
def code_lists(context: click.Context) -> None:
    """Print the code lists, instruments and rules in force as JSON."""
    say_json(with_hub(context, lambda client: client.code_lists()))


def _answered(outcome: dict[str, Any]) -> str:
    """Say what came of a question. Once told again, the answer is not about what stands now."""
    code, duty = outcome["answer"], outcome.get("duty") or ""
    earlier = code != "corrected" and outcome["state"] != "withdrawn"
    about = "about what it was told before, " if earlier else ""
    kept = f" ({DUTIES.get(duty, duty)})" if duty else ""
    return f"{about}{_ANSWERS.get(code, code)}{kept}"


def _say_warnings(answer: dict[str, Any]) -> None:
    """Say where the form contradicts itself: taken in, and for a person to look at now."""
    for one in answer.get("warnings", ()):
        say(f"LOOK AT {one['pointer']}: {one['detail']}.")


def _look_for(form: dict[str, Any]) -> str:
    """Write the command that finds this referral if it was taken in."""
    reference = form.get("externalReference")
    if not isinstance(reference, str) or not reference:
        return "referral list"
    return f"referral list --external-reference {shlex.quote(reference)}"


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except OSError:
        raise CommandFailed(2, "file-unreadable", f"The file {file} cannot be read.") from None
    except ValueError:
        raise CommandFailed(2, "file-not-json", f"The file {file} is not JSON in UTF-8.") from None
    if not isinstance(value, dict):
        raise CommandFailed(2, "file-not-json", f"The file {file} must hold one JSON object.")
    return value
