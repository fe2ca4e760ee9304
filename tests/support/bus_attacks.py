"""What an attacker on the bus can make and send, and what the hub then shows."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from common import topics
from common.bus import Incoming, Outgoing
from common.events.audit import AuditBatchV1, AuditItem
from common.events.case import CaseSnapshot
from common.keyring import FileKeyring
from hubformats.bootstrap import SERVICE_KEY
from hubformats.canonical import b64u
from hubformats.clock import SystemClock
from hubformats.envelope import Message, open_envelope, seal
from hubformats.ids import opaque, uuid7
from hubformats.keys import RecipientKey, SigningKey
from tests.support.inner_hub import URGENT, InnerHub
from tests.support.road import longer

CLOCK: Final = SystemClock()


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
    **said: Any,
) -> bytes:
    """An envelope any sender with this key could make; `said` replaces parts of the message."""
    message = Message(
        type=type_,
        version=1,
        data=data,
        stream=f"test/{opaque()}",
        seq=1,
        id=uuid7(),
        issued_at=CLOCK.now(),
    )
    return seal(replace(message, **said), sender=sender, recipients=[recipient(hub, to)])


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


async def in_quarantine(hub: InnerHub, topic: str, *values: bytes) -> list[Incoming]:
    """The records of the topic's quarantine with exactly these bytes, once each is there.

    Raises TimeoutError. Each look reads the whole topic, so looks become rarer.
    """
    pause = 0.02
    async with asyncio.timeout(30):
        while True:
            there = await hub.hub.bus.read(topics.quarantine(topic))
            found = [record for record in there if record.value in values]
            if {record.value for record in found} == set(values):
                return found
            await asyncio.sleep(pause)
            pause = longer(pause)


@dataclass(frozen=True)
class Sent:
    """Bytes on a topic, and the service that reads them there."""

    service: str
    topic: str
    value: bytes
    key: bytes


async def set_aside(hub: InnerHub, sent: Sent, reason: str, *, holds: bool) -> None:
    """Publish, and see it in quarantine: untouched, once, with its reason; it holds its case or it
    does not.
    """
    await hub.hub.bus.publish([Outgoing(sent.topic, sent.key, sent.value, ())])
    found = await in_quarantine(hub, sent.topic, sent.value)
    assert [(record.key, dict(record.headers)["hub-reason"]) for record in found] == [
        (sent.key, reason.encode())
    ]
    frame = hub.frame(sent.service)
    assert (
        await frame.database.read(lambda connection: frame.inbox.held(connection, key=sent.key))
        is holds
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
    """A batch as data, as an older producer sends it."""
    return AuditBatchV1(service=service, src=src, epoch=1, first_seq=first, items=items).data()
