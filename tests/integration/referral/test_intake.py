"""Referral on its real parts: what a sender may do over days with one case, and what it hears
back."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio

from hubformats.ids import opaque
from hubpartner.delivery import Delivery
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub
from tests.support.schemas import counting

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/v1/referrals"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


def fresh(form: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The form under a reference of its own."""
    return {**form, "externalReference": f"T-{opaque(9)}", **changes}


async def read(hub: InnerHub, referral_id: str, who: str = POLICE) -> dict[str, Any]:
    """The referral as its sender sees it."""
    answer = await hub.call(who, "GET", "referral", f"{PATH}/{referral_id}", scope="referral.read")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def test_the_full_form_completes_the_urgent_one_on_the_same_case(hub: InnerHub) -> None:
    urgent = (await hub.submit(fresh(URGENT))).json()
    assert urgent["provisional"] is True
    completed = await hub.submit(fresh(FULL, completes=urgent["referralId"]))
    assert completed.status_code == 201, completed.text
    body = completed.json()
    assert (body["caseReference"], body["version"], body["provisional"]) == (
        urgent["caseReference"],
        2,
        False,
    )
    assert await hub.outcomes(body["referralId"]) == {"released"}
    assert (await read(hub, urgent["referralId"]))["version"] == 2


async def test_nobody_completes_anothers_referral_or_a_full_one(hub: InnerHub) -> None:
    urgent, full = (await hub.submit(fresh(URGENT))).json(), (await hub.submit(fresh(FULL))).json()
    for who, wanted in (("northmoor-housing", urgent), (POLICE, full)):
        answer = await hub.submit(fresh(FULL, completes=wanted["referralId"]), who=who)
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/completes")
    assert (await read(hub, urgent["referralId"]))["version"] == 1


async def test_a_veto_survives_the_completion_and_keeps_its_agency_out(hub: InnerHub) -> None:
    urgent = (await hub.submit(fresh(URGENT))).json()
    veto = {
        "agency": "northmoor-victim-support",
        "reason": "A worker there is the suspect's sister.",
    }
    answer = await hub.call(
        POLICE, "POST", "referral", f"{PATH}/{urgent['referralId']}/must-not-disclose", json=veto
    )
    assert (answer.status_code, answer.json()["version"]) == (201, 2)
    full = (await hub.submit(fresh(FULL, completes=urgent["referralId"]))).json()
    assert full["version"] == 3
    assert await hub.outcomes(full["referralId"]) == {"released"}
    recipients = {
        outcome["recipient"] for outcome in (await read(hub, full["referralId"]))["outcomes"]
    }
    assert "northmoor-idva" in recipients
    assert "northmoor-victim-support" not in recipients
    case = hub.rows(
        "referral", "SELECT case_id FROM referral WHERE id = ?", UUID(full["referralId"]).hex
    )[0][0]
    told = (
        "SELECT DISTINCT d.agency FROM delivery d JOIN disclosure x ON x.id = d.delivery_id "
        "WHERE x.case_id = ?"
    )
    assert {row[0] for row in hub.rows("sharing", told, case)} == recipients


async def test_vetoes_set_at_once_are_all_in_force(hub: InnerHub) -> None:
    """Ten at the same moment: each is a version of its own and none is lost; said again, none is
    another.
    """
    referral = (await hub.submit(fresh(URGENT))).json()["referralId"]
    agencies = [
        "northmoor-housing",
        "northmoor-health",
        "northmoor-probation",
        "northmoor-school",
        "northmoor-social-care",
    ]
    path = f"{PATH}/{referral}/must-not-disclose"
    wanted = [
        {"agency": agency, "category": category, "reason": "r"}
        for agency in agencies
        for category in ("*", "consent")
    ]

    async def all_set() -> dict[str, int]:
        answers = await asyncio.gather(
            *(hub.call(POLICE, "POST", "referral", path, json=one) for one in wanted)
        )
        assert {answer.status_code for answer in answers} == {201}
        return {one.json()["markingId"]: one.json()["version"] for one in answers}

    made = await all_set()
    assert sorted(made.values()) == list(range(2, 12))
    assert await all_set() == dict.fromkeys(made, 11)
    assert (await read(hub, referral))["version"] == 11


async def test_a_third_party_report_gets_an_acknowledgement_only(hub: InnerHub) -> None:
    """Neither at referral nor at sharing, which answers as for a case that does not exist."""
    told, kept = (
        (await hub.submit(fresh(FULL))).json(),
        (await hub.submit(fresh(FULL, source="third_party"))).json(),
    )
    assert await hub.outcomes(told["referralId"]) == {"released"}
    assert await hub.outcomes(kept["referralId"], seconds=2.0) == set()

    async def asked(reference: str) -> list[int]:
        listed = f"/v1/disclosures?caseReference={reference}"
        body = {"caseReference": reference}
        return [
            (await hub.call(POLICE, "GET", "sharing", listed, scope="sharing.request")).status_code,
            (
                await hub.call(
                    POLICE,
                    "POST",
                    "sharing",
                    "/v1/decisions/preview",
                    scope="sharing.request",
                    json=body,
                )
            ).status_code,
        ]

    assert await asked(told["caseReference"]) == [200, 200]
    assert await asked(kept["caseReference"]) == [404, 404]


async def test_a_third_partys_word_stays_one_when_it_completes_an_urgent_form(
    hub: InnerHub,
) -> None:
    """The sender of the urgent form, in the same office, hears no more than who reported."""
    urgent = (await hub.submit(fresh(URGENT))).json()["referralId"]
    assert await hub.outcomes(urgent) == {"released"}
    whole = (await hub.submit(fresh(FULL, completes=urgent, source="third_party"))).json()[
        "referralId"
    ]
    for referral in (urgent, whole):
        heard = await read(hub, referral)
        assert (heard["outcomes"], heard["decided"]) == ([], None)


async def test_one_key_for_two_cases_is_not_a_repeat(hub: InnerHub) -> None:
    """The same words about another case are another request: a veto that was never set must not be
    answered as set.
    """
    first, second = [(await hub.submit(fresh(URGENT))).json()["referralId"] for _ in range(2)]
    key, body = opaque(), {"agency": "northmoor-housing", "reason": "He works there."}
    answers = [
        await hub.call(
            POLICE, "POST", "referral", f"{PATH}/{referral}/must-not-disclose", key=key, json=body
        )
        for referral in (first, second)
    ]
    assert [answer.status_code for answer in answers] == [201, 422]
    assert answers[1].json()["type"].endswith("/idempotency-key-reused")
    assert (await read(hub, second))["version"] == 1


async def test_the_referrer_hears_when_a_recipient_has_saved(hub: InnerHub) -> None:
    form = copy.deepcopy(FULL)
    form["people"][0]["name"]["full"] = (
        # other cases of this module may still be on their way to the same inbox
        "Perpetua Ashgrovehill"
    )
    referral = (await hub.submit(fresh(form))).json()
    assert await hub.outcomes(referral["referralId"]) == {"released"}
    client = hub.client("northmoor-idva")
    ours: list[Delivery] = []
    for _ in range(100):
        opened = [client.open(item) for item in (await client.inbox(limit=100, wait=1)).items]
        ours = [one for one in opened if "Ashgrovehill" in json.dumps(one.verdict.content)]
        if ours:
            break
        await asyncio.sleep(0.05)
    await client.send_receipt(ours[0], "test-system")
    states: dict[str, str] = {}
    for _ in range(100):
        outcomes = (await read(hub, referral["referralId"]))["outcomes"]
        states = {outcome["recipient"]: outcome["state"] for outcome in outcomes}
        if states["northmoor-idva"] == "saved":
            break
        await asyncio.sleep(0.05)
    assert states == {
        "northmoor-idva": "saved",
        "northmoor-social-care": "released",
        "northmoor-victim-support": "released",
    }


async def test_code_lists_name_what_a_form_is_checked_against(hub: InnerHub) -> None:
    answer = await hub.call(POLICE, "GET", "referral", "/v1/code-lists", scope="referral.read")
    body = answer.json()
    assert {rule["area"] for rule in body["rules"]} == {"northmoor"}
    concepts = {item["code"] for instrument in body["instruments"] for item in instrument["items"]}
    assert {entry["concept"] for entry in FULL["risk"]["answers"]} <= concepts
    assert "victim_safe_contact" in {category["code"] for category in body["categories"]}


async def test_an_intake_is_eighteen_statements_however_many_people_it_names(hub: InnerHub) -> None:
    """Each is a round trip on PostgreSQL: one more must be wanted, not overlooked."""
    frame = hub.frame("referral")
    frame.outbox.pause()  # or the relay's own statements would be counted in
    try:
        await hub.submit(
            fresh(FULL)
        )  # the caller's token, and whatever the sweepers do at their first chance
        await asyncio.sleep(0.2)
        with counting(frame.database) as counted:
            assert (await hub.submit(fresh(FULL))).status_code == 201
    finally:
        frame.outbox.resume()
    assert counted.statements == 18


async def test_an_alarm_and_a_referral_outlast_a_restart(tmp_path: Path) -> None:
    """What the desk was told to look at is in the database, not in a process."""
    async with inner_hub(tmp_path) as first:
        referral = (await first.submit(fresh(URGENT))).json()["referralId"]
        assert (await first.submit(fresh(URGENT, danger=""))).status_code == 422
    async with inner_hub(tmp_path) as second:
        assert (await read(second, referral))["form"] == "urgent"
        answer = await second.call(
            POLICE, "GET", "referral", "/v1/refused-intakes", scope="referral.read"
        )
        assert [entry["code"] for entry in answer.json()["refused"]] == ["validation-failed"]
