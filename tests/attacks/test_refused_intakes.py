"""A refused intake alarms its sender's desk until that very one is corrected, or the desk says what
became of it (design 13, rule 2)."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import delete, insert

from hubformats.ids import opaque, uuid7
from referral.intake.repository import _CORRECTION
from referral.tables import RefusedIntake, table_of
from tests.support.inner_hub import POLICE, URGENT, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.refusals import MARKER, refused

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]

HOUSING = "northmoor-housing"
PATH = "/v1/referrals"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def quiet(hub: InnerHub) -> None:
    """No alarm is open at the start of a test."""
    for one in await refusals(hub):
        await acknowledged(hub, one["id"])


def fresh(**changes: Any) -> dict[str, Any]:
    """The urgent form under a reference of its own."""
    return {**URGENT, "externalReference": f"T-{opaque(9)}", **changes}


async def refusals(hub: InnerHub, who: str = POLICE) -> list[dict[str, Any]]:
    """The sender's open alarms."""
    return [one for page in await pages(hub, who) for one in page["refused"]]


async def pages(hub: InnerHub, who: str = POLICE) -> list[dict[str, Any]]:
    """The whole list, page by page."""
    found: list[dict[str, Any]] = []
    while not found or found[-1]["nextCursor"]:
        cursor = f"?cursor={found[-1]['nextCursor']}" if found else ""
        answer = await hub.call(
            who, "GET", "referral", f"/v1/refused-intakes{cursor}", scope="referral.read"
        )
        assert answer.status_code == 200
        found.append(answer.json())
    return found


async def stand(hub: InnerHub, count: int, agency: str = POLICE) -> list[str]:
    """That many open alarms of before, all of one moment; their ids as the list has them."""
    rows = [
        {
            "id": uuid7(),
            "agency": agency,
            "code": "malformed-json",
            "at": datetime(2026, 11, 1, tzinfo=UTC),
        }
        for _ in range(count)
    ]
    await hub.frame("referral").database.write(
        lambda unit: unit.connection.execute(insert(table_of(RefusedIntake)), rows)
    )
    return sorted(str(row["id"]) for row in rows)


async def codes(hub: InnerHub, who: str = POLICE) -> list[str]:
    """Their codes, oldest first."""
    return [one["code"] for one in await refusals(hub, who)]


async def acknowledged(
    hub: InnerHub, refused_id: str, who: str = POLICE, reason: str = "told-otherwise"
) -> Any:
    """The desk's word about one."""
    return await hub.call(
        who,
        "POST",
        "referral",
        f"/v1/refused-intakes/{refused_id}/acknowledgement",
        json={"reason": reason},
    )


async def test_what_cannot_be_told_apart_alarms_each_by_itself(hub: InnerHub) -> None:
    refused(hub, await hub.submit(fresh(danger=7)), 422, "validation-failed", "/danger")
    answer = await hub.call(
        POLICE, "POST", "referral", PATH, content=b"{", headers={"Content-Type": "application/json"}
    )
    refused(hub, answer, 400, "malformed-json")
    refused(hub, await hub.submit(fresh(), key="", headers={}), 400, "idempotency-key-missing")
    refused(hub, await hub.submit(fresh(), scope="directory.read"), 403, "insufficient-scope")
    assert await codes(hub) == [
        "validation-failed",
        "malformed-json",
        "idempotency-key-missing",
        "insufficient-scope",
    ]
    assert await codes(hub, HOUSING) == []


async def test_another_accepted_referral_corrects_nothing(hub: InnerHub) -> None:
    refused(hub, await hub.submit(fresh(danger=7)), 422, "validation-failed", "/danger")
    assert (await hub.submit(fresh())).status_code == 201
    assert await codes(hub) == ["validation-failed"], "that was about somebody else"


async def test_the_same_reference_corrects_it_for_its_own_agency_alone(hub: InnerHub) -> None:
    form = fresh()
    refused(hub, await hub.submit({**form, "danger": 7}), 422, "validation-failed", "/danger")
    assert (await hub.submit(form, who=HOUSING)).status_code == 201
    assert await codes(hub) == ["validation-failed"]
    assert (await hub.submit(form)).status_code == 201
    assert await codes(hub) == []


async def test_the_same_key_corrects_what_had_no_readable_reference(hub: InnerHub) -> None:
    key = opaque()
    answer = await hub.call(
        POLICE,
        "POST",
        "referral",
        PATH,
        key=key,
        content=b'{"form',
        headers={"Content-Type": "application/json"},
    )
    refused(hub, answer, 400, "malformed-json")
    form = {name: value for name, value in URGENT.items() if name != "externalReference"}
    assert (await hub.submit(form, who=HOUSING, key=key)).status_code == 201
    assert await codes(hub) == ["malformed-json"], "another caller's key is another key"
    assert (await hub.submit(form, key=key)).status_code == 201
    assert await codes(hub) == []


async def test_tried_again_and_refused_again_it_is_still_one(hub: InnerHub) -> None:
    key, form = opaque(), fresh()
    answer = await hub.call(
        POLICE,
        "POST",
        "referral",
        PATH,
        key=key,
        content=b"{",
        headers={"Content-Type": "application/json"},
    )
    refused(hub, answer, 400, "malformed-json")
    first = (await refusals(hub))[0]
    for _ in range(3):
        refused(
            hub,
            await hub.submit({**form, "danger": 7}, key=key),
            422,
            "validation-failed",
            "/danger",
        )
    refused(
        hub, await hub.submit({**form, "place": 7}), 422, "validation-failed", "/place"
    )  # a new key, the reference we now know
    assert await refusals(hub) == [{**first, "code": "validation-failed"}]
    assert (await hub.submit(form)).status_code == 201
    assert await codes(hub) == []


async def test_the_desk_says_what_became_of_it_and_that_is_on_record(hub: InnerHub) -> None:
    for _ in range(2):
        refused(hub, await hub.submit(fresh(danger=7)), 422, "validation-failed", "/danger")
    one, other = await refusals(hub)
    refused(hub, await acknowledged(hub, one["id"], HOUSING), 404, "not-found")
    refused(hub, await acknowledged(hub, str(uuid7())), 404, "not-found")
    refused(
        hub, await acknowledged(hub, one["id"], reason=MARKER), 422, "validation-failed", "/reason"
    )
    answer = await acknowledged(hub, one["id"], reason="told-otherwise")
    assert (answer.status_code, answer.json()) == (200, one)
    assert await refusals(hub) == [other]
    records = [
        json.loads(row[0])
        for row in hub.rows("referral", "SELECT record FROM audit_pending ORDER BY epoch, seq")
    ]
    written = [
        (r["op"], r["out"], r["org"], r["why"]) for r in records if r.get("rt") == "refused-intake"
    ]
    assert written[-1] == ("alteration", "done", POLICE, "told-otherwise")
    refused(hub, await acknowledged(hub, one["id"]), 404, "not-found")


async def test_the_alarm_is_in_the_log_and_the_reference_nowhere(hub: InnerHub) -> None:
    hub.said()
    reference = f"{MARKER}-{opaque(6)}"
    answer = await hub.submit(fresh(externalReference=reference, danger=7))
    lines = [json.loads(line) for line in hub.said().splitlines() if '"alarm"' in line]
    assert [(line["alarm"], line["agency"], line["code"]) for line in lines] == [
        ("intake-refused", POLICE, "validation-failed")
    ]
    assert MARKER not in answer.text
    assert hub.mode.holding(hub.folder, reference.encode()) == []
    assert hub.mode.holding(hub.folder, POLICE.encode()), "what is kept was looked through"
    assert await codes(hub) == ["validation-failed"]


async def test_not_one_falls_off_the_list_however_many_there_are_and_a_person_is_told(
    hub: InnerHub,
) -> None:
    before = await stand(hub, 998)
    await stand(hub, 1, HOUSING)
    hub.said()
    forms = [fresh() for _ in range(3)]
    for form in forms:
        refused(hub, await hub.submit({**form, "danger": 7}), 422, "validation-failed", "/danger")
        refused(hub, await hub.submit({**form, "danger": 7}), 422, "validation-failed", "/danger")
    found = await pages(hub)
    shown = [one["id"] for page in found for one in page["refused"]]
    assert (shown[:998], len(set(shown)), {page["total"] for page in found}) == (
        before,
        1_001,
        {1_001},
    )
    assert (await hub.submit(forms[2])).status_code == 201
    assert [one["id"] for one in await refusals(hub)] == shown[:-1], (
        "the last of them is known again, too"
    )
    cursor = found[0]["nextCursor"]
    answer = await hub.call(
        HOUSING, "GET", "referral", f"/v1/refused-intakes?cursor={cursor}", scope="referral.read"
    )
    refused(hub, answer, 400, "invalid-cursor")
    await hub.frame("referral").database.write(
        lambda unit: unit.connection.execute(delete(table_of(RefusedIntake)))
    )


async def test_a_thousand_alarm_once_until_there_are_fewer(hub: InnerHub) -> None:
    await stand(hub, 998)
    hub.said()
    for _ in range(3):
        refused_form = await hub.submit(fresh(danger=7))
        assert refused_form.status_code == 422
    alarms = [json.loads(line) for line in hub.said().splitlines() if '"alarm"' in line]
    assert [line["agency"] for line in alarms if line["alarm"] == "refused-intakes-many"] == [
        POLICE
    ]
    await hub.frame("referral").database.write(
        lambda unit: unit.connection.execute(delete(table_of(RefusedIntake)))
    )


async def test_a_mark_is_looked_up_without_going_through_the_agencys_others(hub: InnerHub) -> None:
    steps = hub.mode.steps(hub.file("referral"), _CORRECTION, "a", b"k", "a", b"r")
    assert not [
        step
        for step in steps
        if "ix_refused_intake_listed" in step
        or step.startswith("SCAN refused_intake")
        or "Seq Scan" in step
    ], steps
    assert [
        index
        for index in ("key", "reference")
        if any(f"ix_refused_intake_{index}" in step for step in steps)
    ] == [
        "key",
        "reference",
    ], steps
