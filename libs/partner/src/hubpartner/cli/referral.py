"""hubctl referral: send a referral, hear what became of it, forbid disclosure."""

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from hubpartner.cli.session import (
    JsonOption,
    command,
    profile_of,
    say,
    say_error,
    say_json,
    with_hub,
)


class Became(StrEnum):
    """What became of a refused referral."""

    SENT_AGAIN = "sent-again"
    TOLD_OTHERWISE = "told-otherwise"
    NOT_NEEDED = "not-needed"


app = typer.Typer(no_args_is_help=True, help="Send referrals and hear what became of them.")

refused = typer.Typer(help="Referrals of yours that were refused and stand so.")
app.add_typer(refused, name="refused")

_MEANING = {
    "already-completed": ": the form was taken in before this repeat; acknowledge: sent-again",
    "external-reference-exists": ": another referral stands under this reference. If it is the "
    "same one, acknowledge: sent-again",
}
_STATES = {
    "decided": "may know; package being prepared",
    "released": "package delivered to its inbox",
    "saved": "saved in its system of record",
    "blocked": "held back; the hub's desk is looking at it",
}


_PROOFS = {
    "overdue": "promised in an emergency; its proof is overdue",
    "broken": "promised in an emergency; there will be no proof",
}


@app.command()
def submit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="JSON file of the referral; see examples/")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check only; nothing is stored or sent")
    ] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Repeat an earlier try safely with its key")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Send the referral in FILE, full or urgent."""
    form = _read(file)
    answer = with_hub(
        context,
        lambda client: client.submit_referral(
            form, dry_run=dry_run, idempotency_key=idempotency_key
        ),
    )
    if as_json:
        say_json(answer)
        return
    risk, sender = answer["risk"], profile_of(context).agency
    if dry_run:
        say(f"Checked as {sender}.")
        say(f"Would be taken in. Risk {risk['level']} ({risk['rule']}). Nothing was stored.")
        return
    say(f"Sent as {sender}.")
    say(f"Referral {answer['referralId']} taken in, your case reference {answer['caseReference']}.")
    say(f"Risk {risk['level']} ({risk['rule']}).")
    say(f"What became of it: {command(context, 'referral show ' + answer['referralId'])}")


@app.command()
def show(context: typer.Context, referral_id: str, as_json: JsonOption = False) -> None:
    """Show a referral of yours and what became of it."""
    answer = with_hub(context, lambda client: client.read_referral(referral_id))
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
        say(
            f"  {outcome['recipient']}: {_STATES.get(outcome['state'], outcome['state'])}{proof} "
            f"({outcome['changedAt']})"
        )


@app.command("forbid")
def forbid(
    context: typer.Context,
    referral_id: str,
    reason: Annotated[str, typer.Option(prompt=True, help="Why; kept sealed, sent to nobody")],
    agency: Annotated[str, typer.Option(help="Agency that must not know, or * for all")] = "*",
    category: Annotated[str, typer.Option(help="Data category, or * for everything")] = "*",
    as_json: JsonOption = False,
) -> None:
    """Set must-not-disclose on the referral's case, from this moment on."""
    answer = with_hub(
        context,
        lambda client: client.forbid_disclosure(
            referral_id, agency=agency, category=category, reason=reason
        ),
    )
    if as_json:
        say_json(answer)
        return
    say(f"Marked. Case version {answer['version']}. What was already read cannot be unread.")


@refused.callback(invoke_without_command=True)
def list_refused(context: typer.Context, as_json: JsonOption = False) -> None:
    """List refused referrals that nothing has corrected yet."""
    if context.invoked_subcommand is not None:
        return
    found = with_hub(context, lambda client: client.refused_intakes())
    if as_json:
        say_json(found)
        return
    if not found:
        say("Nothing stands refused.")
    for one in found:
        say(f"{one['id']}  {one['at']}  {one['code']}{_MEANING.get(one['code'], '')}")
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
            f"{command(context, 'referral refused acknowledge ID --reason ' + '|'.join(Became))}"
        )


@refused.command()
def acknowledge(
    context: typer.Context,
    refused_id: str,
    reason: Annotated[Became, typer.Option(prompt=True, help="What became of it")],
    as_json: JsonOption = False,
) -> None:
    """End the alarm of one that no accepted referral will correct."""
    answer = with_hub(context, lambda client: client.acknowledge_refused(refused_id, reason.value))
    if as_json:
        say_json(answer)
        return
    say(f"Acknowledged: refused {answer['at']}, {answer['code']}.")


@app.command("code-lists")
def code_lists(context: typer.Context) -> None:
    """Print the code lists, instruments and rules in force as JSON."""
    say_json(with_hub(context, lambda client: client.code_lists()))


def _read(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text("utf-8"))
    except OSError:
        say_error(f"The file {file} cannot be read.")
        raise typer.Exit(2) from None
    except ValueError:
        say_error(f"The file {file} is not JSON in UTF-8.")
        raise typer.Exit(2) from None
    if not isinstance(value, dict):
        say_error(f"The file {file} must hold one JSON object.")
        raise typer.Exit(2)
    return value
