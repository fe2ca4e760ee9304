"""Which topics the broker closes follows who is suspended now, whatever was lost on the way."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from identity.agencies.model import AgencyState
from identity.agencies.ports import AgencyStore, AgencyTx
from identity.directory.ports import TopicAccessUnavailable
from identity.directory.use_cases import settle

SINCE = datetime(2026, 11, 21, tzinfo=UTC)


class Agencies:
    """The agencies and who of them is suspended."""

    def __init__(self, *suspended: str) -> None:
        self.suspended = set(suspended)

    async def read(self, work: Callable[[AgencyTx], Any]) -> Any:
        """The one question asked."""
        states = [
            AgencyState(
                name,
                name,
                "police",
                "northmoor",
                {},
                "",
                custodial=False,
                suspended_at=SINCE if name in self.suspended else None,
            )
            for name in ("a", "b", "c")
        ]
        return work(cast(AgencyTx, SimpleNamespace(agencies=SimpleNamespace(all=lambda: states))))


class Broker:
    """Fulfils `TopicAccess` in memory; refuses to touch `stuck`."""

    def __init__(self, *closed: str, stuck: str = "") -> None:
        self.shut = set(closed)
        self.stuck = stuck

    async def closed(self) -> frozenset[str]:
        """As they are."""
        return frozenset(self.shut)

    async def close(self, agency: str) -> None:
        """Or not."""
        if agency == self.stuck:
            raise TopicAccessUnavailable("no-answer")
        self.shut.add(agency)

    async def open(self, agency: str) -> None:
        """Take it away."""
        self.shut.discard(agency)


async def test_the_suspended_are_closed_and_the_restored_opened() -> None:
    store, broker = Agencies("a", "b"), Broker("b", "c")
    assert await settle(cast(AgencyStore, store), broker) == (frozenset("a"), frozenset("c"))
    assert broker.shut == {"a", "b"}
    assert await settle(cast(AgencyStore, store), broker) == (frozenset(), frozenset())


async def test_what_failed_is_done_at_the_next_call() -> None:
    store, broker = Agencies("a", "b"), Broker("c", stuck="a")
    with pytest.raises(TopicAccessUnavailable):
        await settle(cast(AgencyStore, store), broker)
    assert broker.shut == {"b"}, "neither the other suspended one nor the restored one waits for it"
    broker.stuck = ""
    assert await settle(cast(AgencyStore, store), broker) == (frozenset("a"), frozenset())


async def test_a_rule_about_nobody_we_know_is_left_alone() -> None:
    broker = Broker("somebody-else")
    await settle(cast(AgencyStore, Agencies()), broker)
    assert broker.shut == {"somebody-else"}
