"""Notices of what was set aside are kept alike in memory, on SQLite and on PostgreSQL."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import pytest
from sqlalchemy import Connection, select

from common import topics
from common.access import Granted, Principal, grant
from common.outbox.tables import OUTBOX
from common.testing import ManualClock
from deploy.stack.postgres import PostgresServer
from hubformats.agency_events import EnvelopeSetAside
from hubformats.ids import uuid7
from sharing.notices import use_cases
from sharing.notices.model import Notice, NoticeState, NoticeStep, WrongState
from sharing.notices.ports import Notices, NoticeTx, NoticeView, NoticeViews
from sharing.notices.repository import SqlNotices, SqlNoticeViews
from sharing.notices.use_cases import NoticeContext, SetAside
from sharing.notices.worker import Notifier
from sharing.wiring import SqlTx, SqlView
from tests.support.notices_fakes import FakeNotices, FakeNoticeStore, FakeNoticeTx
from tests.support.port_suites import Held
from tests.support.sharing_harness import Parties, sharing_harness

PORTS: Final = (
    Held(Notices, (SqlNotices,), FakeNotices),
    Held(NoticeViews, (SqlNoticeViews,), FakeNotices),
    Held(NoticeTx, (SqlTx,), FakeNoticeTx),
    Held(NoticeView, (SqlView,), FakeNoticeTx),
)
HOUSING, IDVA = "northmoor-housing", "northmoor-idva"


@dataclass
class Ports:
    store: Any
    context: NoticeContext
    parties: Parties
    clock: ManualClock
    fake: FakeNotices | None
    database: Any = None

    async def aside(self, agency: str = HOUSING, reason: str = "receipt-malformed") -> Notice:
        """An envelope of that agency was set aside; its notice."""
        event_id = uuid7()
        found = SetAside(agency, event_id, "A" * 43, reason, self.clock.now())
        before = {one.id for one in await self.all()}
        await self.store.write(lambda tx: use_cases.note(tx, found))
        (made,) = [one for one in await self.all() if one.id not in before]
        assert (made.event_id, made.state) == (event_id, NoticeState.AWAITS_LOG)
        return made

    async def all(self) -> list[Notice]:
        """Every notice there is."""
        if self.fake is not None:
            return list(self.fake.kept.values())

        def ids(connection: Connection) -> list[UUID]:
            rows = connection.exec_driver_sql("SELECT id FROM notice ORDER BY id")
            return [UUID(str(row[0])) for row in rows]

        found = await self.database.read(ids)
        kept: list[Notice] = await self.store.write(
            lambda tx: [tx.notices.get(one) for one in found]
        )
        return kept

    async def logged(self, notice: Notice, index: int = 7) -> None:
        """The log holds its entry."""
        await self.store.write(lambda tx: use_cases.logged(tx, notice.record_id, index))

    async def state(self, notice: Notice) -> NoticeState:
        """Where it stands."""
        found: Notice = await self.store.write(lambda tx: tx.notices.get(notice.id))
        return found.state

    async def left(self, agency: str = HOUSING) -> int:
        """How many notices stand on the agency's topic."""
        if self.fake is not None:
            return len([one for one, _ in self.fake.left if one == agency])
        query = select(OUTBOX.c.id).where(OUTBOX.c.topic == topics.disclosure(agency))
        return len(await self.database.read(lambda c: c.execute(query).all()))

    def reader(self, agency: str) -> Granted:
        """A grant of the agency's system."""
        scope = "disclosure.read"
        who = Principal("i", agency, agency, "system", agency, scopes=frozenset({scope}))
        return grant(who, scope=scope, operation="operation", at=self.clock.now())


@pytest.fixture(params=["fake", "sqlite", "postgresql"])
async def ports(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ports]:
    """An empty store of one kind."""
    secret: dict[str, Any] = {
        "issuer": "http://identity.example.org",
        "reference_secret": b"r" * 32,
        "delivery_secret": b"d" * 32,
    }
    if request.param == "fake":
        parties, clock = Parties(), ManualClock()
        fake = FakeNotices(parties)
        store = FakeNoticeStore(FakeNoticeTx(fake))
        yield Ports(
            store, NoticeContext(clock=clock, directory=parties, **secret), parties, clock, fake
        )
        return
    url = f"sqlite:///{tmp_path}/hub.db"
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    async with sharing_harness(url, tmp_path) as harness:
        context = NoticeContext(clock=harness.clock, directory=harness.parties, **secret)
        yield Ports(harness.store, context, harness.parties, harness.clock, None, harness.database)


async def test_a_notice_leaves_once_and_only_after_the_log_holds_its_entry(ports: Ports) -> None:
    notifier, made = Notifier(ports.store, ports.context), await ports.aside()
    assert await notifier.step() == 0, "its entry is not in the log yet"
    await ports.logged(made)
    assert await ports.left() == 0
    assert await notifier.step() == 1
    assert await notifier.step() == 0
    assert (await ports.state(made), await ports.left()) == (NoticeState.SENT, 1)
    await ports.logged(made, 8)  # a receipt that comes again changes nothing
    assert await ports.state(made) is NoticeState.SENT


async def test_an_agency_reads_its_own_notices_that_left_in_pages(ports: Ports) -> None:
    made = [await ports.aside(reason=f"reason-{number}") for number in range(3)]
    waiting, others = await ports.aside(), await ports.aside(IDVA)
    for one in (*made, others):
        await ports.logged(one)
    await Notifier(ports.store, ports.context).step()

    async def told(agency: str, after: UUID | None, limit: int) -> list[UUID]:
        reader = ports.reader(agency)
        found = await ports.store.read(lambda view: view.notices.told(reader, after, limit))
        assert waiting.id not in {one.id for one in found}
        return [one.id for one in found]

    assert await told(HOUSING, None, 2) == [one.id for one in made[:2]]
    assert await told(HOUSING, made[1].id, 2) == [made[2].id]
    assert await told(IDVA, None, 9) == [others.id]


async def test_an_agency_that_cannot_hear_is_told_later_and_hides_nobody(ports: Ports) -> None:
    notifier = Notifier(ports.store, ports.context)
    first, second = await ports.aside(), await ports.aside(IDVA)
    for one in (first, second):
        await ports.logged(one)
    ports.parties.suspended.add(HOUSING)
    assert await notifier.step() == 1
    assert (await ports.state(first), await ports.state(second)) == (
        NoticeState.READY,
        NoticeState.SENT,
    )
    ports.parties.suspended.clear()
    assert await notifier.step() == 1


async def test_a_notice_whose_entry_the_log_refused_never_leaves(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    made = await ports.aside()
    await ports.store.write(lambda tx: use_cases.unlogged(tx, made.record_id))
    assert "notice-unlogged" in [getattr(one, "alarm", "") for one in caplog.records]
    await ports.logged(made)
    assert await Notifier(ports.store, ports.context).step() == 0
    assert (await ports.state(made), await ports.left()) == (NoticeState.UNLOGGED, 0)


def test_a_notice_that_is_not_logged_makes_no_event() -> None:
    now = ManualClock().now()
    made = Notice(uuid7(), HOUSING, uuid7(), "D" * 43, "not-found", now, uuid7())
    assert not made.can(NoticeStep.SEND)
    with pytest.raises(WrongState):
        made.to_event()
    with pytest.raises(WrongState):
        made.sent(now)
    with pytest.raises(WrongState):
        replace(made, event_id=None).logged(7).to_event()
    event = made.logged(7).to_event()
    assert isinstance(event, EnvelopeSetAside)
    assert (event.advice, event.log_index) == ("correct-and-send-anew", 7)
