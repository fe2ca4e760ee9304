"""The road, by hand as it were: one referral from a police system to sealed, provable deliveries,
in both modes.

Of all journeys this one starts services and `hubctl` as new processes, imports and all.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest

from deploy.stack import processes, topology
from hubformats.package_proof import Verdict
from hubformats.tlog.tiles import current_tile, tiles_of
from hubpartner.client import HubClient
from tests.support import goverify
from tests.support.hubs import (
    ROOT,
    RunningHub,
    Said,
    StackHub,
    StandaloneHub,
    as_agency,
    hubctl,
    wait_for,
    whole_inbox,
)
from tests.support.leaks import Needles, planted, seeded_values
from tests.support.ports import free_base

FULL: dict[str, Any] = json.loads((ROOT / "examples/referral-full.json").read_text("utf-8"))
URGENT: dict[str, Any] = json.loads((ROOT / "examples/referral-urgent.json").read_text("utf-8"))
TOLD = ("northmoor-idva", "northmoor-social-care", "northmoor-victim-support")
NOT_TOLD = (
    "northmoor-probation",
    "northmoor-housing",
    "northmoor-health",
    "northmoor-school",
    "northmoor-police",
)

pytestmark = [
    pytest.mark.xdist_group("hubs"),
    pytest.mark.timeout(600),
    pytest.mark.usefixtures("new_processes"),
]


@pytest.fixture(scope="module", params=["standalone", "stack"])
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """A fresh hub in each mode, its spans kept in files so that they can be searched."""
    folder = tmp_path_factory.mktemp(f"hub-{request.param}")
    # PostgreSQL runs under an account of its own and must be able to pass through.
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o711)
    extra = {
        "HUB_TRACE_RATIO": "1",
        "HUB_SPAN_FILE": str(folder / "spans.jsonl"),
        "HUB_DELIVERY_SPREAD_MS": "0",
    }
    made: RunningHub = (
        StandaloneHub(folder, processes.free_port(), extra=extra)
        if request.param == "standalone"
        else StackHub(folder, free_base(), extra=extra)
    )
    made.start()
    yield made
    made.stop()


def ok(said: Said) -> str:
    """What a command printed, once it ended well."""
    assert said.status == 0, said.err + said.out
    return said.out


async def submitted(hub: RunningHub, form: dict[str, Any]) -> dict[str, Any]:
    """The answer to a referral sent by the police system."""
    return await as_agency(hub, "northmoor-police", lambda client: client.submit_referral(form))


async def verdicts(
    hub: RunningHub, agency: str, reference: str, *, at_least: int = 1
) -> list[Verdict]:
    """What an agency's own checks say of its deliveries about a case, once there are enough."""

    async def opened(client: HubClient) -> list[Verdict]:
        found = [client.open(item).verdict for item in await whole_inbox(client)]
        return [v for v in found if v.content["caseReference"] == reference]

    return await wait_for(
        lambda: as_agency(hub, agency, opened), lambda found: len(found) >= at_least
    )


async def test_the_road_by_hubctl(hub: RunningHub, tmp_path: Path) -> None:
    """A newcomer's five minutes: submit, receive, save, hear back, verify."""
    form = str(ROOT / "examples/referral-full.json")
    said = ok(hubctl(hub, "northmoor-police", "referral", "submit", form, "--json"))
    referral = json.loads(said)
    assert referral["risk"]["level"] == "high"

    async def outcomes() -> dict[str, str]:
        read = await as_agency(
            hub, "northmoor-police", lambda client: client.read_referral(referral["referralId"])
        )
        return {outcome["recipient"]: outcome["state"] for outcome in read["outcomes"]}

    states = await wait_for(
        outcomes, lambda found: set(found) == set(TOLD) and set(found.values()) == {"released"}
    )
    assert set(states) == set(TOLD)

    for agency in TOLD:
        rows = json.loads(ok(hubctl(hub, agency, "inbox", "--json")))["items"]
        assert [row["verified"] for row in rows] == [True], f"{agency}: {rows}"
        assert rows[0]["caseReference"] != referral["caseReference"]
        package = tmp_path / f"{agency}.package.json"
        ok(hubctl(hub, agency, "inbox", "save", rows[0]["deliveryId"], "--to", str(package)))
        assert "proven: entry" in ok(hubctl(hub, agency, "proof", "verify", str(package)))
    for agency in NOT_TOLD:
        assert json.loads(ok(hubctl(hub, agency, "inbox", "--json")))["items"] == []

    await wait_for(outcomes, lambda found: set(found.values()) == {"saved"})
    assert "accepted, with a signed receipt" in ok(
        hubctl(hub, "northmoor-police", "referral", "show", referral["referralId"])
    )
    assert "Verified:" in ok(
        hubctl(hub, "northmoor-police", "audit", "verify", f"{hub.url('audit')}/log")
    )

    package = tmp_path / "northmoor-idva.package.json"
    stranger = hubctl(hub, "northmoor-housing", "proof", "verify", str(package))
    assert stranger.status == 1
    assert "NOT OPENED" in stranger.err
    a_foreign_verifier_agrees(hub, package, tmp_path)


def a_foreign_verifier_agrees(hub: RunningHub, package: Path, tmp_path: Path) -> None:
    """Export the proof, and check it and the whole log with a program that is not ours."""
    folder = tmp_path / "exhibit"
    ok(hubctl(hub, "northmoor-idva", "proof", "export", str(package), str(folder)))
    vkey = (folder / "vkey.txt").read_text().strip()
    foreign = goverify.build(tmp_path / "go")
    assert foreign.proof(folder / "leaf.tlog-proof", folder / "leaf.json", vkey)[0]
    assert foreign.log(_mirrored(f"{hub.url('audit')}/log", tmp_path / "mirror"), vkey)[0]
    (folder / "leaf.json").write_bytes(
        (folder / "leaf.json").read_bytes().replace(b'"ep":1', b'"ep":2')
    )
    assert not foreign.proof(folder / "leaf.tlog-proof", folder / "leaf.json", vkey)[0]


def _mirrored(prefix: str, folder: Path) -> Path:
    """The public log as a stranger would fetch it: checkpoint, bundles, tiles."""
    folder.mkdir()
    note = httpx2.get(f"{prefix}/checkpoint").text
    (folder / "checkpoint").write_text(note)
    size = int(note.splitlines()[1])
    wanted = [current_tile(size, -1, number) for number in range(-(-size // 256))] + list(
        tiles_of(size)
    )
    for path in sorted({tile.path() for tile in wanted}):
        answer = httpx2.get(f"{prefix}/{path}")
        answer.raise_for_status()
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(answer.content)
    return folder


async def test_each_recipient_gets_exactly_its_part(hub: RunningHub) -> None:
    """The IDVA gets the safe-contact rule and the risk, social care the child, victim support an
    offer; the shielded address nobody.
    """
    await submitted(hub, {**FULL, "externalReference": "NP-2026-200001"})
    parts: dict[str, str] = {}
    for agency in TOLD:
        items = await wait_for(
            lambda agency=agency: as_agency(hub, agency, whole_inbox),  # type: ignore[misc]
            lambda found: len(found) >= 2,
        )
        last = await as_agency(hub, agency, lambda client, item=items[-1]: _content(client, item))  # type: ignore[misc]
        parts[agency] = json.dumps(last, ensure_ascii=False)
    for agency, text in parts.items():
        for shielded in ("Larkspur", "NZ9 4QX", "Fellgate"):
            assert shielded not in text, f"{agency} was told where she lives"
        assert not any(other in text for other in TOLD if other != agency)
    assert '"safeContact"' in parts["northmoor-idva"]
    assert "Ottoline" in parts["northmoor-social-care"]
    assert "Strangling" not in parts["northmoor-victim-support"]
    assert "Vexley" not in parts["northmoor-victim-support"]


async def _content(client: HubClient, item: Any) -> dict[str, Any]:
    return dict(client.open(item).verdict.content)


async def test_danger_goes_at_once_with_four_answers(hub: RunningHub) -> None:
    """The urgent form reaches the IDVA service as provisional, and says not to contact."""
    await submitted(hub, {**URGENT, "externalReference": "NP-2026-200002"})

    async def urgent(client: HubClient) -> list[dict[str, Any]]:
        found = [dict(client.open(item).verdict.content) for item in await whole_inbox(client)]
        return [content for content in found if content["urgent"]]

    contents = await wait_for(lambda: as_agency(hub, "northmoor-idva", urgent), bool)
    assert contents[0]["provisional"]
    assert contents[0].get("safeContact", {"doNotContact": True})["doNotContact"]
    assert "burn the house" in json.dumps(contents[0])


async def test_pausing_audit_stops_release_and_resuming_releases_once(hub: RunningHub) -> None:
    """Nothing leaves before its entry is durable; what waited leaves once each."""
    before = {agency: len(await as_agency(hub, agency, whole_inbox)) for agency in TOLD}
    ok(hubctl(hub, "operator", "service", "pause", "audit"))
    try:
        referral = await submitted(hub, {**FULL, "externalReference": "NP-2026-200003"})

        async def states() -> set[str]:
            read = await as_agency(
                hub, "northmoor-police", lambda client: client.read_referral(referral["referralId"])
            )
            return {outcome["state"] for outcome in read["outcomes"]}

        await wait_for(states, lambda found: found == {"decided"})
        assert {agency: len(await as_agency(hub, agency, whole_inbox)) for agency in TOLD} == before
    finally:
        ok(hubctl(hub, "operator", "service", "resume", "audit"))
    await wait_for(states, lambda found: found == {"released"})
    after = {agency: len(await as_agency(hub, agency, whole_inbox)) for agency in TOLD}
    assert after == {agency: count + 1 for agency, count in before.items()}


async def test_nothing_seeded_stands_in_clear_anywhere(hub: RunningHub, tmp_path: Path) -> None:
    """Databases, bus or broker, logs, spans, file names: no seeded value in any encoding; a planted
    one is found.
    """
    needles = Needles(
        {**seeded_values(FULL), **{f"urgent{k}": v for k, v in seeded_values(URGENT).items()}}
    )
    leaks = needles.in_tree(hub.folder)
    assert leaks == [], f"{len(leaks)} leaks, first {leaks[:5]}"
    if isinstance(hub, StackHub):
        _search_tables(hub, needles)
    planted(tmp_path, FULL["people"][0]["name"]["full"])
    assert needles.in_tree(tmp_path), "the search cannot find what was planted"
    spans = list(hub.folder.glob("spans*"))
    assert sum(path.stat().st_size for path in spans) > 10_000, "no spans were searched"


def _search_tables(hub: StackHub, needles: Needles) -> None:
    """Every database as its own service reads it, and once with a whole referral planted, which the
    server would compress.
    """
    for service in topology.SERVICES:
        url = hub.stack.postgres.superuser_url(service)
        assert needles.in_postgres(url) == [], (
            f"a seeded value stands in clear in a table of {service}"
        )
    url = hub.stack.postgres.superuser_url("referral")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE planted (body text)")
        connection.execute(
            "INSERT INTO planted VALUES (%s)", [json.dumps(FULL, ensure_ascii=False)]
        )
        try:
            assert needles.in_postgres(url), "the search cannot find a referral planted in a table"
        finally:
            connection.execute("DROP TABLE planted")
