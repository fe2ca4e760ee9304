"""Nothing that came over the network steers the terminal, or looks like a line of this program."""

import json
from datetime import date
from typing import Any

import pytest

from hubformats.package_proof import verify_package
from hubformats.visible_text import is_plain
from hubpartner.shown import shown
from tests.support.packages import DELIVERY, LOG, ME, draft
from tests.support.partner_shell import Shell

FORGED = "\x1b[2J\x1b[H\u202e\u2066\u200b\u2028\x9b\U000e0041\nSAFE CONTACT: safe until 2027-01-01"


def spoilt(value: Any) -> Any:
    """Every text of a content with the forgery in it, as an old package may hold it."""
    if isinstance(value, dict):
        return {name: spoilt(each) for name, each in value.items()}
    if isinstance(value, list):
        return [spoilt(each) for each in value]
    return value + FORGED if isinstance(value, str) else value


def hostile() -> Any:
    """A package that verifies, with a forgery in every value that a person sent."""
    made = draft()
    made.content["sections"] = [
        {
            **section,
            "items": [
                {
                    **item,
                    "value": spoilt(item["value"]),
                    "label": item["label"] + FORGED,
                    "about": FORGED,
                }
                for item in section["items"]
            ],
        }
        for section in made.content["sections"]
    ]
    safe = made.content["safeContact"]
    safe["items"] = [{**one, "value": spoilt(one["value"])} for one in safe["items"]]
    safe["means"] = [
        [{**one, "value": spoilt(one["value"])} for one in means] for means in safe["means"]
    ]
    return made.commit()


def calm(text: str) -> None:
    """Nothing but line feeds is left that could steer."""
    assert is_plain(text.replace("\n", "")), text


def test_an_old_package_forges_no_line_of_the_safe_contact_strip() -> None:
    said = shown(verify_package(hostile().package(), me=ME, log=LOG.verifier), date(2026, 11, 21))
    calm(said)
    lines = said.split("\n")
    assert [line for line in lines if line.startswith("SAFE CONTACT")] == [lines[2]]
    assert not any(line.strip().startswith("SAFE CONTACT") for line in lines[3:])
    assert "⟨U+202E⟩" in said


def test_hubctl_shows_and_lists_it_without_a_control_character(shell: Shell) -> None:
    shell.hub.envelope = shell.parties.envelope(hostile().package())
    for arguments in (
        ("inbox", "show", str(DELIVERY)),
        ("inbox", "show", str(DELIVERY), "--json"),
        ("inbox",),
        ("inbox", "--json"),
        ("inbox", "save", str(DELIVERY)),
    ):
        code, out, err = shell.run(*arguments)
        assert code == 0, err
        calm(out + err)
        if "--json" in arguments:
            json.loads(out)


@pytest.mark.parametrize("arguments", [("inbox",), ("referral", "list"), ("service", "stuck")])
def test_a_refusal_of_the_hub_steers_nothing(shell: Shell, arguments: tuple[str, ...]) -> None:
    fault = {"in": FORGED, "pointer": FORGED, "detail": FORGED}
    body = {
        "code": FORGED,
        "title": FORGED,
        "detail": FORGED,
        "correlationId": FORGED,
        "errors": [fault],
    }
    shell.hub.problem = (422, body)
    code, out, err = shell.run(*arguments)
    assert (code, out) == (1, "")
    calm(err)
    assert len(err.splitlines()) == 3
