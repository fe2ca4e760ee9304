"""Inputs that once failed, each one example of a kind, with what is right; values are invented."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import httpx2
import pytest
import pytest_asyncio

from hubformats.dates import london_day
from hubformats.ids import opaque
from hubpartner.client import HubClient
from hubpartner.shown import shown
from tests.support.inner_hub import POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = pytest.mark.asyncio(loop_scope="module")
IDVA: Final = "northmoor-idva"
TODAY: Final = london_day(datetime.now(UTC))
HERS, HERS_ABROAD = "07700 900317", "+44 (0)7700 900317"
WORK, HIS = "01632 960454", "07700 900625"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def full(means: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """A full form with these means of contact; `phone`, `his` and `role` replace those fields."""
    people: list[dict[str, Any]] = [
        {
            "ref": "victim",
            "role": "victim",
            "name": {"full": "Oriel Tamsett-Wray"},
            "birthDates": ["1990-04-17"],
            "phone": changes.get("phone", HERS),
        },
        {
            "ref": "suspect",
            "role": "perpetrator",
            "name": {"full": "Leander Coombe-Fisk"},
            "relationshipToVictim": "former_partner",
        },
    ]
    if "his" in changes:
        people[1]["phone"] = changes["his"]
    contact: dict[str, Any] = {"status": "do_not_contact"}
    if means:
        contact = {"status": "known", "means": means, "lastVerified": TODAY.isoformat()}
    return {
        "form": "full",
        "kind": "domestic_abuse",
        "area": "northmoor",
        "source": "101",
        "externalReference": f"T-{opaque(9)}",
        "referrer": {"role": changes.get("role", "Duty sergeant")},
        "reason": "Threats by a former husband.",
        "people": people,
        "incident": {"occurredAt": "2026-11-20T21:40:00Z", "summary": "Threats at the gate."},
        "risk": {
            "instrument": "dash",
            "version": "practitioner/1",
            "assessedOn": "2026-11-20",
            "assessorRole": "Duty sergeant",
            "answers": [{"concept": "very_frightened", "answer": "yes"}],
            "judgement": {"raises": True, "reason": "Extreme fear."},
        },
        "safeContact": contact,
        "consent": {
            "aware": "yes",
            "agreesToSupport": "yes",
            "lawfulBasis": "P3_necessary",
            "condition": "sch8_safeguarding",
            "gateway": "CDA115",
        },
    }


def urgent(**changes: Any) -> dict[str, Any]:
    """An urgent form."""
    return {
        "form": "urgent",
        "externalReference": f"T-{opaque(9)}",
        "area": "northmoor",
        "name": "Petra Halloway-Dunn",
        "place": "Behind 4 Quarry Rise, Northmoor",
        "danger": "Her former husband is at the back door and says he will set fire to it.",
        "callback": "do_not_call",
        **changes,
    }


async def told(hub: InnerHub, form: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Send a form; the hub's answer, and what the advocate was told."""
    answer = await hub.submit(form)
    assert answer.status_code == 201, answer.text
    client = hub.client(IDVA)
    place = await everything(client)
    assert await hub.outcomes(answer.json()["referralId"]) == {"released"}
    for _ in range(100):
        page = await client.inbox(cursor=place, limit=100)
        if page.items:
            break
        await asyncio.sleep(0.05)
    return answer.json(), dict(client.open(page.items[-1]).verdict.content)


async def everything(client: HubClient) -> str | None:
    """The place behind what the inbox holds now."""
    cursor = None
    async for page in client.inbox_pages():
        cursor = page.cursor
    return cursor


async def in_words(hub: InnerHub, form: dict[str, Any]) -> list[str]:
    """The lines that `hubctl` shows the advocate of a form."""
    answer = await hub.submit(form)
    assert answer.status_code == 201, answer.text
    client = hub.client(IDVA)
    place = await everything(client)
    assert await hub.outcomes(answer.json()["referralId"]) == {"released"}
    for _ in range(100):
        page = await client.inbox(cursor=place, limit=100)
        if page.items:
            break
        await asyncio.sleep(0.05)
    return shown(client.open(page.items[-1]).verdict, TODAY).splitlines()


def phone(value: str, safe: str, **more: Any) -> dict[str, Any]:
    """One means of contact by telephone."""
    return {"channel": "phone", "value": value, "safe": safe, **more}


async def test_case_03_an_unsafe_number_is_unsafe_however_it_is_spelt(hub: InnerHub) -> None:
    means = [
        phone(HERS_ABROAD, "no", whoMayAnswer="He answers it"),
        {"channel": "sms", "value": HERS, "safe": "yes"},
    ]
    lines = await in_words(hub, full(means))
    hers = [line for line in lines if "900317" in line]
    assert len(hers) == 3, "both means and the number on record"
    assert all("DO NOT USE" in line for line in hers), hers
    assert not [line for line in lines if "may be used" in line]
    assert [line for line in lines if line.startswith("SAFE CONTACT: DO NOT CONTACT")]


async def test_case_03a_a_safe_number_is_never_marked_unsafe(hub: InnerHub) -> None:
    lines = await in_words(hub, full([phone(WORK, "yes")], phone="+44 (0) 1632 960454"))
    safe = [line for line in lines if "960454" in line]
    assert len(safe) == 2
    assert not [line for line in safe if "DO NOT USE" in line], safe
    assert [line for line in lines if line.startswith("SAFE CONTACT: safe until")]


async def test_case_04_a_number_of_the_person_alleged_is_not_vouched_for(hub: InnerHub) -> None:
    """Doubtful, do not use, and the sender is told at once."""
    for his in (HIS, "+44 (0)7700 900625", "0 7 7 0 0-900-625"):
        form = full([phone(HIS, "yes", voicemail="yes"), phone(WORK, "yes")], his=his)
        dry = await hub.submit(form, path="/v1/referrals?dryRun=true")
        answer, content = await told(hub, form)
        for said in (dry.json(), answer):
            (warning,) = said["warnings"]
            assert warning["pointer"] == "/safeContact/means/0/value"
            assert "person alleged" in warning["detail"]
            assert "900625" not in warning["detail"], "a warning echoes nothing"
        first, second = content["safeContact"]["means"]
        assert [item["value"] for item in first if item["label"] == "Safe to use"] == ["doubtful"]
        assert [item["value"] for item in second if item["label"] == "Safe to use"] == ["yes"]
    only_his = await in_words(hub, full([phone(HIS, "yes", voicemail="yes")], his=HIS))
    assert [line for line in only_his if line.startswith("SAFE CONTACT: DO NOT CONTACT")]
    assert all("DO NOT USE" in line for line in only_his if "900625" in line)
    assert [line for line in only_his if "Doubtful: the same form contradicts it" in line]


async def test_case_05_no_control_character_reaches_a_terminal(hub: InnerHub) -> None:
    """The forged line is refused at intake with its field; in an account it is written out."""
    forged = "Officer\x1b[2J\x1b[HSAFE CONTACT: safe until 2027-01-01, only as follows"
    refused = await hub.submit(full([], role=forged))
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/referrer/role"]
    assert "\\u001b" not in refused.text
    lines = await in_words(hub, {**full([]), "reason": forged})
    assert not [line for line in lines for sign in line if ord(sign) < 32]
    strips = [line for line in lines if line.startswith("SAFE CONTACT")]
    assert len(strips) == 1
    assert "DO NOT CONTACT" in strips[0]


async def test_case_06_an_override_turns_no_warning_round(hub: InnerHub) -> None:
    """Refused where a number stands; where danger stands it is taken, and written out."""
    refused = await hub.submit(full([phone(WORK, "yes")], phone=HERS + "\u202e"))
    assert refused.status_code == 422
    assert [one["pointer"] for one in refused.json()["errors"]] == ["/people/0/phone"]
    lines = await in_words(hub, urgent(callback={"phone": HERS + "\u202e"}))
    (line,) = [line for line in lines if "900317" in line]
    assert line.endswith("07700 900317⟨U+202E⟩")
    assert not [line for line in lines if "\u202e" in line]
    reference = f"T-{opaque(9)}\u202e"
    taken = await hub.submit(urgent(externalReference=reference))
    assert taken.status_code == 201, "an urgent one is never refused for its reference"
    assert taken.json()["externalReference"] == reference.replace("\u202e", "⟨U+202E⟩")


@pytest.mark.parametrize(
    "changes",
    [
        {"callback": None},
        {"externalReference": ""},
        {"callback": {"phone": "", "note": ""}},
        {"name": " "},
    ],
    ids=["07 callback null", "07a no reference", "07b no callback phone", "no name"],
)
async def test_case_07_null_and_empty_are_absent_where_there_is_danger(
    hub: InnerHub, changes: dict[str, Any]
) -> None:
    lines = await in_words(hub, urgent(**changes))
    assert [line for line in lines if "set fire to it" in line]
    assert [line for line in lines if line.startswith("SAFE CONTACT: DO NOT CONTACT")]
    assert not [line for line in lines if "None" in line]


async def test_case_14_a_sender_that_lost_answer_and_key_finds_its_referral(hub: InnerHub) -> None:
    form = full([phone(WORK, "yes")])
    first = await hub.submit(form, key="first-key-" + opaque(16))
    again = await hub.submit(form, key="other-key-" + opaque(16))
    assert again.status_code == 409
    assert again.json()["code"] == "external-reference-exists"
    assert again.json()["referralId"] == first.json()["referralId"]
    found = await hub.client(POLICE).sent_referrals(external_reference=form["externalReference"])
    assert [one["referralId"] for one in found] == [first.json()["referralId"]]
    others: httpx2.Response = await hub.call(
        "northmoor-housing",
        "GET",
        "referral",
        f"/v1/referrals?externalReference={form['externalReference']}",
        scope="referral.read",
    )
    assert others.json()["items"] == [], "the sender's own alone"
