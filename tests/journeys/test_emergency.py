"""The emergency path in both modes: a named person lets a package go on a promise; what is promised
is never called proven."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from common.web.client import ServiceClient
from hubformats.answers import ProblemAnswer
from hubformats.ids import opaque
from tests.support.cases import (
    CARE,
    IDVA,
    POLICE,
    SUPPORT,
    TOLD,
    client_of,
    counts,
    decided_and_waiting,
    delivery_ids,
    entries,
    received,
    standing,
    switch,
    until_outcomes,
)
from tests.support.fresh_hub import MODES, fresh_hub
from tests.support.hubs import RunningHub, as_agency, hubctl, wait_for, whole_inbox
from tests.support.people import as_person

pytestmark = [pytest.mark.xdist_group("hubs"), pytest.mark.timeout(600)]
COORDINATOR, OFFICER, OTHER_AGENCYS_MANAGER = "Jess Marlow", "Tom Hallam", "Ruth Okafor"
WHY = {
    "code": "imminent_danger_to_life",
    "reason": "He is at the door and the log does not answer.",
}


@pytest.fixture(scope="module", params=MODES)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """One hub per mode for the whole module."""
    with fresh_hub(request.param, tmp_path_factory.mktemp(f"emergency-{request.param}")) as made:
        yield made


async def release(client: ServiceClient, delivery: str) -> httpx2.Response:
    """Ask for an emergency release."""
    path = f"/v1/disclosures/{delivery}/emergency-release"
    return await client.call(
        "POST", path, scope="sharing.request", json=WHY, idempotency_key=opaque()
    )


async def refusal(client: ServiceClient, delivery: str) -> tuple[int, str]:
    """How a release is refused."""
    with pytest.raises(ProblemAnswer) as refused:
        await release(client, delivery)
    return refused.value.status, refused.value.code


async def proof_told(hub: RunningHub, referral: Mapping[str, Any]) -> str | None:
    """What the sender hears of the proof that the IDVA's part left with."""
    read = await as_agency(hub, POLICE, lambda client: client.read_referral(referral["referralId"]))
    proofs: dict[str, str | None] = {
        outcome["recipient"]: outcome["proof"] for outcome in read["outcomes"]
    }
    return proofs[IDVA]


async def released_by_the_coordinator_alone(
    hub: RunningHub, delivery: str, before: Mapping[str, int]
) -> dict[str, Any]:
    """Try as a machine, as an officer and as a stranger, then release as the coordinator, once."""
    async with httpx2.AsyncClient(timeout=20.0) as http:
        system = client_of(hub, POLICE, "sharing", http)
        assert (await refusal(system, delivery))[0] == 403, "a machine must never decide this"
        officer = await as_person(hub, OFFICER, "sharing", "sharing.request", http)
        assert await refusal(officer, delivery) == (403, "forbidden")
        stranger = await as_person(hub, OTHER_AGENCYS_MANAGER, "sharing", "sharing.request", http)
        assert await refusal(stranger, delivery) == (404, "not-found")
        assert await counts(hub) == before, "a refused release let something go"
        coordinator = await as_person(hub, COORDINATOR, "sharing", "sharing.request", http)
        released: dict[str, Any] = (await release(coordinator, delivery)).json()
        assert (released["standing"], released["deliveryId"]) == ("promised", delivery)
        assert (await refusal(coordinator, delivery))[0] == 409, "it left twice"
    return released


def hubctl_says_promised(hub: RunningHub, delivery: str, package: Path) -> None:
    """Show the delivery, save its package and verify that: each says promised, none proven."""
    said = hubctl(hub, IDVA, "inbox", "show", delivery)
    assert "promised" in said.out, said.err
    assert "proven" not in said.out
    assert hubctl(hub, IDVA, "inbox", "save", delivery, "--to", str(package)).status == 0
    said = hubctl(hub, IDVA, "proof", "verify", str(package))
    assert "promised" in said.out, said.err
    assert "proven" not in said.out


async def test_promised_then_proven(hub: RunningHub, tmp_path: Path) -> None:
    """Audit is down and there is danger: a person with authority releases; the proof follows by
    itself when audit is back.
    """
    before = await counts(hub)
    referral = await decided_and_waiting(hub)
    try:
        delivery = (await delivery_ids(hub, referral))[IDVA]
        released = await released_by_the_coordinator_alone(hub, delivery, before)
        await wait_for(lambda: counts(hub), lambda found: found[IDVA] == before[IDVA] + 1)
        only = (await received(hub, IDVA))[-1]
        assert (only.delivery_id, only.verdict.standing) == (delivery, "promised")
        assert only.verdict.due is not None
        assert only.verdict.due.isoformat() == released["proofDue"].replace("Z", "+00:00")
        await wait_for(lambda: proof_told(hub, referral), lambda proof: proof == "promised")
        hubctl_says_promised(hub, delivery, tmp_path / "promised.json")
        assert {
            state
            for agency, (state, _) in (await standing(hub, referral)).items()
            if agency != IDVA
        } == {"awaiting_receipt"}
    finally:
        await switch(hub, "audit", on=True)

    await until_outcomes(
        hub, referral, lambda found: {found.get(CARE), found.get(SUPPORT)} == {"released"}
    )
    await wait_for(lambda: counts(hub), lambda found: found[IDVA] == before[IDVA] + 2, seconds=90)
    notice = (await received(hub, IDVA))[-1]
    assert (notice.delivery_id, notice.verdict.standing) == (delivery, "proven")
    assert notice.verdict.content == only.verdict.content
    assert notice.verdict.record == only.verdict.record
    assert (await as_agency(hub, IDVA, whole_inbox))[-1].kind == "notice"
    await wait_for(lambda: proof_told(hub, referral), lambda proof: proof == "proven")
    logged = await entries(hub, referral)
    told = [e["record"] for e in logged if e["operation"] == "emergency_release"]
    assert [(e["dl"], e["rcp"], e["bg"], e["jc"], e["role"]) for e in told] == [
        (delivery, IDVA, True, WHY["code"], "marac_coordinator")
    ]
    assert {agency: count - before[agency] for agency, count in (await counts(hub)).items()} == {
        IDVA: 2,
        CARE: 1,
        SUPPORT: 1,
    }


async def test_a_veto_holds_in_an_emergency_too(hub: RunningHub) -> None:
    """Nobody's authority overrides must-not-disclose."""
    before = await counts(hub)
    referral = await decided_and_waiting(hub)
    try:
        delivery = (await delivery_ids(hub, referral))[IDVA]
        await as_agency(
            hub,
            POLICE,
            lambda client: client.forbid_disclosure(
                referral["referralId"], agency="*", category="*", reason="He works there."
            ),
        )
        async with httpx2.AsyncClient(timeout=20.0) as http:
            coordinator = await as_person(hub, COORDINATOR, "sharing", "sharing.request", http)
            assert (await refusal(coordinator, delivery))[0] == 409
    finally:
        await switch(hub, "audit", on=True)
    await wait_for(
        lambda: standing(hub, referral),
        lambda found: {state for state, _ in found.values()} == {"superseded"},
    )
    assert await counts(hub) == before
    assert set(await delivery_ids(hub, referral)) == set(TOLD)
