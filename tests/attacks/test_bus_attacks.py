"""Hostile and broken envelopes on the case topics: set aside untouched, and nobody else held up."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import pytest
import pytest_asyncio

from common import topics
from common.bus import Outgoing
from common.events.audit import AuditBatchV1
from hubformats.envelope import peek, routing_headers
from hubformats.ids import opaque, uuid7
from hubformats.keys import SigningKey, generate_signing
from tests.support.bus_attacks import (
    Sent,
    case_of,
    in_quarantine,
    last_snapshot,
    opened_snapshot,
    recipient,
    released,
    sealed,
    set_aside,
    settled,
    signer,
    until,
)
from tests.support.inner_hub import FULL, POLICE, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.vectors.envelope import craft

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.both_modes,
    pytest.mark.xdist_group("modes"),
]

VECTORS: Final = Path(__file__).parents[1] / "vectors" / "envelope"
DEFECTS: Final = [case["file"] for case in json.loads((VECTORS / "cases.json").read_text())]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module: what one attack leaves behind must not trouble the next."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def known(hub: InnerHub) -> tuple[UUID, dict[str, Any]]:
    """A case that was delivered, for attacks that must leave it as it is, and its snapshot."""
    case = case_of(hub, await released(hub))
    return case, opened_snapshot(hub, await last_snapshot(hub, case))


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
async def test_a_forged_case_is_set_aside_and_holds_nothing(
    hub: InnerHub, known: tuple[UUID, dict[str, Any]], name: str
) -> None:
    (build, reason), (case, snapshot) = FORGERIES[name], known
    data = {**snapshot, "version": 2, "markings": []}
    before = hub.counts("sharing", ["case_file", "decision", "disclosure", "delivery"])
    await set_aside(
        hub, Sent("sharing", topics.CASE, build(hub, data), str(case).encode()), reason, holds=False
    )
    assert hub.counts("sharing", list(before)) == before
    await released(hub)


async def test_every_defect_of_the_golden_vectors_is_set_aside_untouched(
    hub: InnerHub, known: tuple[UUID, dict[str, Any]]
) -> None:
    case, _ = known
    values = [(VECTORS / name).read_bytes() for name in DEFECTS]
    await hub.hub.bus.publish(
        [Outgoing(topics.CASE, str(case).encode(), value, ()) for value in values]
    )
    aside = [record.value for record in await in_quarantine(hub, topics.CASE, *values)]
    assert sorted(aside) == sorted(values)
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
    found = await in_quarantine(hub, topics.CASE, value)
    assert dict(found[0].headers)["hub-reason"] == b"headers-mismatch"


async def test_nobody_speaks_on_an_agencys_own_topic_for_it(hub: InnerHub) -> None:
    """Not another agency, and not a service either."""
    topic = topics.inbound("northmoor-idva")
    for sender in (hub.caller(POLICE).tokens._signing, signer(hub, "referral")):
        value = sealed(hub, sender, {"receipt": "x" * 40}, type_="hub.saved-receipt")
        await set_aside(hub, Sent("sharing", topic, value, b"k"), "wrong-source", holds=False)
    await released(hub)


# Authentic and unprocessable: quarantined, and they hold their case until replayed


UNPROCESSABLE: Final[Mapping[str, tuple[dict[str, Any], dict[str, Any], str]]] = {
    "unknown version": ({}, {"version": 99}, "event-unknown"),
    "unknown type": ({}, {"type_": "hub.something-new"}, "event-unknown"),
    "malformed event": ({"subjects": "everybody"}, {}, "event-malformed"),
    "event of another service": ({}, {"type_": AuditBatchV1.TYPE}, "event-malformed"),
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
    await set_aside(
        hub, Sent("sharing", topics.CASE, value, str(case).encode()), reason, holds=True
    )
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
    batch = AuditBatchV1(service="referral", src="x", epoch=1, first_seq=1, items=())
    value = sealed(
        hub, signer(hub, "referral"), batch.data(), type_=AuditBatchV1.TYPE, stream=str(case), seq=2
    )
    await set_aside(
        hub,
        Sent("sharing", topics.CASE, value, str(case).encode()),
        "event-not-handled",
        holds=True,
    )
    await hub.client("operator").switch("audit", "resume")
    await released(hub)
    assert await hub.outcomes(referral, seconds=1.5) == {"decided"}
    reasons = hub.rows(
        "sharing", "SELECT DISTINCT state, reason FROM disclosure WHERE case_id = ?", case.hex
    )
    assert reasons == [("proven", "stream-held")]

    frame.inbox.ignore(AuditBatchV1)  # the version that understands it
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
    # The marks of this event alone: identity's heartbeat adds one of its own at any time
    mark = "SELECT consumer, state, at FROM inbox WHERE event_id = ?", peek(record.value).id.hex
    tables = ["case_file", "decision", "disclosure", "delivery", "inbox_quarantine"]
    before, known = await settled(hub, tables), hub.rows("sharing", *mark)
    await hub.hub.bus.publish(
        [Outgoing(record.topic, record.key, record.value, record.headers)] * 3
    )
    await hub.hub.bus.publish(
        [Outgoing(record.topic, b"another-key", record.value, record.headers)]
    )
    await asyncio.sleep(0.5)
    assert hub.counts("sharing", tables) == before
    assert [state for _, state, _ in known] == ["done"]
    assert hub.rows("sharing", *mark) == known
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
