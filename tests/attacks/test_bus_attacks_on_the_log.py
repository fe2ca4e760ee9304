"""Hostile and broken batches on the audit topics: refused, recorded, and nobody else held up."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from common import topics
from common.bus import Outgoing
from common.events.audit import AuditBatchV1, AuditRejected
from hubformats.ids import opaque
from hubformats.keys import generate_signing
from tests.support.bus_attacks import (
    Sent,
    batch_of,
    case_of,
    good_record,
    item,
    released,
    sealed,
    set_aside,
    signer,
    until,
)
from tests.support.inner_hub import FULL, POLICE, InnerHub, inner_hub
from tests.support.modes import Mode

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module: what one attack leaves behind must not trouble the next."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


@pytest.mark.parametrize(
    ("sender", "reason"),
    [("stray", "unknown-key"), ("sharing", "wrong-source"), (POLICE, "wrong-source")],
)
async def test_only_the_service_itself_writes_to_its_audit_topic(
    hub: InnerHub, sender: str, reason: str
) -> None:
    await released(hub)
    src = opaque()
    key = generate_signing("svc:referral") if sender == "stray" else None
    key = key or (hub.caller(POLICE).tokens._signing if sender == POLICE else signer(hub, sender))
    value = sealed(
        hub, key, batch_of(src, item(1, good_record(hub))), to="audit", type_=AuditBatchV1.TYPE
    )
    await set_aside(
        hub, Sent("audit", topics.audit("referral"), value, b"src"), reason, holds=False
    )
    assert hub.rows("audit", "SELECT count(*) FROM entry WHERE src = ?", src) == [(0,)]
    await released(hub)


@pytest.mark.parametrize("cut", ["truncated", "unknown version"])
async def test_a_broken_batch_is_set_aside_and_the_next_is_taken(hub: InnerHub, cut: str) -> None:
    await released(hub)
    data, known = batch_of(opaque(), item(1, good_record(hub))), cut == "truncated"
    value = sealed(
        hub,
        signer(hub, "referral"),
        data,
        to="audit",
        type_=AuditBatchV1.TYPE,
        version=1 if known else 99,
    )
    value, reason = (value[:-9], "malformed") if known else (value, "event-unknown")
    await set_aside(
        hub,
        Sent("audit", topics.audit("referral"), value, opaque().encode()),
        reason,
        holds=not known,
    )
    await released(hub)


async def test_a_record_that_is_none_becomes_a_rejected_entry_and_stops_no_other(
    hub: InnerHub,
) -> None:
    await released(hub)
    src, bad = opaque(), b'{"name":"Isaura Pellworth"}'
    data = batch_of(src, item(1, good_record(hub)), item(2, bad), item(3, good_record(hub)))
    value = sealed(hub, signer(hub, "referral"), data, to="audit", type_=AuditBatchV1.TYPE)
    await hub.hub.bus.publish([Outgoing(topics.audit("referral"), src.encode(), value, ())])
    rows = await until(
        lambda: hub.rows(
            "audit", "SELECT seq, rejected, record FROM entry WHERE src = ? ORDER BY seq", src
        ),
        "entries",
    )
    assert [(seq, bool(code)) for seq, code, _ in rows] == [(1, False), (2, True), (3, False)]
    assert b"Isaura" not in rows[1][2]
    assert json.loads(rows[1][2])["op"] == "rejected"
    await hub.hub.bus.publish([Outgoing(topics.audit("referral"), src.encode(), value, ())])
    await released(hub)
    assert hub.rows("audit", "SELECT count(*) FROM entry WHERE src = ?", src) == [(3,)]


async def test_a_gap_is_taken_flagged_and_filled(hub: InnerHub) -> None:
    await released(hub)
    src, key = opaque(), signer(hub, "referral")
    for first in (5, 2):
        value = sealed(
            hub,
            key,
            batch_of(src, item(first, good_record(hub)), first=first),
            to="audit",
            type_=AuditBatchV1.TYPE,
            stream=src,
            seq=first,
        )
        await hub.hub.bus.publish([Outgoing(topics.audit("referral"), src.encode(), value, ())])
    await until(
        lambda: hub.rows("audit", "SELECT count(*) FROM entry WHERE src = ?", src) == [(2,)],
        "both batches",
    )
    answer = await hub.call("auditor", "GET", "audit", "/v1/completeness", scope="audit.read")
    shown = next(one for one in answer.json()["producers"] if one["src"] == src)
    assert shown["gaps"] == [{"first": 1, "last": 1}, {"first": 3, "last": 4}]
    assert answer.json()["verdict"] == "gaps"
    await released(hub)


async def test_a_place_in_the_log_is_not_taken_twice(hub: InnerHub) -> None:
    """An insider who writes another record into referral's own place gets a rejected entry
    elsewhere; the first one stands.
    """
    await released(hub)
    src, epoch, seq, before = hub.rows(
        "audit",
        "SELECT src, ep, seq, record FROM entry WHERE service = 'referral' AND rejected = '' "
        "LIMIT 1",
    )[0]
    data = AuditBatchV1(
        service="referral",
        src=src,
        epoch=epoch,
        first_seq=seq,
        items=(item(seq, good_record(hub)),),
    ).data()
    value = sealed(hub, signer(hub, "referral"), data, to="audit", type_=AuditBatchV1.TYPE)
    await hub.hub.bus.publish([Outgoing(topics.audit("referral"), src.encode(), value, ())])
    await until(
        lambda: hub.rows("audit", "SELECT 1 FROM entry WHERE rejected = 'place-taken'"),
        "the rejected entry",
    )
    assert hub.rows(
        "audit", "SELECT record FROM entry WHERE src = ? AND ep = ? AND seq = ?", src, epoch, seq
    ) == [(before,)]
    await released(hub)


async def test_a_rejected_record_blocks_its_disclosure_alone_and_a_forged_rejection_none(
    hub: InnerHub,
) -> None:
    await hub.client("operator").switch("audit", "pause")
    answer = await hub.submit({**FULL, "externalReference": f"T-{opaque(9)}"})
    referral = str(answer.json()["referralId"])
    assert await hub.outcomes(referral, until="decided") == {"decided"}
    case = case_of(hub, referral)
    query = (
        "SELECT x.recipient, p.src, p.epoch, p.seq FROM disclosure x JOIN audit_pending p ON "
        "p.record_id = x.record_id "
        "WHERE x.case_id = ? AND x.recipient = 'northmoor-victim-support'"
    )
    recipient_, src, epoch, seq = hub.rows("sharing", query, case.hex)[0]
    said = AuditRejected(src=src, epoch=epoch, seq=seq, code="record-malformed", index=1).data()
    forged = sealed(hub, generate_signing("svc:audit"), said, type_=AuditRejected.TYPE)
    await set_aside(
        hub, Sent("sharing", topics.AUDIT_RECEIPT, forged, b"x"), "unknown-key", holds=False
    )
    assert await hub.outcomes(referral, until="decided") == {"decided"}

    real = sealed(hub, signer(hub, "audit"), said, type_=AuditRejected.TYPE)
    await hub.hub.bus.publish([Outgoing(topics.AUDIT_RECEIPT, b"x", real, ())])
    state = "SELECT state, reason FROM disclosure WHERE case_id = ? AND recipient = ?"
    await until(
        lambda: hub.rows("sharing", state, case.hex, recipient_) == [("blocked", "audit-rejected")],
        "blocked",
    )
    await hub.client("operator").switch("audit", "resume")
    others = "SELECT DISTINCT state FROM disclosure WHERE case_id = ? AND recipient != ?"
    await until(
        lambda: hub.rows("sharing", others, case.hex, recipient_) == [("released",)],
        "the others left",
    )
    assert hub.rows("sharing", state, case.hex, recipient_) == [("blocked", "audit-rejected")]
    delivered = (
        "SELECT count(*) FROM delivery d JOIN disclosure x ON x.id = d.delivery_id WHERE "
        "x.case_id = ? AND d.agency = ?"
    )
    assert hub.rows("sharing", delivered, case.hex, recipient_) == [(0,)]
    await released(hub)
