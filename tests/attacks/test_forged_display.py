"""What people read cannot be forged: hidden characters are refused in a full form, written out in
danger and in free text, and steer neither a terminal nor a page."""

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from hubformats.ids import opaque
from hubformats.visible_text import is_plain, visible
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.refusals import MARKER, changed, refused

pytestmark = pytest.mark.asyncio(loop_scope="module")

HIDDEN: Final = {
    "terminal escape": "\x1b[2J\x1b[H",
    "line break": "\nSAFE CONTACT: safe until 2027-01-01, only as follows",
    "right-to-left override": "\u202e",
    "isolate": "\u2067",
    "zero width space": "\u200b",
    "line separator": "\u2028",
    "tags": "\U000e0041\U000e007f",
    "C1 control": "\x9b2J",
}
LINES: Final[tuple[tuple[str | int, ...], ...]] = (
    ("area",),
    ("referrer", "role"),
    ("referrer", "phone"),
    ("people", 0, "name", "full"),
    ("people", 0, "phone"),
    ("people", 0, "addresses", 0, "lines", 0),
    ("people", 1, "aliases", 0),
    ("people", 2, "school"),
    ("incident", "crimeReference"),
    ("safeContact", "codeWord"),
    ("safeContact", "means", 0, "value"),
    ("safeContact", "means", 0, "times"),
    ("risk", "assessorRole"),
)
ACCOUNTS: Final[tuple[tuple[str | int, ...], ...]] = (
    ("reason",),
    ("incident", "summary"),
    ("people", 1, "whereabouts"),
    ("risk", "answers", 1, "note"),
    ("consent", "victimsView"),
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def fresh(form: dict[str, Any]) -> dict[str, Any]:
    """The form under a reference of its own."""
    return {**form, "externalReference": f"T-{opaque(9)}"}


@pytest.mark.parametrize("name", HIDDEN)
async def test_a_full_forms_line_with_hidden_characters_is_refused_and_named(
    hub: InnerHub, name: str
) -> None:
    for path in LINES:
        body = changed(fresh(FULL), path, f"{MARKER}{HIDDEN[name]}{MARKER}")
        answer = await hub.submit(body)
        pointer = "/" + "/".join(map(str, path))
        told = refused(hub, answer, 422, "validation-failed", pointer)
        assert "one line without characters" in told["errors"][0]["detail"]


async def test_a_name_that_nobody_can_see_is_no_name(hub: InnerHub) -> None:
    for nothing in ("\u200b", "\u3164", "\u2800\u2800", "\u0301"):
        answer = await hub.submit(changed(fresh(FULL), ("people", 0, "name", "full"), nothing))
        refused(hub, answer, 422, "validation-failed", "/people/0/name/full")
        answer = await hub.submit(changed(fresh(FULL), ("reason",), nothing))
        refused(hub, answer, 422, "validation-failed", "/reason")


async def test_free_text_keeps_its_lines_and_shows_what_was_hidden(hub: InnerHub) -> None:
    mark, body = opaque(9), fresh(FULL)
    for path in ACCOUNTS:
        body = changed(body, path, f"{mark} first\r\nsecond \u202eesu ton od\u202c\x1b[2J")
    answer = await hub.submit(body)
    assert answer.status_code == 201, answer.text
    assert await hub.outcomes(answer.json()["referralId"]) <= {"released", "saved"}
    seen = [text for text in await _delivered(hub) if mark in text]
    assert len(seen) >= 2
    for text in seen:
        assert f"{mark} first\nsecond ⟨U+202E⟩esu ton od⟨U+202C⟩⟨U+001B⟩[2J" in text


async def test_danger_is_never_refused_for_hidden_characters(hub: InnerHub) -> None:
    everything = "".join(HIDDEN.values())
    urgent = {
        **fresh(URGENT),
        "externalReference": f"T-{opaque(9)}{everything}",
        "area": f"north{everything}moor",
        "name": "\u200b",
        "place": f"{opaque(9)}\n{everything}",
        "danger": "\u202e" * 8_000,
        "callback": {"phone": f"07700 900461{everything}", "note": everything},
    }
    answer = await hub.submit(urgent)
    assert answer.status_code == 201, answer.text
    assert await hub.outcomes(answer.json()["referralId"]) == {"released"}
    told = await _delivered(hub)
    assert "⟨U+200B⟩" in told, "the name is what it is, and can be seen"
    assert f"07700 900461{visible(everything)}" in told
    assert all(is_plain(text.replace("\n", "").replace("\t", "")) for text in told)
    found = await hub.client(POLICE).sent_referrals(external_reference=urgent["externalReference"])
    assert [one["referralId"] for one in found] == [answer.json()["referralId"]]


async def test_a_markings_reason_is_seen_or_refused(hub: InnerHub) -> None:
    sent = (await hub.submit(fresh(FULL))).json()["referralId"]
    path = f"/v1/referrals/{sent}/must-not-disclose"
    answer = await hub.call(POLICE, "POST", "referral", path, json={"reason": "\u200b\u2060"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == "/reason"
    answer = await hub.call(POLICE, "POST", "referral", path, json={"reason": "a\u202eb"})
    assert answer.status_code == 201, answer.text


async def _delivered(hub: InnerHub) -> list[str]:
    """Every value that the advocates were told so far."""
    client = hub.client("northmoor-idva")
    items = (await client.inbox(limit=100)).items
    contents = [client.open(item).verdict.content for item in items]
    return [
        str(item["value"])
        for content in contents
        for section in content["sections"]
        for item in section["items"]
    ]
