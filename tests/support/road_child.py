"""A whole hub as a process that a test may let die: sends one referral the first time, then waits
for its deliveries."""

import json
import sys
from pathlib import Path

from common import topics
from tests.support.road import Road, road, until
from tests.support.senders import FORMS

LONG = "send-a-long-one"
"""A file of this name has it send a referral that waits for its sender's turn."""
RECIPIENTS = ("northmoor-idva", "northmoor-social-care", "northmoor-victim-support")


async def main(folder: Path) -> None:
    """Print, per recipient, delivery ids of the inbox and envelope digests of the topic."""
    async with road(folder) as hub:
        marker = folder / "referred"
        if not marker.exists():
            # The key makes a second try the same referral, wherever the first one died.
            form = FORMS["long" if (folder / LONG).exists() else "full"]
            await hub.partner("northmoor-police").submit_referral(
                form, idempotency_key="road-child-0000000001"
            )
            marker.touch()
        await until(lambda: _all(hub), seconds=60)
        sys.stdout.write(json.dumps({name: await _received(hub, name) for name in RECIPIENTS}))


async def _all(hub: Road) -> bool:
    return all([bool(await hub.bus.read(topics.disclosure(name))) for name in RECIPIENTS])


async def _received(hub: Road, name: str) -> dict[str, list[str]]:
    page = await hub.partner(name).inbox()
    proven: list[str] = [hub.open(name, item.envelope).verdict.standing for item in page.items]
    carried = [record.value for record in await hub.bus.read(topics.disclosure(name))]
    same = {item.envelope for item in page.items} == set(carried)
    return {
        "ids": [item.delivery_id for item in page.items],
        "proven": proven,
        "same": ["yes" if same else "no"],
    }
