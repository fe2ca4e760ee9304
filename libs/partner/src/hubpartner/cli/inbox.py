"""hubctl inbox: list deliveries, open and check them, save one and sign for it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import click

from hubformats import dates
from hubformats.agency_events import TakingUp
from hubformats.clock import SystemClock
from hubformats.envelope import EnvelopeRefused
from hubformats.package_proof import PackageRefused, Verdict
from hubformats.set_aside import why
from hubformats.wording import ANSWERS, DUTIES, UNCHECKED
from hubpartner.accepting import accept_by
from hubpartner.answers import ProblemAnswer
from hubpartner.cli.delays import DANGER, SUPPORT, delays_of, say_backlog, say_delays
from hubpartner.cli.key_uses import say_used
from hubpartner.cli.session import (
    FilePath,
    command,
    create_with_hub,
    json_done,
    json_option,
    key_option,
    say,
    say_done,
    say_json,
    say_whole,
    when,
    with_hub,
)
from hubpartner.client import HubClient, InboxItem, open_with
from hubpartner.delivery import Delivery
from hubpartner.package_file import PackageFileRefused, keep_package, read_package
from hubpartner.shown import shown, standing

_PLAIN, _PROVEN = ".package.json", ".proven.package.json"

LONGEST_WAIT: Final = 30
"""Seconds; the most that the hub holds a call."""


@click.group("inbox", invoke_without_command=True)
@json_option
@click.option("--cursor", help="Only what came after this cursor")
@click.option(
    "--wait",
    type=click.IntRange(max=LONGEST_WAIT),
    default=0,
    help="Hold up to so many seconds until something comes",
)
@click.pass_context
def app(context: click.Context, as_json: bool, cursor: str | None, wait: int) -> None:
    """Receive deliveries: list, show, save and acknowledge.

    Without a command: list every delivery, oldest first, with what the proof says. Each is opened
    and checked on this machine.
    """
    if context.invoked_subcommand is not None:
        return

    async def work(client: HubClient) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        after = ""
        async for page in client.inbox_pages(cursor=cursor, wait=wait):
            found = [_row(client, item) for item in page.items]
            if not as_json:  # a long list is seen as it comes
                _say_rows(found)
            rows += found
            after = page.cursor
        return after, rows, await delays_of(client)

    try:
        after, rows, delays = with_hub(context, work)
    except ProblemAnswer as refused:
        if not as_json:
            say_backlog(context, refused)
            _say_unchecked(context, refused)
        raise
    if as_json:
        say_json({"items": rows, "cursor": after, "delayed": delays or None})
        return
    say_delays(context, delays)
    say(_count(rows))
    say(f"Next time: {command(context, f'inbox --cursor {after}')}")


@app.command()
@click.argument("delivery_id")
@json_option
@click.pass_context
def show(context: click.Context, delivery_id: str, as_json: bool) -> None:
    """Show what a delivery says, safe-contact rule first."""

    async def work(client: HubClient) -> tuple[InboxItem, Delivery]:
        item = await _fetched(client, delivery_id)
        return item, client.open(item)

    item, delivery = with_hub(context, work)
    if as_json:
        say_json({"content": delivery.verdict.content, "verdict": standing(delivery.verdict)})
        return
    pressing = _pressing(_handling(item, delivery.verdict)).removesuffix("; ")
    if pressing:
        say(f"{pressing[0].upper()}{pressing[1:]}.")
    # By the day in London: a rule that was safe when it was sent may not be any more.
    say_whole(shown(delivery.verdict, dates.london_day(SystemClock().now())))
    if item.answered_at:
        say(f"Answered {when(item.answered_at)}.")
    elif delivery.verdict.content.get("answerBy"):
        _say_answers(context, delivery.delivery_id)


@app.command()
@click.argument("delivery_id")
@click.option("--to", type=FilePath, help="File to save into; default DELIVERY-ID.package.json")
@click.option(
    "--system",
    default="hubctl file",
    show_default=True,
    help="Name of the system of record that holds it now",
)
@json_done
@click.pass_context
def save(context: click.Context, delivery_id: str, to: Path | None, system: str) -> None:
    """Check a delivery, save it durably, then sign a receipt for exactly what was saved."""

    async def work(client: HubClient) -> tuple[Path, str]:
        item = await _fetched(client, delivery_id)
        delivery = client.open(item)
        file = to or _file(client, delivery)
        keep_package(file, item.envelope)
        # Crash here: saved but not signed for; the hub keeps offering the delivery and a second
        # `save` signs.
        return file, str((await client.send_receipt(delivery, system))["state"])

    file, state = with_hub(context, work)
    beside = (
        "This is the proof of what was promised in an emergency. What you saved as "
        f"{delivery_id}{_PLAIN} stays beside it. "
        if file.name.endswith(_PROVEN)
        else ""
    )
    say_done(
        f"{beside}Saved to {file}; receipt accepted, delivery is {state}.",
        {"deliveryId": delivery_id, "file": str(file), "state": state},
    )


@app.command()
@click.argument("delivery_id")
@click.option(
    "--role",
    required=True,
    type=click.Choice(get_args(TakingUp)),
    metavar="ROLE",
    help=f"Role that takes it up: {', '.join(get_args(TakingUp))}",
)
@key_option
@json_done
@click.pass_context
def acknowledge(context: click.Context, delivery_id: str, role: str) -> None:
    """Tell the hub that a role has taken the delivery up."""
    answer = create_with_hub(
        context,
        lambda client, key: client.acknowledge(delivery_id, role, idempotency_key=key),
        look="inbox",
    )
    say_done(f"Delivery is {answer['state']}, since {when(answer['acknowledgedAt'])}.", answer)


@app.command()
@json_option
@click.pass_context
def notices(context: click.Context, as_json: bool) -> None:
    """List what you sent on your topic that was set aside: why, and what to do.

    So also what a compromised key of yours had signed that was used before you retired it.
    """
    found = with_hub(context, lambda client: client.notices())
    if as_json:
        say_json(found)
        return
    if not found:
        say("Nothing of yours was set aside.")
    for one in found:
        if one.get("used"):
            say_used(context, one)
            continue
        say(
            f"{when(one['receivedAt'])}  {one['eventId']} was set aside and took no effect: "
            f"{why(one['reasonCode'])}. {one['whatToDo']}"
        )


@app.command()
@click.argument("delivery_id")
@click.option(
    "--answer",
    "said",
    required=True,
    type=click.Choice([code.replace("_", "-") for code in ANSWERS]),
    help="What was done with what was corrected or taken back",
)
@click.option(
    "--duty",
    type=click.Choice(list(DUTIES)),
    metavar="DUTY",
    help=f"With kept-under-duty: {', '.join(DUTIES)}",
)
@key_option
@json_done
@click.pass_context
def answer(context: click.Context, delivery_id: str, said: str, duty: str | None) -> None:
    """Answer a correction or a withdrawal: corrected, stopped and deleted, or kept under a duty."""
    code = said.replace("-", "_")
    answered = create_with_hub(
        context,
        lambda client, key: client.answer(delivery_id, code, duty, idempotency_key=key),
        look="inbox",
    )
    kept = f": {DUTIES[duty]}" if duty else ""
    say_done(f"Answered {ANSWERS[code].lower()}{kept}, {when(answered['answeredAt'])}.", answered)


def _say_answers(context: click.Context, delivery_id: str) -> None:
    """Print the commands that answer a withdrawal."""
    answering = command(context, f"inbox answer {delivery_id}")
    say(f"  {answering} --answer stopped-and-deleted")
    say(f"  {answering} --answer kept-under-duty --duty DUTY")
    say(f"  DUTY is one of {', '.join(DUTIES)}")


def _say_rows(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        say(
            f"{row['deliveryId']}  {row['state']:<12} "
            f"{row.get('caseReference', '-'):<18} {_said(row)}"
        )


def _say_unchecked(context: click.Context, refused: ProblemAnswer) -> None:
    """Say why nothing is listed, and list the withdrawals, which are shown all the same."""
    if refused.code != "deliveries-unchecked":
        return

    async def work(client: HubClient) -> list[dict[str, Any]]:
        pages = [page async for page in client.inbox_pages(withdrawals=True)]
        return [_row(client, item) for page in pages for item in page.items]

    rows = with_hub(context, work)
    say(f"NOT SHOWN: {UNCHECKED}")
    say(f"If a delivery is needed now, {SUPPORT}. {DANGER}")
    say(f"Withdrawals, which are shown all the same: {len(rows)}.")
    _say_rows(rows)


def _count(rows: list[dict[str, Any]]) -> str:
    """Say how many there are, and how many wait to be saved. What was answered does not.

    The newest and most urgent stand just above this line.
    """
    if not rows:
        return "Nothing new."
    waiting = (row for row in rows if row["state"] == "delivered" and not row["answeredAt"])
    unsaved = len({row["deliveryId"] for row in waiting})
    return f"{len(rows)} listed, the newest last; {unsaved} neither saved nor acknowledged."


def _said(row: dict[str, Any]) -> str:
    """Say what its proof is worth, after what it is where somebody must act otherwise on it."""
    by = row.get("answerBy", "")
    done = f", answered {when(row['answeredAt'])}" if row["answeredAt"] else ""
    answer = done or (f", answer by {when(by)}" if by else "")
    kinds = {
        "withdrawal": f"TAKES BACK what came before{answer}; ",
        "correction": f"corrects what came before{answer}; ",
    }
    return _pressing(row) + kinds.get(row["kind"], "") + str(row["verdict"])


def _file(client: HubClient, delivery: Delivery) -> Path:
    """Choose where a delivery is saved when nobody says.

    Beside the promise that this one is the proof of, if that is what was saved before.
    """
    plain = Path(f"{delivery.delivery_id}{_PLAIN}")
    try:
        before = open_with(client.profile, read_package(plain))
    except (PackageFileRefused, PackageRefused, EnvelopeRefused):
        return plain  # nothing is there yet, or `keep_package` says that something else is
    promised = (before.delivery_id, before.verdict.standing) == (delivery.delivery_id, "promised")
    return (
        Path(f"{delivery.delivery_id}{_PROVEN}")
        if promised and delivery.verdict.standing == "proven"
        else plain
    )


async def _fetched(client: HubClient, delivery_id: str) -> InboxItem:
    """Fetch one; of one that does not stand any more, say that instead of "not found"."""
    try:
        return await client.delivery(delivery_id)
    except ProblemAnswer as refused:
        if refused.status != 404:
            raise
        try:
            found = await client.standing(delivery_id)
        except ProblemAnswer:
            raise refused from None
        if found["stands"]:
            raise
        raise ProblemAnswer(404, {**refused.body, "detail": _gone(found)}) from None


def _gone(found: dict[str, Any]) -> str:
    """Say since when it does not stand, and what is asked."""
    if found["takenBackAt"] is None:
        return (
            "It is not shown now: do not act on it. The hub is deciding whether your agency may "
            "still see it."
        )
    what, by = (
        ("Replaced by a correction", "correction")
        if found["replaced"]
        else ("Taken back", "withdrawal")
    )
    where = (
        f"The {by} says what is asked: hubctl inbox show {found['saidBy']}"
        if found["saidBy"]
        else f"The {by} has not come yet; it will say what is asked."
    )
    return (
        f"{what}, {when(found['takenBackAt'])}: do not act on it, and contact nobody because of "
        f"it. Stop using it, and delete it unless a duty makes you keep it. {where}"
    )


def _handling(item: InboxItem, verdict: Verdict) -> dict[str, Any]:
    """Tell whether there is danger now, and by when to accept what nobody has accepted.

    What left on a promise left because somebody's life is in danger.
    """
    promised = verdict.standing == "promised"
    codes = {str(one["code"]) for one in verdict.content["obligations"]}
    by = accept_by(
        {"acknowledge-one-hour"} if promised else codes,
        datetime.fromisoformat(item.delivered_at),
    )
    waits = item.state == "delivered" and item.kind != "withdrawal" and not item.answered_at
    due = {"acceptBy": by.astimezone(UTC).isoformat()} if waits and by else {}
    return {"urgent": bool(verdict.content.get("urgent")) or promised, **due}


def _pressing(row: dict[str, Any]) -> str:
    """Say that it is urgent, and by when to accept it, before anything else."""
    urgent = "URGENT; " if row.get("urgent") else ""
    by = row.get("acceptBy")
    return f"{urgent}accept by {when(by)}; " if by else urgent


def _row(client: HubClient, item: InboxItem) -> dict[str, Any]:
    row: dict[str, Any] = {
        "deliveryId": item.delivery_id,
        "kind": item.kind,
        "state": item.state,
        "deliveredAt": item.delivered_at,
        "answeredAt": item.answered_at or None,
    }
    try:
        verdict = client.open(item).verdict
    except PackageRefused as refused:
        return {**row, "verdict": f"NOT VERIFIED ({refused.code})", "verified": False}
    except EnvelopeRefused as refused:
        return {**row, "verdict": f"NOT OPENED ({refused.code})", "verified": False}
    known = {
        "caseReference": verdict.content["caseReference"],
        "clause": verdict.content["clause"]["id"],
        "index": verdict.index,
    }
    if verdict.content.get("answerBy"):
        known["answerBy"] = verdict.content["answerBy"]
    known |= _handling(item, verdict)
    return {**row, **known, "verdict": standing(verdict), "verified": verdict.standing == "proven"}
