"""An agency's new opening key: what it was given and had not saved is sealed again at once, through
both its doors, and is on record."""

import asyncio
import json
from pathlib import Path
from typing import Any

from sqlalchemy import text

from common.events.identity import KeyPublished, KeyRetired
from common.topics import IDENTITY, disclosure
from hubformats.bootstrap import sign_key_set
from hubformats.clock import SystemClock
from hubformats.envelope import digest, open_envelope
from hubformats.keys import OpeningKey, generate_opening
from identity.bootstrap.use_cases.create import _agency_keys
from tests.support.inner_hub import FULL, InnerHub, inner_hub

IDVA = "northmoor-idva"


async def turned(hub: InnerHub) -> tuple[OpeningKey, OpeningKey]:
    """The agency's root signs a set with another opening key, identity serves it and says so; the
    old key and the new.
    """
    keys, new, frame = _agency_keys(hub.folder, IDVA), generate_opening(IDVA), hub.frame("identity")
    now = SystemClock().now()
    jwks = (keys.signing.public().jwk(), new.public().jwk())
    served = {"k": sign_key_set(IDVA, jwks, keys.root, int(now.timestamp())), "a": IDVA}
    published = KeyPublished(
        owner=IDVA, use="enc", jwk=new.public().jwk(), not_before=now, signed_by_root="its set"
    )
    retired = KeyRetired(owner=IDVA, kid=keys.opening.kid, at=now)

    def work(unit: Any) -> None:
        unit.connection.execute(text("UPDATE agency SET key_set = :k WHERE id = :a"), served)
        for event in (published, retired):
            frame.outbox.send(
                unit, topic=IDENTITY, key="directory", event=event, to=["svc:sharing"]
            )

    await frame.database.write(work)
    return keys.opening, new


async def inbox(hub: InnerHub) -> list[dict[str, Any]]:
    """Everything in the agency's inbox."""
    answer = await hub.call(IDVA, "GET", "sharing", "/v1/inbox?wait=10", scope="disclosure.read")
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def test_a_new_key_opens_what_was_delivered_before_by_either_door(tmp_path: Path) -> None:
    async with inner_hub(tmp_path) as hub:
        referral = (await hub.submit(FULL)).json()
        assert await hub.outcomes(referral["referralId"]) == {"released"}
        first = (await inbox(hub))[0]
        old, new = await turned(hub)
        found = await inbox(hub)
        for _ in range(200):  # well within the half minute of the next ordinary round
            if len(found) == 2:
                break
            await asyncio.sleep(0.05)
            found = await inbox(hub)
        assert [each["deliveryId"] for each in found] == [first["deliveryId"]] * 2
        envelopes = [json.dumps(each["envelope"]).encode() for each in found]
        opened = [
            open_envelope(envelope, me=IDVA, opening={key.kid: key}, keys=hub.frame("sharing").keys)
            for envelope, key in zip(envelopes, (old, new), strict=True)
        ]
        assert opened[0].data == opened[1].data
        records = [
            json.loads(row[0])
            for row in hub.rows("sharing", "SELECT record FROM audit_pending ORDER BY epoch, seq")
        ]
        written = [(r["dl"], r["rcp"], r["ed"]) for r in records if r["op"] == "resealed"]
        assert written == [(first["deliveryId"], IDVA, found[1]["digest"])]
        left = "SELECT body FROM outbox WHERE topic = ? AND sent_at IS NOT NULL ORDER BY seq"
        for _ in range(200):
            bodies = [row[0] for row in hub.rows("sharing", left, disclosure(IDVA))]
            if len(bodies) == 2:
                break
            await asyncio.sleep(0.05)
        assert [digest(body) for body in bodies] == [each["digest"] for each in found], (
            "its topic carries the same bytes"
        )
