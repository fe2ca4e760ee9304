"""Which topics the broker closes follows who is suspended now, whatever was lost on the way."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest

from identity.domain import AgencyState
from identity.ports import DoorsUnavailable, Store, Tx
from identity.usecases.doors import settle

SINCE = datetime(2026, 11, 21, tzinfo=UTC)


class Agencies:
    """The agencies and who of them is suspended."""

    def __init__(self, *suspended: str) -> None:
        self.suspended = set(suspended)

    async def read(self, work: Callable[[Tx], Any]) -> Any:
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
        return work(cast(Tx, SimpleNamespace(agencies=lambda: states)))


class Broker:
    """Fulfils `Doors` in memory; refuses to touch `stuck`."""

    def __init__(self, *closed: str, stuck: str = "") -> None:
        self.shut = set(closed)
        self.stuck = stuck

    async def closed(self) -> frozenset[str]:
        """As they are."""
        return frozenset(self.shut)

    async def close(self, agency: str) -> None:
        """Or not."""
        if agency == self.stuck:
            raise DoorsUnavailable("no-answer")
        self.shut.add(agency)

    async def open(self, agency: str) -> None:
        """Take it away."""
        self.shut.discard(agency)


async def test_the_suspended_are_closed_and_the_restored_opened() -> None:
    store, broker = Agencies("a", "b"), Broker("b", "c")
    assert await settle(cast(Store, store), broker) == (frozenset("a"), frozenset("c"))
    assert broker.shut == {"a", "b"}
    assert await settle(cast(Store, store), broker) == (frozenset(), frozenset())


async def test_what_failed_is_done_at_the_next_call() -> None:
    store, broker = Agencies("a", "b"), Broker("c", stuck="a")
    with pytest.raises(DoorsUnavailable):
        await settle(cast(Store, store), broker)
    assert broker.shut == {"b"}, "neither the other suspended one nor the restored one waits for it"
    broker.stuck = ""
    assert await settle(cast(Store, store), broker) == (frozenset("a"), frozenset())


async def test_a_rule_about_nobody_we_know_is_left_alone() -> None:
    broker = Broker("somebody-else")
    await settle(cast(Store, Agencies()), broker)
    assert broker.shut == {"somebody-else"}
