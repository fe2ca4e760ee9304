"""One referral through the real services: each agency gets exactly its part, proven, and signs for it."""

import json
from pathlib import Path

from tests.support.road import example, road, until


async def test_each_agency_receives_its_part_with_proof(tmp_path: Path) -> None:
    async with road(tmp_path) as hub:
        sent = await hub.refer(example("referral-full"))
        print(sent)
        got = {name: await hub.received(name) for name in ("northmoor-idva", "northmoor-social-care")}
        for name, deliveries in got.items():
            assert [delivery.verdict.standing for delivery in deliveries] == ["proven"]
            print(name, json.dumps(deliveries[0].verdict.content, indent=1)[:6000])
