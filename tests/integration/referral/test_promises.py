"""Who sent a referral hears when an emergency promise about it is not kept, and hears it still when
the case has moved on."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import pytest
import pytest_asyncio

from common.events import Event
from common.events.sharing import DisclosureReleased, PromiseBroken
from common.topics import SHARING
from hubformats.ids import opaque, uuid7
from tests.support.inner_hub import POLICE, URGENT, InnerHub, inner_hub

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEALTH = "northmoor-health"
AT = datetime(2026, 11, 21, 2, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub")) as made:
        yield made


class Told:
    """One referral, what sharing says of it, and what its sender is shown about one recipient."""

    def __init__(self, hub: InnerHub, referral: str) -> None:
        self.hub, self.referral = hub, referral
        self.case = UUID(
            hub.rows("referral", "SELECT case_id FROM referral WHERE id = ?", UUID(referral).hex)[
                0
            ][0]
        )

    async def released(self, version: int, proof: Literal["promised", "proven"]) -> None:
        """A package left, or its proof did."""
        await self._say(
            DisclosureReleased(**self._about(version), clause="NM-1", released_at=AT, proof=proof)
        )

    async def unkept(self, version: int, standing: Literal["overdue", "broken"]) -> None:
        """A promise was not kept."""
        await self._say(
            PromiseBroken(
                **self._about(version), standing=standing, reason_code="audit-rejected", found_at=AT
            )
        )

    async def shown(self, proof: str | None, earlier: str | None) -> None:
        """Wait until the sender is shown these two words."""
        for _ in range(200):
            answer = await self.hub.call(
                POLICE, "GET", "referral", f"/v1/referrals/{self.referral}", scope="referral.read"
            )
            found = [
                (o["proof"], o["earlierPromise"])
                for o in answer.json()["outcomes"]
                if o["recipient"] == HEALTH
            ]
            if found == [(proof, earlier)]:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(found)

    def _about(self, version: int) -> dict[str, Any]:
        return {
            "case_id": self.case,
            "snapshot_version": version,
            "delivery_id": uuid7(),
            "recipient": HEALTH,
        }

    async def _say(self, event: Event) -> None:
        frame = self.hub.frame("sharing")
        await frame.database.write(
            lambda unit: frame.outbox.send(
                unit, topic=SHARING, key=str(self.case), event=event, to=["svc:referral"]
            )
        )


@pytest_asyncio.fixture(loop_scope="module")
async def told(hub: InnerHub) -> Told:
    """A referral whose package left for health on a promise."""
    answer = await hub.submit({**URGENT, "externalReference": f"T-{opaque(9)}"})
    made = Told(hub, answer.json()["referralId"])
    await made.released(1, "promised")
    await made.shown("promised", None)
    return made


async def test_an_overdue_promise_is_told_and_its_proof_when_it_comes_after_all(told: Told) -> None:
    await told.unkept(1, "overdue")
    await told.shown("overdue", None)
    await told.released(1, "proven")
    await told.shown("proven", None)


async def test_a_broken_promise_stays_broken(told: Told) -> None:
    await told.unkept(1, "overdue")
    await told.unkept(1, "broken")
    await told.shown("broken", None)


async def test_a_later_version_does_not_hide_that_there_is_no_proof_of_an_earlier_one(
    told: Told,
) -> None:
    await told.unkept(1, "broken")
    await told.released(2, "proven")
    await told.shown("proven", "broken")


async def test_a_promise_that_fails_when_the_case_has_moved_on_is_told_beside_the_newest(
    told: Told,
) -> None:
    await told.released(2, "promised")
    await told.unkept(1, "overdue")
    await told.shown("promised", "overdue")
    await told.released(1, "proven")
    await told.shown("promised", None)
    await told.unkept(1, "overdue")
    await told.unkept(1, "broken")
    await told.unkept(2, "broken")
    await told.shown("broken", "broken")
