"""Hostile and broken envelopes on the hub's own topics: quarantined untouched, nothing lost, nobody
else held up."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio

from common import topics
from common.bootstrap import SERVICE_KEY
from common.bus import Incoming, Outgoing
from common.events.audit import AuditBatch, AuditItem, AuditRejected
from common.events.case import CaseSnapshot
from common.keyring import FileKeyring
from hubformats.canonical import b64u
from hubformats.clock import SystemClock
from hubformats.envelope import open_envelope, peek, routing_headers, seal
from hubformats.ids import opaque, uuid7
from hubformats.keys import RecipientKey, SigningKey, generate_signing
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub
from tests.vectors.envelope import craft

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLOCK: Final = SystemClock()
VECTORS: Final = Path(__file__).parents[1] / "vectors" / "envelope"
DEFECTS: Final = [case["file"] for case in json.loads((VECTORS / "cases.json").read_text())]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module: what one attack leaves behind must not trouble the next."""
    async with inner_hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


def signer(hub: InnerHub, service: str) -> SigningKey:
    """A service's own signing key: what an insider of that service could use."""
    return FileKeyring(
        hub.folder / "keyring" / service, passphrase=None, open_allowed=True
    ).signing_key(SERVICE_KEY)


def recipient(hub: InnerHub, service: str) -> RecipientKey:
    """The key everybody seals to for this service."""
    found = hub.frame("referral").keys.recipient(f"svc:{service}")
    assert found is not None
    return found


def sealed(
    hub: InnerHub,
    sender: SigningKey,
    data: Mapping[str, Any],
    *,
    to: str = "sharing",
    type_: str = CaseSnapshot.TYPE,
    version: int = 1,
    stream: str = "",
    seq: int = 1,
) -> bytes:
    """An envelope any sender with this key could make."""
    return seal(
        type=type_,
        version=version,
        data=data,
        sender=sender,
        recipients=[recipient(hub, to)],
        stream=stream or f"test/{opaque()}",
        seq=seq,
        id=uuid7(),
        issued_at=CLOCK.now(),
    )


async def until(test: Callable[[], Any], what: str, seconds: float = 15.0) -> Any:
    """The first true answer. Raises AssertionError when time is up."""
    end = CLOCK.monotonic() + seconds
    while True:
        answer = test()
        if answer or CLOCK.monotonic() > end:
            assert answer, f"not reached: {what}"
            return answer
        await asyncio.sleep(0.05)


async def released(hub: InnerHub, form: dict[str, Any] = URGENT) -> str:
    """A good referral, sent and delivered: its id. Nothing that went before held it up."""
    answer = await hub.submit({**form, "externalReference": f"T-{opaque(9)}"})
    assert answer.status_code == 201, answer.text
    referral = str(answer.json()["referralId"])
    assert await hub.outcomes(referral) == {"released"}
    return referral


async def settled(hub: InnerHub, tables: Sequence[str]) -> dict[str, int]:
    """Sharing's rows once nothing of what went before is still under way."""
    last: dict[str, int] = {}
    while (now := hub.counts("sharing", tables)) != last:
        last = now
        await asyncio.sleep(1.0)
    return now


def case_of(hub: InnerHub, referral_id: str) -> UUID:
    """The case behind a referral."""
    return UUID(
        hub.rows("referral", "SELECT case_id FROM referral WHERE id = ?", UUID(referral_id).hex)[0][
            0
        ]
    )


async def in_quarantine(hub: InnerHub, topic: str, value: bytes) -> list[Incoming]:
    """The records of the topic's quarantine with exactly these bytes."""
    return [
        record
        for record in await hub.hub.bus.read(topics.quarantine(topic))
        if record.value == value
    ]


async def set_aside(
    hub: InnerHub, service: str, topic: str, value: bytes, key: bytes, reason: str, *, holds: bool
) -> None:
    """Publish, and see it in quarantine: untouched, once, with its reason; it holds its case or it
    does not.
    """
    await hub.hub.bus.publish([Outgoing(topic, key, value, ())])
    for _ in range(200):
        found = await in_quarantine(hub, topic, value)
        if found:
            break
        await asyncio.sleep(0.05)
    assert [(record.key, dict(record.headers)["hub-reason"]) for record in found] == [
        (key, reason.encode())
    ]
    frame = hub.frame(service)
    assert (
        await frame.database.read(lambda connection: frame.inbox.held(connection, key=key)) is holds
    )


def opened_snapshot(hub: InnerHub, record: Incoming) -> dict[str, Any]:
    """What a real snapshot on the bus says, opened with sharing's key."""
    ring = FileKeyring(hub.folder / "keyring" / "sharing", passphrase=None, open_allowed=True)
    got = open_envelope(
        record.value,
        me="svc:sharing",
        opening=ring.opening_keys(SERVICE_KEY),
        keys=hub.frame("sharing").keys,
    )
    return dict(got.data)


async def last_snapshot(hub: InnerHub, case_id: UUID) -> Incoming:
    """The newest envelope of a case on the bus."""
    return [
        record
        for record in await hub.hub.bus.read(topics.CASE)
        if record.key == str(case_id).encode()
    ][-1]


# Forgeries: quarantined, and they hold nothing


def _stray(hub: InnerHub, data: dict[str, Any]) -> bytes:
    return sealed(hub, generate_signing("svc:referral"), data)


def _wrong_signature(hub: InnerHub, data: dict[str, Any]) -> bytes:
    real = signer(hub, "referral")
    return sealed(hub, SigningKey(real.kid, real.owner, generate_signing("thief").private), data)


def _an_agency_as_referral(hub: InnerHub, data: dict[str, Any]) -> bytes:
    return sealed(hub, hub.caller(POLICE).tokens._signing, data)


def _to_audit(hub: InnerHub, data: dict[str, Any]) -> bytes:
    return sealed(hub, signer(hub, "referral"), data, to="audit")


def _meant_for_another(hub: InnerHub, data: dict[str, Any]) -> bytes:
    """An honest statement to the IDVA service, sealed anew to sharing by somebody who could read
    it.
    """
    jws = craft.signed(
        opaque(), signer(hub, "referral"), iss="svc:referral", aud=["northmoor-idva"], data=data
    )
    return craft.packed(opaque(), jws, recipients=[recipient(hub, "sharing")])


def _other_source(hub: InnerHub, data: dict[str, Any]) -> bytes:
    jws = craft.signed(
        opaque(),
        generate_signing("svc:referral"),
        iss="svc:identity",
        aud=["svc:sharing"],
        data=data,
    )
    return craft.packed(
        opaque(), jws, recipients=[recipient(hub, "sharing")], clear={"source": "svc:referral"}
    )


def _truncated(hub: InnerHub, data: dict[str, Any]) -> bytes:
    return sealed(hub, signer(hub, "referral"), data)[:-40]


FORGERIES: Final[Mapping[str, tuple[Callable[[InnerHub, dict[str, Any]], bytes], str]]] = {
    "unknown key id": (_stray, "unknown-key"),
    "forged signature": (_wrong_signature, "bad-signature"),
    "an agency in referral's place": (_an_agency_as_referral, "wrong-source"),
    "sealed to another": (_to_audit, "not-for-us"),
    "meant for another": (_meant_for_another, "wrong-recipient"),
    "clear source differs": (_other_source, "unknown-key"),
    "truncated JSON": (_truncated, "malformed"),
    "no JSON": (lambda hub, data: b"\x00\xff" * 40, "malformed"),
    "nothing": (lambda hub, data: b"", "malformed"),
    "larger than any envelope": (lambda hub, data: b"{" + b" " * 600_000 + b"}", "too-large"),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_case_is_set_aside_and_holds_nothing(hub: InnerHub, name: str) -> None:
    build, reason = FORGERIES[name]
    case = case_of(hub, await released(hub))
    data = {**opened_snapshot(hub, await last_snapshot(hub, case)), "version": 2, "markings": []}
    before = hub.counts("sharing", ["case_file", "decision", "disclosure", "delivery"])
    await set_aside(
        hub, "sharing", topics.CASE, build(hub, data), str(case).encode(), reason, holds=False
    )
    assert hub.counts("sharing", list(before)) == before
    await released(hub)


async def test_every_defect_of_the_golden_vectors_is_set_aside_untouched(hub: InnerHub) -> None:
    case = case_of(hub, await released(hub))
    values = [(VECTORS / name).read_bytes() for name in DEFECTS]
    await hub.hub.bus.publish(
        [Outgoing(topics.CASE, str(case).encode(), value, ()) for value in values]
    )
    for value in values:
        for _ in range(100):
            if found := await in_quarantine(hub, topics.CASE, value):
                break
            await asyncio.sleep(0.05)
        assert len(found) == 1
    frame = hub.frame("sharing")
    assert not await frame.database.read(
        lambda connection: frame.inbox.held(connection, key=str(case).encode())
    )
    await released(hub)


async def test_headers_that_differ_from_the_envelope_are_a_forgery(hub: InnerHub) -> None:
    case = case_of(hub, await released(hub))
    record = await last_snapshot(hub, case)
    value = sealed(hub, signer(hub, "referral"), opened_snapshot(hub, record))
    honest = [pair for pair in routing_headers(peek(value)) if pair[0] != "ce_source"]
    headers = (*honest, ("ce_source", b"svc:audit"))
    await hub.hub.bus.publish([Outgoing(topics.CASE, record.key, value, headers)])
    for _ in range(100):
        if found := await in_quarantine(hub, topics.CASE, value):
            break
        await asyncio.sleep(0.05)
    assert dict(found[0].headers)["hub-reason"] == b"headers-mismatch"


async def test_nobody_speaks_on_an_agencys_own_topic_for_it(hub: InnerHub) -> None:
    """Not another agency, and not a service either."""
    topic = topics.inbound("northmoor-idva")
    for sender in (hub.caller(POLICE).tokens._signing, signer(hub, "referral")):
        value = sealed(hub, sender, {"receipt": "x" * 40}, type_="hub.saved-receipt")
        await set_aside(hub, "sharing", topic, value, b"k", "wrong-source", holds=False)
    await released(hub)


# Authentic and unprocessable: quarantined, and they hold their case until replayed


UNPROCESSABLE: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any], str]]] = {
    "unknown version": ({}, {"version": 99}, "event-unknown"),
    "unknown type": ({}, {"type_": "hub.something-new"}, "event-unknown"),
    "malformed event": ({"subjects": "everybody"}, {}, "event-malformed"),
    "event of another service": ({}, {"type_": AuditBatch.TYPE}, "event-malformed"),
    "no agreement for its area": ({"area": "elsewhere", "version": 7}, {}, "no-agreement"),
}


@pytest.mark.parametrize("name", UNPROCESSABLE)
async def test_an_authentic_case_that_cannot_be_processed_holds_that_case_alone(
    hub: InnerHub, name: str
) -> None:
    changes, envelope, reason = UNPROCESSABLE[name]
    case = case_of(hub, await released(hub))
    data = {**opened_snapshot(hub, await last_snapshot(hub, case)), **changes}
    value = sealed(hub, signer(hub, "referral"), data, stream=str(case), seq=90, **envelope)
    await set_aside(hub, "sharing", topics.CASE, value, str(case).encode(), reason, holds=True)
    await released(hub)


async def test_a_hold_stops_the_release_of_its_case_and_a_replay_lets_it_go(hub: InnerHub) -> None:
    """The road's own scene: a message of tomorrow arrives today while a disclosure waits; others go
    on; after the update it leaves.
    """
    frame = hub.frame("sharing")
    await hub.client("operator").switch("audit", "pause")
    answer = await hub.submit({**FULL, "externalReference": f"T-{opaque(9)}"})
    referral = str(answer.json()["referralId"])
    assert await hub.outcomes(referral, until="decided") == {"decided"}
    case = case_of(hub, referral)
    batch = AuditBatch(service="referral", src="x", epoch=1, first_seq=1, items=())
    value = sealed(
        hub, signer(hub, "referral"), batch.data(), type_=AuditBatch.TYPE, stream=str(case), seq=2
    )
    await set_aside(
        hub, "sharing", topics.CASE, value, str(case).encode(), "event-not-handled", holds=True
    )
    await hub.client("operator").switch("audit", "resume")
    await released(hub)
    assert await hub.outcomes(referral, seconds=1.5) == {"decided"}
    reasons = hub.rows(
        "sharing", "SELECT DISTINCT state, reason FROM disclosure WHERE case_id = ?", case.hex
    )
    assert reasons == [("proven", "stream-held")]

    frame.inbox.ignore(AuditBatch)  # the version that understands it
    await hub.hub.bus.publish([Outgoing(topics.CASE, str(case).encode(), value, ())])
    await frame.inbox.replay_quarantine(frame.bus, topics.CASE)
    assert not await frame.database.read(
        lambda connection: frame.inbox.held(connection, key=str(case).encode())
    )
    assert await hub.outcomes(referral) == {"released"}
    counts = hub.rows(
        "sharing",
        "SELECT count(*), count(DISTINCT agency) FROM delivery d JOIN disclosure x ON x.id = "
        "d.delivery_id WHERE x.case_id = ?",
        case.hex,
    )
    assert counts == [(3, 3)]


# Repeats and disorder


async def test_an_envelope_that_comes_again_does_nothing(hub: InnerHub) -> None:
    case = case_of(hub, await released(hub))
    record = await last_snapshot(hub, case)
    tables = ["case_file", "decision", "disclosure", "delivery", "inbox", "inbox_quarantine"]
    before = await settled(hub, tables)
    await hub.hub.bus.publish(
        [Outgoing(record.topic, record.key, record.value, record.headers)] * 3
    )
    await hub.hub.bus.publish(
        [Outgoing(record.topic, b"another-key", record.value, record.headers)]
    )
    await asyncio.sleep(0.5)
    assert hub.counts("sharing", tables) == before
    await released(hub)


async def test_a_case_that_comes_out_of_order_ends_as_its_newest_version(hub: InnerHub) -> None:
    data = opened_snapshot(hub, await last_snapshot(hub, case_of(hub, await released(hub))))
    case, sender = uuid7(), signer(hub, "referral")

    def version(number: int) -> bytes:
        return sealed(
            hub,
            sender,
            {**data, "caseId": str(case), "version": number},
            stream=str(case),
            seq=number,
        )

    for number in (3, 1, 2):
        await hub.hub.bus.publish([Outgoing(topics.CASE, str(case).encode(), version(number), ())])
    streams = "SELECT last, missing FROM inbox_stream WHERE stream = ?"
    await until(lambda: hub.rows("sharing", streams, str(case)) == [(3, 0)], "all three taken in")
    assert hub.rows("sharing", "SELECT version FROM case_file WHERE case_id = ?", case.hex) == [
        (3,)
    ]
    versions = hub.rows(
        "sharing", "SELECT DISTINCT snapshot_version FROM disclosure WHERE case_id = ?", case.hex
    )
    assert versions == [(3,)]
    assert hub.rows(
        "sharing", "SELECT count(*) FROM inbox_quarantine WHERE stream = ?", str(case)
    ) == [(0,)]
    await released(hub)


# The log's own door


def item(seq: int, record: bytes, salt: bytes = bytes(range(32))) -> AuditItem:
    """One record of a batch."""
    return AuditItem(seq=seq, record=b64u(record), salt=b64u(salt))


def good_record(hub: InnerHub) -> bytes:
    """A record the log took from referral, under an id of its own."""
    raw = json.loads(
        hub.rows(
            "audit",
            "SELECT record FROM entry WHERE service = 'referral' AND rejected = '' ORDER BY idx "
            "LIMIT 1",
        )[0][0]
    )
    return json.dumps({**raw, "id": str(uuid7())}, sort_keys=True, separators=(",", ":")).encode()


def batch_of(
    src: str, *items: AuditItem, service: str = "referral", first: int = 1
) -> dict[str, Any]:
    """A batch as data."""
    return AuditBatch(service=service, src=src, epoch=1, first_seq=first, items=items).data()


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
        hub, key, batch_of(src, item(1, good_record(hub))), to="audit", type_=AuditBatch.TYPE
    )
    await set_aside(hub, "audit", topics.audit("referral"), value, b"src", reason, holds=False)
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
        type_=AuditBatch.TYPE,
        version=1 if known else 99,
    )
    value, reason = (value[:-9], "malformed") if known else (value, "event-unknown")
    await set_aside(
        hub, "audit", topics.audit("referral"), value, opaque().encode(), reason, holds=not known
    )
    await released(hub)


async def test_a_record_that_is_none_becomes_a_rejected_entry_and_stops_no_other(
    hub: InnerHub,
) -> None:
    await released(hub)
    src, bad = opaque(), b'{"name":"Isaura Pellworth"}'
    data = batch_of(src, item(1, good_record(hub)), item(2, bad), item(3, good_record(hub)))
    value = sealed(hub, signer(hub, "referral"), data, to="audit", type_=AuditBatch.TYPE)
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
            type_=AuditBatch.TYPE,
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
    data = AuditBatch(
        service="referral",
        src=src,
        epoch=epoch,
        first_seq=seq,
        items=(item(seq, good_record(hub)),),
    ).data()
    value = sealed(hub, signer(hub, "referral"), data, to="audit", type_=AuditBatch.TYPE)
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
    await set_aside(hub, "sharing", topics.AUDIT_RECEIPT, forged, b"x", "unknown-key", holds=False)
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
