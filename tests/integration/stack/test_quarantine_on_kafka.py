"""The operator's replay on the production topology: what an agency said while suspended, and what
nobody can open, over real Kafka."""

from typing import Any

import httpx2
import pytest

from common import topics
from common.bus import Outgoing
from common.bus_kafka import KafkaBus
from common.keyring import FileKeyring
from deploy.stack.services import Stack
from hubformats.agency_events import SavedReceipt
from hubformats.bootstrap import SERVICE_KEY
from hubformats.clock import SystemClock
from hubformats.envelope import Message, seal
from hubformats.ids import opaque, uuid7
from hubpartner.answers import ProblemAnswer
from hubpartner.client import HubClient
from hubpartner.profile import read_profile
from tests.support.hubs import wait_for

pytestmark = [
    pytest.mark.stack,
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("hub-stack"),
]

IDVA = "northmoor-idva"
TOPIC = topics.inbound(IDVA)


def receipt(stack: Stack) -> bytes:
    """A receipt the agency signs and seals, for a delivery that there is not: authentic, and
    refused for what it says.
    """
    keys = FileKeyring(
        stack.folder / "keyring" / "sharing", passphrase=None, open_allowed=True
    ).opening_keys(SERVICE_KEY)
    recipient = next(iter(keys.values())).public()
    signing = read_profile(stack.profiles / f"{IDVA}.toml").signing
    return seal(
        Message(
            type=SavedReceipt.TYPE,
            version=1,
            data=SavedReceipt(receipt=f"no.receipt.{opaque()}").data(),
            stream=f"test/{opaque()}",
            seq=1,
            id=uuid7(),
            issued_at=SystemClock().now(),
        ),
        sender=signing,
        recipients=[recipient],
    )


async def said(stack: Stack, *values: bytes) -> None:
    """The agency publishes on its own topic, with its own account."""
    account = read_profile(stack.profiles / f"{IDVA}.toml").kafka
    assert account is not None
    bus = KafkaBus(account.bootstrap, account.user, account.password)
    await bus.start()
    try:
        await bus.publish([Outgoing(TOPIC, b"receipts", value) for value in values])
    finally:
        await bus.stop()


async def set_aside(operator: HubClient) -> dict[str, dict[str, Any]]:
    """What stands in quarantine, by reason."""
    return {row["reason"]: row for row in await operator.quarantine("sharing", topic=TOPIC)}


async def refusal(client: HubClient) -> str:
    """Why sharing refuses the agency's own call; empty when it does not."""
    try:
        await client.inbox()
    except ProblemAnswer as problem:
        return problem.code
    return ""


async def test_a_replay_on_kafka_reads_what_was_set_aside_and_believes_nothing_new(
    hub_stack: Stack,
) -> None:
    async with httpx2.AsyncClient(timeout=20.0) as http:
        operator, idva = (
            HubClient(read_profile(hub_stack.profiles / f"{name}.toml"), http)
            for name in ("operator", IDVA)
        )
        await idva.inbox()
        await operator.suspend(IDVA, "exercise")
        try:
            await wait_for(lambda: refusal(idva), lambda code: code == "agency-suspended")
            await said(hub_stack, b"no envelope at all", receipt(hub_stack))
            found = await wait_for(
                lambda: set_aside(operator),
                lambda rows: {"malformed", "agency-suspended"} <= rows.keys(),
            )
            assert (found["agency-suspended"]["sender"], found["agency-suspended"]["holds"]) == (
                IDVA,
                True,
            )
            assert (found["malformed"].get("sender"), found["malformed"]["holds"]) == (None, False)
        finally:
            await operator.restore(IDVA)
        await wait_for(lambda: refusal(idva), lambda code: not code)
        came_to = await operator.replay("sharing", topic=TOPIC)
        assert (came_to["applied"], came_to["stillAside"], came_to["absent"]) == (0, 2, 0)
        # Judged afresh, for what the receipt says and no longer for the suspension; the other bytes
        # come from Kafka and are still nothing.
        later = await set_aside(operator)
        assert len(later) == 2
        assert "malformed" in later
        assert "agency-suspended" not in later
