"""What a compromised key had signed that was used before it was retired, in words."""

from collections.abc import Mapping
from itertools import groupby
from typing import Any, Final

import click

from hubformats.set_aside import JUDGE_EACH
from hubpartner.cli.session import command, json_option, say, say_json, when, with_hub

_KINDS: Final[Mapping[str | None, str]] = {
    "hub.saved-receipt": "saved receipt",
    "hub.delivery-acknowledged": "acknowledgement",
    "hub.disclosure-answered": "answer to a correction or withdrawal",
    "case": "case of which a new version came",
    None: "message of before the hub kept which key signed",
}


def say_used(context: click.Context, notice: Mapping[str, Any]) -> None:
    """Tell an agency what of its own had been used."""
    used = notice["used"]
    since = when(used["compromisedSince"])
    begin = f"{when(notice['receivedAt'])}  "
    if not used["messages"] + used["older"] + used["cases"]:
        say(f"{begin}Nothing that your key {used['keyId']} signed since {since} had been used.")
        return
    say(
        f"{begin}{_messages(used['messages'])} of yours that your key {used['keyId']} signed, or "
        f"that came, since {since} had already been used."
    )
    if used["older"]:
        say(f"  {_messages(used['older'])} more may be: only their ids were kept then.")
    if used["cases"]:
        count = "1 case" if used["cases"] == 1 else f"{used['cases']} cases"
        say(f"  {count} of yours had a new version since, whoever sent it.")
    for item in used["items"]:
        say(f"  {_line(item)}")
    left = used["messages"] + used["older"] + used["cases"] - len(used["items"])
    if left > 0:
        say(f"  {left} more are not listed here: ask the hub's desk.")
    ask = command(context, f"referral list --changed-since {used['compromisedSince']}")
    say(f"  {JUDGE_EACH} Your referrals since then: {ask}")


@click.command("key-uses")
@click.option("--agency", help="Only of this agency's keys")
@json_option
@click.pass_context
def key_uses(context: click.Context, agency: str | None, as_json: bool) -> None:
    """List what compromised keys had signed that a service had used before they were retired.

    Only sharing takes in what agencies sign. Nothing listed is undone: its agency and you judge.
    """
    found = with_hub(context, lambda client: client.key_uses(agency))
    if as_json:
        say_json({"sharing": found})
        return
    if not found:
        say("sharing had used nothing that a compromised key signed.")
    for _, same in groupby(found, key=lambda one: one["keyId"]):
        rows = sorted(same, key=lambda one: (not one["certain"], one["takenInAt"]))
        certain = sum(row["certain"] for row in rows)
        first = rows[0]
        say(
            f"sharing had used {_messages(certain)} that the key {first['keyId']} of "
            f"{first['agency']} signed, or that came, since {when(_earliest(rows))}; "
            f"{len(rows) - certain} more may rest on it."
        )
        for row in rows:
            say(f"  {_line(row)}")


def _earliest(rows: list[dict[str, Any]]) -> str:
    return min(str(row["compromisedSince"]) for row in rows)


def _line(item: Mapping[str, Any]) -> str:
    """Say one: when it was taken in, what it is, and by which names it is found."""
    names = (
        ("event", item.get("eventId")),
        ("delivery", item.get("deliveryId")),
        ("case", item.get("caseReference")),
    )
    said = ", ".join(f"{name} {value}" for name, value in names if value)
    kind = _KINDS.get(item["kind"], item["kind"])
    return f"{when(item['takenInAt'])}  {'' if item['certain'] else 'may be: '}{kind}, {said}"


def _messages(count: int) -> str:
    return "1 message" if count == 1 else f"{count} messages"
