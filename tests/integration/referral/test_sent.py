"""Finding what was sent, at the real route: for a desk that lost answer and key, and for nobody
else."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest
import pytest_asyncio

from common.database import Unit
from hubformats.ids import opaque
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUSING = "northmoor-housing"
PATH = "/v1/referrals"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


async def listed(hub: InnerHub, who: str = POLICE, **params: Any) -> Any:
    """The answer to a listing."""
    query = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in params.items())
    path = f"{PATH}?{query}" if query else PATH
    return await hub.call(who, "GET", "referral", path, scope="referral.read")


async def test_a_lost_answer_and_a_lost_key_are_found_by_the_reference(hub: InnerHub) -> None:
    reference = f"NP/{opaque(9)} é"
    first = (await hub.submit({**FULL, "externalReference": reference})).json()
    again = await hub.submit({**FULL, "externalReference": reference})
    refusal = again.json()
    assert (again.status_code, refusal["code"], refusal["referralId"]) == (
        409,
        "external-reference-exists",
        first["referralId"],
    )
    assert first["referralId"] in refusal["detail"]
    assert reference not in again.text
    answer = await listed(hub, externalReference=reference)
    assert answer.status_code == 200, answer.text
    (item,) = answer.json()["items"]
    assert item == {
        "referralId": first["referralId"],
        "caseReference": first["caseReference"],
        "form": "full",
        "kind": "domestic_abuse",
        "state": "submitted",
        "version": 1,
        "receivedAt": first["receivedAt"],
        "changedAt": first["receivedAt"],
        "externalReference": reference,
    }


async def test_a_syncing_desk_reads_on_and_misses_nothing(hub: InnerHub) -> None:
    reference = f"T-{opaque(9)}"
    sent = [
        (await hub.submit({**URGENT, "externalReference": reference})).json()["referralId"]
        for _ in range(3)
    ]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        body = (await listed(hub, externalReference=reference, limit=2, **cursor)).json()
        seen += [item["referralId"] for item in body["items"]]
        if body["nextCursor"] is None:
            break
        cursor = {"cursor": body["nextCursor"]}
        veto = {"agency": HOUSING, "reason": "r"}
        path = f"{PATH}/{sent[0]}/must-not-disclose"
        assert (await hub.call(POLICE, "POST", "referral", path, json=veto)).status_code == 201
    assert seen == [*sent, sent[0]], "what changed meanwhile comes again, at the end"
    newest = (await listed(hub, externalReference=reference)).json()["items"][-1]
    since = (await listed(hub, changedSince=newest["changedAt"])).json()["items"]
    assert [item["referralId"] for item in since] == [sent[0]]


async def test_anothers_reference_finds_nothing_with_the_same_bytes(hub: InnerHub) -> None:
    reference = f"T-{opaque(9)}"
    await hub.submit({**FULL, "externalReference": reference})
    theirs = await listed(hub, HOUSING, externalReference=reference)
    nobodys = await listed(hub, HOUSING, externalReference=f"T-{opaque(9)}")
    assert theirs.status_code == nobodys.status_code == 200
    assert theirs.content == nobodys.content == b'{"items":[],"nextCursor":null}'


async def test_a_cursor_is_its_callers_and_its_questions_own(hub: InnerHub) -> None:
    reference = f"T-{opaque(9)}"
    for _ in range(2):
        await hub.submit({**URGENT, "externalReference": reference})
    cursor = (await listed(hub, externalReference=reference, limit=1)).json()["nextCursor"]
    for who, params in (
        (HOUSING, {"externalReference": reference}),
        (POLICE, {}),
        (POLICE, {"externalReference": "another"}),
    ):
        answer = await listed(hub, who, cursor=cursor, limit=1, **params)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid-cursor")


@pytest.mark.parametrize(
    "params",
    [
        {"changedSince": "secret-2026-11-21"},
        {"changedSince": "2026-11-21"},
        {"changedSince": "1763690400"},
        {"changedSince": "2026-11-21T02:00:00"},
        {"externalReference": ""},
        {"externalReference": "secret" * 60},
        {"limit": "0"},
        {"limit": "secret"},
        {"external_reference": "secret"},
        {"cursor": "secret"},
    ],
)
async def test_a_bad_question_is_refused_without_an_echo(
    hub: InnerHub, params: dict[str, str]
) -> None:
    answer = await listed(hub, **params)
    assert answer.status_code in {400, 422}
    assert "secret" not in answer.text
    assert "1763690400" not in answer.text


async def test_a_reference_given_twice_is_refused(hub: InnerHub) -> None:
    path = f"{PATH}?externalReference=secret-a&externalReference=secret-b"
    answer = await hub.call(POLICE, "GET", "referral", path, scope="referral.read")
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == ["/externalReference"]
    assert "secret" not in answer.text


async def test_a_reference_is_in_no_log_line_and_no_span(hub: InnerHub) -> None:
    reference = f"Pellworth-{opaque(9)}"
    await hub.submit({**FULL, "externalReference": reference})
    hub.said()
    assert len((await listed(hub, externalReference=reference)).json()["items"]) == 1
    await listed(hub, HOUSING, externalReference=reference, limit=0)
    said = hub.said()
    assert PATH in said, "the requests themselves are told"
    assert reference not in said
    assert quote(reference, safe="") not in said
    stored = hub.rows("referral", "SELECT record FROM audit_pending")
    assert not [row for row in stored if reference.encode() in bytes(row[0])]


async def test_one_listing_is_one_entry(hub: InnerHub) -> None:
    def entries() -> list[dict[str, Any]]:
        rows = hub.rows("referral", "SELECT record FROM audit_pending ORDER BY epoch, seq")
        return [one for row in rows if (one := json.loads(row[0])).get("rt") == "sent-referrals"]

    before = len(entries())
    count = len((await listed(hub)).json()["items"])
    (entry,) = entries()[before:]
    assert (entry["op"], entry["n"], entry["org"]) == ("search", count, POLICE)
    assert not {"case", "res", "rv"} & entry.keys()


async def test_an_erased_case_is_not_found_by_its_reference(hub: InnerHub) -> None:
    reference = f"T-{opaque(9)}"
    sent = (await hub.submit({**FULL, "externalReference": reference})).json()
    assert await hub.outcomes(sent["referralId"]) == {"released"}
    query = "SELECT case_id FROM referral WHERE id = ?"
    case = hub.rows("referral", query, UUID(sent["referralId"]).hex)[0][0]
    frame = hub.frame("referral")
    gone = "UPDATE subject_key SET wrapped = NULL, destroyed_at = 1 WHERE subject_id = ?"

    def erase(unit: Unit) -> None:
        unit.connection.exec_driver_sql(gone, (case,))

    await frame.database.write(erase)
    assert (await listed(hub, externalReference=reference)).json()["items"] == []
    listing = (await listed(hub, changedSince=sent["receivedAt"])).json()["items"]
    (item,) = [one for one in listing if one["referralId"] == sent["referralId"]]
    assert item["externalReference"] is None
