"""Opening a batch: what is small is opened where it is, what could hold the loop up is not, and
both come to the same."""

import threading
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from common.bus import Incoming
from common.inbox.received import Opener
from hubformats.clock import SystemClock
from hubformats.envelope import Message, seal
from hubformats.ids import uuid7
from hubformats.keys import OpeningKey, StaticKeys, generate_opening, generate_signing

SENDER, MINE, ANOTHERS = (
    generate_signing("svc:audit"),
    generate_opening("svc:sharing"),
    generate_opening("svc:referral"),
)


def record(seq: int, to: OpeningKey = MINE) -> Incoming:
    """An envelope of the log on the bus."""
    value = seal(
        Message(
            type="hub.test",
            version=1,
            data={"n": seq},
            stream="s",
            seq=seq,
            id=uuid7(),
            issued_at=datetime(2026, 11, 20, tzinfo=UTC),
        ),
        sender=SENDER,
        recipients=[to.public()],
    )
    return Incoming("hub.audit-receipt.v1", b"s", value, (), 0, seq, 0)


class Opening:
    """The keys of the one who opens, and the threads that asked for them."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __call__(self) -> Mapping[str, OpeningKey]:
        """The keys."""
        self.threads.append(threading.get_ident())
        return {MINE.kid: MINE}


@pytest.fixture
def opening() -> Opening:
    """Keys under watch."""
    return Opening()


@pytest.fixture
def opener(opening: Opening) -> Opener:
    """What sharing opens with."""
    return Opener(me=MINE.owner, opening=opening, keys=StaticKeys(SENDER), clock=SystemClock())


@pytest.mark.parametrize(("count", "on_the_loop"), [(1, True), (5, True), (6, False), (64, False)])
async def test_only_what_takes_no_time_is_opened_on_the_loop(
    opener: Opener, opening: Opening, count: int, on_the_loop: bool
) -> None:
    items = await opener.open([record(seq) for seq in range(count)], others=False, senders=None)
    assert [item.received.data for item in items if item.received] == [
        {"n": seq} for seq in range(count)
    ]
    assert (opening.threads == [threading.get_ident()]) == on_the_loop


@pytest.mark.parametrize("count", [1, 64])
async def test_what_is_for_others_needs_no_key(
    opener: Opener, opening: Opening, count: int
) -> None:
    assert (
        await opener.open(
            [record(seq, ANOTHERS) for seq in range(count)], others=True, senders=None
        )
        == []
    )
    assert opening.threads == []


@pytest.mark.parametrize(
    "spoil", [lambda value: value[:-1], lambda value: value.replace(b'{"aad"', b'{"aad":"","aad"')]
)
async def test_what_is_not_whole_is_refused_and_never_left_to_others(opener: Opener, spoil) -> None:  # type: ignore[no-untyped-def]
    good = record(1, ANOTHERS)
    bad = Incoming(good.topic, good.key, spoil(good.value), (), 0, 1, 0)
    assert [item.reason for item in await opener.open([bad], others=True, senders=None)] == [
        "malformed"
    ]
