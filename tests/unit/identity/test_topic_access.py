"""Which topics the broker closes follows who is suspended now, whatever was lost on the way."""

from datetime import UTC, datetime

import pytest

from common.testing import ManualClock
from identity.agencies.model import AgencyState
from identity.directory.ports import TopicAccessUnavailable
from identity.directory.use_cases import settle
from tests.support.identity_fakes import MemoryIdentity, MemoryTopicAccess

SINCE = datetime(2026, 11, 21, tzinfo=UTC)


def agencies(*suspended: str) -> MemoryIdentity:
    """Three agencies, some of them suspended."""
    store = MemoryIdentity(ManualClock())
    for name in ("a", "b", "c"):
        at = SINCE if name in suspended else None
        store.rows.agencies[name] = AgencyState(
            name, name, "police", "northmoor", {}, "", custodial=False, suspended_at=at
        )
    return store


async def test_the_suspended_are_closed_and_the_restored_opened() -> None:
    store, broker = agencies("a", "b"), MemoryTopicAccess("b", "c")
    assert await settle(store, broker) == (frozenset("a"), frozenset("c"))
    assert broker.shut == {"a", "b"}
    assert await settle(store, broker) == (frozenset(), frozenset())


async def test_what_failed_is_done_at_the_next_call() -> None:
    store, broker = agencies("a", "b"), MemoryTopicAccess("c", stuck="a")
    with pytest.raises(TopicAccessUnavailable):
        await settle(store, broker)
    assert broker.shut == {"b"}, "neither the other suspended one nor the restored one waits for it"
    broker.stuck = ""
    assert await settle(store, broker) == (frozenset("a"), frozenset())


async def test_a_rule_about_nobody_we_know_is_left_alone() -> None:
    broker = MemoryTopicAccess("somebody-else")
    await settle(agencies(), broker)
    assert broker.shut == {"somebody-else"}
