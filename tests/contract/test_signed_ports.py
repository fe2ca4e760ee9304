"""What a compromised key had signed before that was known is found alike in memory, on SQLite and on
PostgreSQL: once for each key, by one of several processes, and told to its agency."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, cast
from uuid import UUID

import pytest
from sqlalchemy import insert, update

from common.inbox.tables import INBOX
from common.testing import ManualClock
from deploy.stack.postgres import PostgresServer
from hubformats.agency_events import CompromisedKeyUsed
from hubformats.ids import uuid7
from sharing.directory.model import Compromise
from sharing.notices import use_cases
from sharing.notices.model import Notice
from sharing.notices.use_cases import NoticeContext
from sharing.notices.worker import LookBack
from sharing.signed.model import CASE, SignedMessage, receipt_message
from sharing.signed.ports import KeyUses, KeyUseViews, SignedTx, SignedView
from sharing.signed.repository import SqlKeyUses, SqlKeyUseViews
from sharing.tables import CaseRow, table_of
from sharing.wiring import SqlTx, SqlView
from tests.support.notices_fakes import FakeNotices, FakeNoticeStore, FakeNoticeTx
from tests.support.port_suites import Held
from tests.support.sharing_harness import Parties, SharingHarness, sharing_harness
from tests.support.signed_fakes import FakeKeyUses
from tests.support.snapshots import snapshot

PORTS: Final = (
    Held(KeyUses, (SqlKeyUses,), FakeKeyUses),
    Held(KeyUseViews, (SqlKeyUseViews,), FakeKeyUses),
    Held(SignedTx, (SqlTx,), FakeNoticeTx),
    Held(SignedView, (SqlView,), FakeNoticeTx),
)
POLICE, HOUSING, IDVA = "northmoor-police", "northmoor-housing", "northmoor-idva"
KEY, OTHER = "k" * 43, "o" * 43
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@dataclass
class Ports:
    store: Any
    context: NoticeContext
    parties: Parties
    clock: ManualClock
    fake: FakeNoticeTx | None
    harness: SharingHarness | None = None

    def stolen(self, *, key: str = KEY, agency: str = HOUSING, ago: timedelta = HOUR) -> Compromise:
        """Everybody knows from now on that somebody else has the key since then."""
        found = Compromise(agency, key, self.clock.now() - ago)
        others = (one for one in self.parties.stolen if one.key_id != key)
        self.parties.stolen = (*others, found)
        return found

    async def said(
        self,
        ago: timedelta,
        *,
        key: str = KEY,
        agency: str = HOUSING,
        signed: timedelta | None = None,
        delivery: UUID | None = None,
    ) -> SignedMessage:
        """A message that came so long ago."""
        at, event = self.clock.now() - ago, uuid7()
        message = SignedMessage(
            *(agency, event, key, "hub.delivery-acknowledged", "topic", at),
            signed_at=at if signed is None else self.clock.now() - signed,
            event_id=event,
            delivery_id=delivery,
        )
        await self.store.write(lambda tx: tx.signed.note(message))
        return message

    async def marked(
        self, ago: timedelta, agency: str = HOUSING, event: UUID | None = None
    ) -> UUID:
        """A message that came so long ago, when the hub kept no keys."""
        event, at = event or uuid7(), self.clock.now() - ago
        if self.fake is not None:
            self.fake.signed.marks.append((agency, event, at))
            return event
        row = {"consumer": "sharing.inbound", "source": agency, "event_id": event}
        row |= {"state": "done", "at": at}
        assert self.harness is not None
        await self.harness.database.write(lambda unit: unit.connection.execute(insert(INBOX), row))
        return event

    async def referred(self) -> tuple[UUID, UUID]:
        """A case that the police referred just now: itself, and a delivery to the IDVA service."""
        made = snapshot()
        if self.harness is not None:
            found = await self.harness.take(made)
            return made.case_id, found[IDVA].id
        assert self.fake is not None
        delivery = uuid7()
        self.fake.signed.versions.append((POLICE, made.case_id, self.clock.now()))
        self.fake.signed.deliveries[delivery] = made.case_id
        return made.case_id, delivery

    async def bar(self, case: UUID) -> None:
        """The case keeps its own referrer out."""
        if self.fake is not None:
            self.fake.signed.kept_out.add(case)
            return
        assert self.harness is not None
        table = table_of(CaseRow)
        barred = update(table).where(table.c.case_id == case).values(vetting={"barred": "referrer"})
        await self.harness.database.write(lambda unit: unit.connection.execute(barred))

    async def look(self, key: Compromise) -> Any:
        """One look; what it found."""
        return await self.store.write(lambda tx: use_cases.look_back(tx, self.context, key))

    async def listed(self, agency: str | None = None) -> list[tuple[UUID, bool]]:
        """What is listed: what, and whether the key is known to have signed it."""
        found = await self.store.read(lambda view: view.signed.used(agency, None, 99))
        return [(one.reference, one.certain) for one in found]

    async def notices(self) -> list[Notice]:
        """Every notice there is, oldest first."""
        if self.fake is not None:
            return list(self.fake.notices.kept.values())
        assert self.harness is not None
        rows = await self.harness.database.read(
            lambda c: c.exec_driver_sql("SELECT id FROM notice ORDER BY id").all()
        )
        ids = [UUID(str(row[0])) for row in rows]
        found: list[Notice] = await self.store.write(
            lambda tx: [tx.notices.get(one) for one in ids]
        )
        return found

    async def reviews(self) -> list[tuple[str, str, int]]:
        """The audit entries of looks: agency, reason and count."""
        if self.fake is not None:
            made = [one for one in self.fake.records if one.operation == "review"]
            return [(one.recipient, one.reason_code, one.count or 0) for one in made]
        assert self.harness is not None
        records = [one for one in await self.harness.records() if one["op"] == "review"]
        return [(one["rcp"], one["why"], one["n"]) for one in records]


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
        tx = FakeNoticeTx(FakeNotices(parties))
        context = NoticeContext(clock=clock, directory=parties, **secret)
        yield Ports(FakeNoticeStore(tx), context, parties, clock, tx)
        return
    url = f"sqlite:///{tmp_path}/hub.db"
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    async with sharing_harness(url, tmp_path) as harness:
        context = NoticeContext(clock=harness.clock, directory=harness.parties, **secret)
        yield Ports(harness.store, context, harness.parties, harness.clock, None, harness)


async def test_what_came_or_was_signed_since_is_found_and_nothing_else(ports: Ports) -> None:
    came = await ports.said(MINUTE, signed=2 * HOUR)
    dated = await ports.said(2 * HOUR, signed=MINUTE)
    at_the_moment = await ports.said(HOUR)
    await ports.said(HOUR + MINUTE)
    await ports.said(MINUTE, key=OTHER)
    await ports.said(MINUTE, agency=POLICE)
    key = ports.stolen()
    found = await ports.look(key)
    wanted = {one.reference for one in (came, dated, at_the_moment)}
    assert (found.messages, found.older, found.cases) == (3, 0, 0)
    assert {one.reference for one in found.first} == wanted
    assert set(await ports.listed()) == {(one, True) for one in wanted}
    assert await ports.listed(POLICE) == []


async def test_a_message_noted_again_changes_nothing(ports: Ports) -> None:
    first = await ports.said(MINUTE)
    await ports.store.write(lambda tx: tx.signed.note(replace(first, key_id=OTHER)))
    assert (await ports.look(ports.stolen(key=OTHER))).messages == 0
    assert (await ports.look(ports.stolen())).messages == 1
    one = receipt_message(HOUSING, KEY, "e30.e30.AA", "api", ports.clock.now(), uuid7())
    for _ in range(2):
        await ports.store.write(lambda tx: tx.signed.note(one))
    assert (await ports.look(ports.stolen())).messages == 1


async def test_messages_of_before_keys_were_kept_may_be(ports: Ports) -> None:
    kept = await ports.said(MINUTE)
    await ports.marked(MINUTE, event=kept.reference)
    older = await ports.marked(MINUTE)
    await ports.marked(HOUR + MINUTE)
    await ports.marked(MINUTE, POLICE)
    found = await ports.look(ports.stolen())
    assert (found.messages, found.older) == (1, 1)
    assert set(await ports.listed(HOUSING)) == {(kept.reference, True), (older, False)}
    assert [one.kind for one in found.first] == [kept.kind, None]


async def test_cases_are_named_to_who_referred_them(ports: Ports) -> None:
    case, delivery = await ports.referred()
    said = await ports.said(timedelta(0), agency=IDVA, delivery=delivery)
    found = await ports.look(ports.stolen(agency=POLICE))
    assert [(one.kind, one.case_id, one.certain) for one in found.first] == [(CASE, case, False)]
    assert (found.messages, found.cases) == (0, 1)
    theirs = await ports.look(ports.stolen(agency=IDVA, key=KEY))
    assert [(one.reference, one.case_id) for one in theirs.first] == [(said.reference, case)]
    notices = [one.used for one in await ports.notices()]
    assert all(used is not None for used in notices)
    names = [[item.case_reference for item in used.items] for used in notices if used is not None]
    assert names == [
        [ports.context.reference(POLICE, case)],
        [ports.context.reference(IDVA, case)],
    ]


async def test_it_is_done_once_whoever_looks_and_again_for_an_earlier_moment(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    for ago in (MINUTE, 90 * MINUTE, 200 * MINUTE):
        await ports.said(ago)
    await ports.marked(90 * MINUTE)
    key = ports.stolen()
    processes = [LookBack(ports.store, ports.context) for _ in range(2)]
    assert [await one.step() for one in processes] == [1, 0]
    assert await LookBack(ports.store, ports.context).step() == 0, "as after a restart"
    assert await ports.look(key) is None
    ports.stolen(ago=2 * HOUR)
    assert [await one.step() for one in processes] == [1, 0]
    assert await ports.reviews() == [(HOUSING, "key-compromised", count) for count in (1, 2)]
    alarms = [line for line in caplog.records if vars(line).get("alarm") == "compromised-key-used"]
    assert [(vars(one)["agency"], vars(one)["count"]) for one in alarms] == [
        (HOUSING, 1),
        (HOUSING, 2),
    ]
    used = [one.used for one in await ports.notices()]
    assert [(one.messages, one.older) for one in used if one] == [(1, 0), (1, 1)]


async def test_what_another_process_took_in_meanwhile_is_found_later(ports: Ports) -> None:
    ports.stolen()
    worker = LookBack(ports.store, ports.context)
    assert await worker.step() == 1
    late = await ports.said(timedelta(0))
    assert await worker.step() == 0, "it does not ask all the time"
    ports.clock.advance(31)
    assert await worker.step() == 1
    assert await ports.listed() == [(late.reference, True)]


async def test_nothing_found_is_told_once_and_is_no_alarm(
    ports: Ports, caplog: pytest.LogCaptureFixture
) -> None:
    ports.stolen()
    assert await LookBack(ports.store, ports.context).step() == 1
    assert await ports.reviews() == [(HOUSING, "key-compromised", 0)]
    assert [vars(line).get("alarm") for line in caplog.records] == []
    (notice,) = await ports.notices()
    event = notice.logged(7).to_event()
    assert isinstance(event, CompromisedKeyUsed)
    assert (event.used.messages, event.used.key_id, event.log_index) == (0, KEY, 7)


async def test_the_list_is_read_in_pages(ports: Ports) -> None:
    for _ in range(3):
        await ports.said(MINUTE)
    await ports.said(MINUTE, agency=POLICE, key=OTHER)
    for key in (ports.stolen(), ports.stolen(agency=POLICE, key=OTHER)):
        await ports.look(key)
    whole = await ports.store.read(lambda view: view.signed.used(None, None, 9))
    assert [one.key_id for one in whole] == [KEY] * 3 + [OTHER]
    place = (whole[1].key_id, whole[1].reference)
    behind = await ports.store.read(lambda view: view.signed.used(None, place, 9))
    assert behind == whole[2:]
    assert [one.agency for one in whole] == [HOUSING] * 3 + [POLICE]


async def test_a_case_that_keeps_its_referrer_out_is_the_desks_alone(ports: Ports) -> None:
    case, _ = await ports.referred()
    await ports.bar(case)
    found = await ports.look(ports.stolen(agency=POLICE))
    assert (found.cases, found.kept_out, found.first) == (0, 1, ())
    assert await ports.listed() == [(case, False)]
