"""What was set aside, in the operator's hands: listed without content, replayed once, and no door
for a forgery."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio

from common import topics
from common.bus import PIECE, Outgoing
from common.events.audit import AuditBatch
from hubformats.agency_events import SavedReceipt
from hubformats.ids import opaque
from hubpartner.delivery import saved_receipt
from tests.support.bus_attacks import (
    Sent,
    batch_of,
    good_record,
    item,
    released,
    sealed,
    set_aside,
    signer,
    until,
)
from tests.support.inner_hub import POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]

IDVA: Final = "northmoor-idva"
REPLAY: Final = "/v1/operator/quarantine/replay"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def acts(hub: InnerHub, service: str) -> list[tuple[Any, ...]]:
    """What the service recorded of its operator's acts: on what, why, how many."""
    records = [
        json.loads(row[0])
        for row in hub.rows(service, "SELECT record FROM audit_pending ORDER BY created_at, seq")
    ]
    return [(r["rt"], r.get("why"), r.get("n")) for r in records if r["op"] == "config_change"]


async def test_what_a_suspended_agency_said_counts_once_when_the_operator_replays_it(
    hub: InnerHub,
) -> None:
    operator, idva = hub.client("operator"), hub.client(IDVA)
    await released(hub)
    delivery = idva.open((await idva.inbox(limit=1, wait=5)).items[-1])
    receipt = saved_receipt(delivery, signer=idva.profile.signing, system="Case system")
    value = sealed(
        hub, idva.profile.signing, SavedReceipt(receipt=receipt).data(), type_=SavedReceipt.TYPE
    )
    topic = topics.inbound(IDVA)
    saved = "SELECT count(*) FROM disclosure WHERE saved_at IS NOT NULL"

    await operator.suspend(IDVA, "exercise")
    directory = hub.frame("sharing").directory
    await until(
        lambda: directory.fresh() and directory.suspended(IDVA), "sharing knows of the suspension"
    )
    await set_aside(hub, Sent("sharing", topic, value, b"receipts"), "agency-suspended", holds=True)
    (row,) = await operator.quarantine("sharing", topic=topic)
    assert (row["reason"], row["sender"], row["holds"]) == ("agency-suspended", IDVA, True)
    assert receipt[:40] not in json.dumps(row)
    too_early = await operator.replay("sharing", topic=topic)
    assert (too_early["applied"], too_early["stillAside"]) == (0, 1)
    assert hub.rows("sharing", saved) == [(0,)]

    await operator.restore(IDVA)
    await until(lambda: not directory.suspended(IDVA), "sharing knows that it is over")
    came_to = await operator.replay("sharing", topic=topic, digests=[row["digest"]])
    assert came_to == {"applied": 1, "known": 0, "stillAside": 0, "absent": 0}
    assert await operator.quarantine("sharing", topic=topic) == []
    assert hub.rows("sharing", saved) == [(1,)]
    again = await operator.replay("sharing", reason="agency-suspended")
    assert set(again.values()) == {0}
    assert await hub.client(IDVA).send_receipt(delivery, "Case system")
    assert hub.rows("sharing", saved) == [(1,)]
    assert acts(hub, "sharing")[-2:] == [("quarantine", None, 1)] * 2


async def test_two_operators_at_once_apply_it_once(hub: InnerHub) -> None:
    operator, idva = hub.client("operator"), hub.client(IDVA)
    topic = topics.inbound(IDVA)
    await released(hub)
    delivery = idva.open((await idva.inbox(limit=100)).items[-1])
    value = sealed(
        hub,
        idva.profile.signing,
        SavedReceipt(
            receipt=saved_receipt(delivery, signer=idva.profile.signing, system="S")
        ).data(),
        type_=SavedReceipt.TYPE,
    )
    await operator.suspend(IDVA, "exercise")
    directory = hub.frame("sharing").directory
    await until(lambda: directory.suspended(IDVA), "sharing knows of the suspension")
    await set_aside(hub, Sent("sharing", topic, value, b"receipts"), "agency-suspended", holds=True)
    await operator.restore(IDVA)
    await until(lambda: not directory.suspended(IDVA), "sharing knows that it is over")
    both = await asyncio.gather(*(operator.replay("sharing", topic=topic) for _ in range(2)))
    assert sum(one["applied"] for one in both) == 1
    assert sum(one["stillAside"] for one in both) == 0


@pytest.mark.parametrize("who", ["stray", "sharing", POLICE])
async def test_a_batch_that_is_not_the_services_own_does_not_enter_the_log_by_replay(
    hub: InnerHub, who: str
) -> None:
    """Audit's own topics: the broker's list is not what keeps a stranger out, and the operator
    cannot let one in.
    """
    await released(hub)
    src = opaque()
    key = (
        hub.client(POLICE).profile.signing
        if who == POLICE
        else signer(hub, "sharing" if who == "stray" else who)
    )
    claimed = batch_of(
        src, item(1, good_record(hub)), service="sharing" if who == "sharing" else "referral"
    )
    value = sealed(hub, key, claimed, to="audit", type_=AuditBatch.TYPE)
    topic = topics.audit("referral")
    await set_aside(hub, Sent("audit", topic, value, b"src"), "wrong-source", holds=False)
    came_to = await hub.client("operator").replay("audit", topic=topic)
    assert came_to["applied"] == 0
    assert came_to["stillAside"] >= 1
    assert hub.rows("audit", "SELECT count(*) FROM entry WHERE src = ?", src) == [(0,)]
    shown = await hub.client("operator").quarantine("audit", topic=topic)
    assert {row.get("sender") for row in shown} == {None}


async def test_bytes_copied_to_another_quarantine_topic_are_judged_by_the_topic_they_came_on(
    hub: InnerHub,
) -> None:
    """Who may write to a quarantine topic can put an envelope there; it is replayed only as what
    this service noted.
    """
    idva = hub.client(IDVA)
    value = sealed(
        hub, idva.profile.signing, SavedReceipt(receipt="x" * 40).data(), type_=SavedReceipt.TYPE
    )
    first, other = topics.inbound("northmoor-health"), topics.inbound(IDVA)
    await set_aside(hub, Sent("sharing", first, value, b"k"), "wrong-source", holds=False)
    (copy,) = [
        record
        for record in await hub.hub.bus.read(topics.quarantine(first))
        if record.value == value
    ]
    await hub.hub.bus.publish(
        [Outgoing(topics.quarantine(other), copy.key, copy.value, copy.headers)]
    )
    assert set((await hub.client("operator").replay("sharing", topic=other)).values()) == {0}
    assert (await hub.client("operator").replay("sharing", topic=first))["stillAside"] == 1


async def test_a_paused_service_lists_and_replays_nothing_and_each_turn_is_an_entry(
    hub: InnerHub,
) -> None:
    operator = hub.client("operator")
    await operator.switch("sharing", "pause")
    try:
        assert (
            await hub.call(
                "operator", "GET", "sharing", "/v1/operator/quarantine", scope="agency.manage"
            )
        ).status_code == 200
        answer = await hub.call(
            "operator",
            "POST",
            "sharing",
            REPLAY,
            scope="agency.manage",
            json={"topic": topics.CASE},
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "paused")
    finally:
        await operator.switch("sharing", "resume")
    assert acts(hub, "sharing")[-2:] == [("service", "pause", None), ("service", "resume", None)]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"digests": ["A" * 43]},
        {"reason": "x", "digests": ["A" * 43]},
        {"topic": "A B"},
        {"topic": "t", "x": 1},
    ],
)
async def test_an_order_that_names_nothing_is_refused(hub: InnerHub, body: dict[str, Any]) -> None:
    answer = await hub.call("operator", "POST", "sharing", REPLAY, scope="agency.manage", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")


async def test_the_list_comes_in_pages(hub: InnerHub) -> None:
    topic = topics.inbound("northmoor-school")
    values = [f"no envelope {n}".encode() for n in range(3)]
    for value in values:
        await set_aside(hub, Sent("sharing", topic, value, b"k"), "malformed", holds=False)
    found: list[str] = []
    path = f"/v1/operator/quarantine?topic={topic}&limit=2"
    first = (await hub.call("operator", "GET", "sharing", path, scope="agency.manage")).json()
    found = [row["digest"] for row in first["items"]]
    rest = (
        await hub.call(
            "operator",
            "GET",
            "sharing",
            f"{path}&cursor={first['nextCursor']}",
            scope="agency.manage",
        )
    ).json()
    found += [row["digest"] for row in rest["items"]]
    assert len(set(found)) == 3
    assert rest.get("nextCursor") is None


async def discard(hub: InnerHub, **order: Any) -> Any:
    """The operator's order to sharing."""
    return await hub.call(
        "operator",
        "POST",
        "sharing",
        "/v1/operator/quarantine/discard",
        scope="agency.manage",
        json=order,
    )


async def test_a_forgery_is_let_go_of_for_good_with_its_reason_on_record(hub: InnerHub) -> None:
    topic = topics.inbound("northmoor-victim-support")
    for number in range(2):
        value = sealed(
            hub,
            hub.client(IDVA).profile.signing,
            SavedReceipt(receipt=f"{number}" * 40).data(),
            type_=SavedReceipt.TYPE,
        )
        await set_aside(hub, Sent("sharing", topic, value, b"k"), "wrong-source", holds=False)
    first, _ = [
        row["digest"] for row in await hub.client("operator").quarantine("sharing", topic=topic)
    ]
    answer = await discard(hub, topic=topic, why="forged", digests=[first])
    assert answer.json() == {"discarded": 1, "released": 0, "more": False}
    assert (await discard(hub, topic=topic, why="forged", digests=[first])).json()["discarded"] == 0
    assert set(
        (await hub.client("operator").replay("sharing", topic=topic, digests=[first])).values()
    ) == {0}
    assert (await discard(hub, topic=topic, why="forged", reason="bad-signature")).json()[
        "discarded"
    ] == 0
    assert (await discard(hub, topic=topic, why="forged", reason="wrong-source")).json()[
        "discarded"
    ] == 1
    assert await hub.client("operator").quarantine("sharing", topic=topic) == []
    assert acts(hub, "sharing")[-2:] == [("quarantine-discard", "forged", 1)] * 2
    await hub.hub.bus.publish([Outgoing(topic, b"k", value)])
    await asyncio.sleep(0.5)
    assert await hub.client("operator").quarantine("sharing", topic=topic) == [], (
        "the same bytes are known"
    )


async def test_an_authentic_one_is_let_go_of_by_its_digest_alone_and_holds_nothing_then(
    hub: InnerHub,
) -> None:
    topic, idva = topics.inbound(IDVA), hub.client(IDVA)
    value = sealed(
        hub,
        idva.profile.signing,
        SavedReceipt(receipt="no receipt at all, but signed by them").data(),
        type_=SavedReceipt.TYPE,
    )
    await set_aside(hub, Sent("sharing", topic, value, b"held"), "receipt-malformed", holds=True)
    (row,) = [
        each
        for each in await hub.client("operator").quarantine("sharing", topic=topic)
        if each["reason"] == "receipt-malformed"
    ]
    inbox, database = hub.frame("sharing").inbox, hub.frame("sharing").database
    assert await database.read(lambda connection: inbox.held(connection, key=b"held"))
    assert (await discard(hub, topic=topic, why="obsolete")).json()["released"] == 0
    refused = await discard(hub, topic=topic, why="forged", digests=[row["digest"]])
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/why")
    assert await database.read(lambda connection: inbox.held(connection, key=b"held"))
    assert (await discard(hub, topic=topic, why="sent-anew", digests=[row["digest"]])).json()[
        "released"
    ] == 1
    assert not await database.read(lambda connection: inbox.held(connection, key=b"held"))
    bytes_of_it = "SELECT count(*) FROM outbox WHERE topic = ? AND body IS NOT NULL AND key = ?"
    assert hub.rows("sharing", bytes_of_it, topics.quarantine(topic), b"held") == [(0,)]


async def test_a_replay_reads_a_flooded_quarantine_a_piece_at_a_time_and_no_further_than_needed(
    hub: InnerHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = topics.inbound("northmoor-social-care")
    value = sealed(
        hub,
        hub.client(IDVA).profile.signing,
        SavedReceipt(receipt="y" * 40).data(),
        type_=SavedReceipt.TYPE,
    )
    await set_aside(hub, Sent("sharing", topic, value, b"k"), "wrong-source", holds=False)
    await hub.hub.bus.publish(
        [Outgoing(topics.quarantine(topic), b"k", b"flood") for _ in range(300)]
    )
    bus, sizes = hub.frame("sharing").bus, list[int]()

    async def counted(name: str, *, at_most: int = PIECE) -> Any:
        async for piece in type(bus).pieces(bus, name, at_most=at_most):
            sizes.append(len(piece))
            yield piece

    monkeypatch.setattr(bus, "pieces", counted)
    (row,) = await hub.client("operator").quarantine("sharing", topic=topic)
    came_to = await hub.client("operator").replay("sharing", topic=topic, digests=[row["digest"]])
    assert came_to == {"applied": 0, "known": 0, "stillAside": 1, "absent": 0}
    assert 0 < sum(sizes) < 200
    assert max(sizes) <= PIECE
