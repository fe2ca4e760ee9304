"""The portal's ports keep the same promises in memory, on a database, and over HTTP."""

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Final, cast

import pytest

from common.database import Database, ensure_schema
from common.testing import ManualClock
from deploy.stack.postgres import PostgresServer
from hubformats.statement import EnvelopeRefused
from portal.auditing.client import ServiceAuditLog
from portal.auditing.ports import AuditLog
from portal.emergency.client import SharingReleases
from portal.emergency.model import Unproven
from portal.emergency.ports import Releases
from portal.shell.model import (
    ABSOLUTE,
    IDLE,
    SIGN_IN_LASTS,
    CallRefused,
    Draft,
    PendingSignIn,
    Person,
)
from portal.shell.ports import Sessions
from portal.shell.repository import SqlSessions
from portal.sign_in.client import IdentityPeople
from portal.sign_in.ports import People
from portal.tables import METADATA
from portal.wiring import KeyringAgencyKeys
from portal.work.client import SharingDeliveries
from portal.work.model.delivery import Delayed, Delays, Known, Standing, Waiting
from portal.work.ports import AgencyKeys, Deliveries, DeliverySummaries
from portal.work.repository import SqlDeliverySummaries
from tests.support.port_suites import Held
from tests.support.portal_fakes import (
    MemoryAgencyKeys,
    MemoryAuditLog,
    MemoryDeliveries,
    MemoryDeliverySummaries,
    MemoryPeople,
    MemoryReleases,
    MemorySessions,
)
from tests.support.portal_harness import signed_in
from tests.support.portal_packages import DELIVERY, ME, envelope, keyring, keys, package
from tests.support.portal_services import Services, granted

PORTS: Final = (
    Held(Sessions, (SqlSessions,), MemorySessions),
    Held(DeliverySummaries, (SqlDeliverySummaries,), MemoryDeliverySummaries),
    Held(AgencyKeys, (KeyringAgencyKeys,), MemoryAgencyKeys),
    Held(Deliveries, (SharingDeliveries,), MemoryDeliveries),
    Held(Releases, (SharingReleases,), MemoryReleases),
    Held(AuditLog, (ServiceAuditLog,), MemoryAuditLog),
    Held(People, (IdentityPeople,), MemoryPeople),
)

KNOWN = Known("NM-7F3K-9QXA-2C4T", urgent=True)
ONE, TWO = str(DELIVERY), "01932000-0000-7000-8000-0000000000a1"
SCHOOL = "northmoor-school"


@dataclass
class Kept:
    """Where the portal keeps what is its own."""

    sessions: Sessions
    summaries: DeliverySummaries


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    """An empty place of one kind."""
    if request.param == "memory":
        yield Kept(MemorySessions(), MemoryDeliverySummaries())
        return
    url = f"sqlite:///{tmp_path}/portal.db"
    if request.param == "postgresql":
        server = cast(PostgresServer, request.getfixturevalue("postgres_server"))
        url = server.database(f"t{secrets.token_hex(8)}")
    database = Database(url, clock=ManualClock(), name="portal")
    await database.start()
    await ensure_schema(database, METADATA)
    yield Kept(SqlSessions(database, b"k" * 32), SqlDeliverySummaries(database, b"s" * 32))
    await database.stop()


async def test_a_session_is_found_by_its_cookie_alone(kept: Kept) -> None:
    clock, sessions = ManualClock(), kept.sessions
    made = signed_in(clock)
    await sessions.put("a", made)
    found = await sessions.find("a", clock.now())
    assert found is not None
    assert replace(found, id=b"") == made
    assert found.id not in {b"", b"a"}
    assert await sessions.find("b", clock.now()) is None


async def test_use_keeps_a_session_and_idleness_ends_it(kept: Kept) -> None:
    clock, sessions = ManualClock(), kept.sessions
    await sessions.put("a", signed_in(clock))
    for _ in range(3):
        clock.advance(IDLE - timedelta(seconds=1))
        assert await sessions.find("a", clock.now()) is not None
    clock.advance(IDLE + timedelta(seconds=1))
    assert await sessions.find("a", clock.now()) is None
    assert await sessions.find("a", clock.now() - IDLE) is None, "gone, not only hidden"


async def test_a_page_that_asks_by_itself_does_not_keep_a_session(kept: Kept) -> None:
    clock, sessions = ManualClock(), kept.sessions
    await sessions.put("a", signed_in(clock))
    clock.advance(IDLE - timedelta(seconds=1))
    assert await sessions.find("a", clock.now(), used=False) is not None
    clock.advance(timedelta(seconds=2))
    assert await sessions.find("a", clock.now(), used=False) is None


async def test_no_session_outlives_a_shift(kept: Kept) -> None:
    clock, sessions = ManualClock(), kept.sessions
    await sessions.put("a", signed_in(clock))
    began, step = clock.now(), IDLE - timedelta(minutes=1)
    while clock.now() + step - began <= ABSOLUTE:
        clock.advance(step)
        assert await sessions.find("a", clock.now()) is not None
    clock.advance(step)
    assert await sessions.find("a", clock.now()) is None


async def test_what_changed_is_kept_and_an_ended_session_stays_ended(kept: Kept) -> None:
    clock, sessions = ManualClock(), kept.sessions
    made = signed_in(clock)
    await sessions.put("a", made)
    changed = replace(made, asked={"id": "q"}, released={"d": "NM-2222-2222-2222"})
    await sessions.amend("a", changed)
    found = await sessions.find("a", clock.now())
    assert found is not None
    assert (found.asked, found.released) == (changed.asked, changed.released)
    await sessions.end("a")
    await sessions.amend("a", changed)
    await sessions.end("a")
    assert await sessions.find("a", clock.now()) is None


async def test_a_sign_in_is_taken_once_and_not_late(kept: Kept) -> None:
    clock, sessions = ManualClock(), kept.sessions
    draft = Draft("p-1", "/emergency", {"code": "code", "reason": "reason"})
    pending = PendingSignIn("state", "verifier", {"k": "v"}, clock.now(), draft)
    await sessions.begin("a", pending)
    assert await sessions.find("a", clock.now()) is None, "nobody is signed in by it"
    assert await sessions.take("a", clock.now()) == pending
    assert await sessions.take("a", clock.now()) is None
    await sessions.begin("b", pending)
    late = clock.now() + SIGN_IN_LASTS + timedelta(seconds=1)
    assert await sessions.take("b", late) is None


async def test_a_session_is_no_sign_in_under_way(kept: Kept) -> None:
    clock = ManualClock()
    await kept.sessions.put("a", signed_in(clock))
    assert await kept.sessions.take("a", clock.now()) is None
    assert await kept.sessions.find("a", clock.now()) is not None


async def test_summaries_are_one_agencys_and_the_last_one_wins(kept: Kept) -> None:
    now, summaries, mine = ManualClock().now(), kept.summaries, granted("read_deliveries")
    calm = replace(KNOWN, urgent=False)
    await summaries.remember(mine, ONE, KNOWN, now)
    await summaries.remember(mine, ONE, calm, now)
    assert await summaries.known(mine, [ONE, TWO]) == {ONE: calm}
    assert await summaries.known(granted("read_deliveries", SCHOOL), [ONE, TWO]) == {}


async def test_many_summaries_are_read_at_once(kept: Kept) -> None:
    now, mine = ManualClock().now(), granted("read_deliveries")
    await kept.summaries.remember(mine, ONE, KNOWN, now)
    many = [f"delivery-{number}" for number in range(1_200)]
    assert await kept.summaries.known(mine, [*many, ONE]) == {ONE: KNOWN}
    assert await kept.summaries.known(mine, []) == {}


@pytest.fixture(params=["memory", "keyring"])
def agency_keys(request: pytest.FixtureRequest) -> AgencyKeys:
    """Keys of the same agencies in one place or the other."""
    if request.param == "memory":
        return MemoryAgencyKeys()
    return KeyringAgencyKeys(keyring(keys().folder, "portal"))


def test_keys_are_given_to_the_agencys_own_people_only(agency_keys: AgencyKeys) -> None:
    mine, theirs = granted("read_deliveries"), granted("read_deliveries", "northmoor-police")
    assert agency_keys.opening(mine).keys() == {keys().opening.kid}
    signer = agency_keys.signing(mine)
    assert signer is not None
    assert (signer.owner, signer.kid) == (ME, keys().signing.kid)
    assert agency_keys.opening(theirs) == {}
    assert agency_keys.signing(theirs) is None


@dataclass
class Behind:
    """What the other services hold, and the portal's ports to them."""

    services: Services
    deliveries: Deliveries
    releases: Releases
    log: AuditLog
    people: People


@pytest.fixture(params=["memory", "http"])
def behind(request: pytest.FixtureRequest) -> Behind:
    """The fakes themselves, or the clients that reach the same memory over HTTP."""
    people = MemoryPeople(Person("per-1", "Amina Yusuf", ME, ("idva",)))
    services = Services(people=people)
    if request.param == "memory":
        return Behind(services, services.deliveries, services.releases, services.log, people)
    calls = services.calls()
    return Behind(
        services,
        SharingDeliveries(calls),
        SharingReleases(calls),
        ServiceAuditLog(calls),
        IdentityPeople(calls),
    )


def delivered(delivery_id: str = ONE, value: bytes | None = b"sealed") -> Waiting:
    """As the inbox lists it."""
    return Waiting(delivery_id, "disclosure", "delivered", "2026-11-21T02:05:00Z", value)


async def test_the_inbox_is_listed_as_it_stands_over_many_pages(behind: Behind) -> None:
    items = [delivered(f"delivery-{number}") for number in range(250)]
    behind.services.deliveries.items = [*items, delivered(ONE, None)]
    listed = await behind.deliveries.waiting(granted("read_deliveries"))
    assert list(listed) == behind.services.deliveries.items, "the damaged one is listed too"


async def test_withdrawals_are_listed_alone_while_nothing_else_may_be_shown(behind: Behind) -> None:
    read, back = granted("read_deliveries"), replace(delivered(TWO), kind="withdrawal")
    behind.services.deliveries.items = [delivered(ONE), back]
    behind.services.deliveries.against = CallRefused(503, "deliveries-unchecked")
    with pytest.raises(CallRefused, match="deliveries-unchecked"):
        await behind.deliveries.waiting(read)
    assert list(await behind.deliveries.waiting(read, withdrawals=True)) == [back]


async def test_what_waits_for_the_audit_log_is_counted_on_both_sides(behind: Behind) -> None:
    assert await behind.deliveries.delays(granted("read_deliveries")) == Delays()
    waits = Delays(Delayed(1, 2, "2026-11-21T02:05:00Z"), Delayed(0, 1, "2026-11-21T02:06:00Z"))
    behind.services.deliveries.delayed = waits
    assert await behind.deliveries.delays(granted("read_deliveries")) == waits


async def test_a_delivery_comes_with_its_exact_bytes(behind: Behind) -> None:
    sealed = envelope(package())
    behind.services.deliveries.items = [delivered(ONE, sealed), delivered(TWO, None)]
    found = await behind.deliveries.fetch(granted("read_deliveries"), ONE)
    assert (found.waiting.delivery_id, found.envelope) == (ONE, sealed)
    with pytest.raises(EnvelopeRefused) as damaged:
        await behind.deliveries.fetch(granted("read_deliveries"), TWO)
    assert damaged.value.code == "digest-mismatch"


async def test_how_a_delivery_stands_is_told(behind: Behind) -> None:
    read = granted("read_deliveries")
    behind.services.deliveries.items = [delivered(ONE), delivered(TWO)]
    assert await behind.deliveries.standing(read, ONE) == Standing(stands=True)
    gone = Standing(False, "2026-11-21T02:40:00Z", replaced=True, said_by=TWO)
    behind.services.deliveries.take_back(ONE, gone)
    assert await behind.deliveries.standing(read, ONE) == gone
    with pytest.raises(CallRefused, match="not-found"):
        await behind.deliveries.standing(read, "01932000-0000-7000-8000-0000000000a2")


async def test_what_is_not_there_is_refused(behind: Behind) -> None:
    may = granted("accept_delivery")
    for work in (
        behind.deliveries.fetch(granted("read_deliveries"), TWO),
        behind.deliveries.send_receipt(may, TWO, "receipt"),
        behind.deliveries.acknowledge(may, TWO, "idva"),
        behind.log.entry(granted("search_log"), 7),
        behind.releases.release(granted("release_in_emergency"), TWO, "code", "reason"),
    ):
        with pytest.raises(CallRefused) as refused:
            await work
        assert (refused.value.status, refused.value.code) == (404, "not-found")


async def test_receipt_and_acknowledgement_change_how_it_stands(behind: Behind) -> None:
    read, may = granted("read_deliveries"), granted("accept_delivery")
    behind.services.deliveries.items = [delivered()]
    await behind.deliveries.send_receipt(may, ONE, "the receipt")
    (saved,) = await behind.deliveries.waiting(read)
    assert (bool(saved.saved_at), saved.taken_up) == (True, False)
    assert behind.services.deliveries.receipts == {ONE: "the receipt"}
    await behind.deliveries.acknowledge(may, ONE, "idva")
    (accepted,) = await behind.deliveries.waiting(read)
    assert not accepted.to_accept
    assert "acknowledged as idva" in behind.services.deliveries.done


async def test_an_answer_to_what_was_taken_back_is_said_once(behind: Behind) -> None:
    read, may = granted("read_deliveries"), granted("accept_delivery")
    behind.services.deliveries.items = [delivered()]
    await behind.deliveries.answer(may, ONE, "kept_under_duty", "court_order")
    (said,) = await behind.deliveries.waiting(read)
    assert (said.answer, said.duty) == ("kept_under_duty", "court_order")
    with pytest.raises(CallRefused):
        await behind.deliveries.answer(may, TWO, "stopped_and_deleted", "")


WAITING = Unproven(
    ONE,
    "NM-7F3K-9QXA-2C4T",
    ME,
    "NM-2",
    "disclosure",
    promised=False,
    decided_at="2026-11-21T02:05:00Z",
    released_at="",
    proof_due="",
    urgent=True,
)


async def test_what_has_no_proof_is_listed_or_found_alone(behind: Behind) -> None:
    may, other = granted("read_unproven"), replace(WAITING, delivery_id=TWO, urgent=False)
    behind.services.releases.without_proof = [WAITING, other]
    found = await behind.releases.unproven(may)
    assert (found.items, found.more) == ((WAITING, other), False)
    assert (await behind.releases.unproven(may, TWO)).items == (other,)
    behind.services.releases.room = 1
    assert (await behind.releases.unproven(may)).more


async def test_a_release_leaves_once_on_a_promise(behind: Behind) -> None:
    may, look = granted("release_in_emergency"), granted("read_unproven")
    behind.services.releases.without_proof = [WAITING]
    await behind.releases.release(may, ONE, "imminent_danger_to_life", "He is at the door.")
    assert [one.promised for one in (await behind.releases.unproven(look)).items] == [True]
    with pytest.raises(CallRefused) as refused:
        await behind.releases.release(may, ONE, "imminent_danger_to_life", "He is at the door.")
    assert refused.value.status == 409


async def test_what_left_is_found_by_its_case(behind: Behind) -> None:
    may, case = granted("read_unproven"), WAITING.case_reference
    left = replace(WAITING, released_at="2026-11-21T02:06:00Z", proven=True, urgent=False)
    behind.services.releases.sent = [left]
    assert await behind.releases.after_send(may, ONE, case) == left
    assert await behind.releases.after_send(may, TWO, case) is None
    assert await behind.releases.after_send(may, ONE, "NM-0000-0000-0000") is None


async def test_clauses_are_read_by_their_codes(behind: Behind) -> None:
    assert await behind.releases.clauses() == behind.services.releases.texts


async def test_a_question_finds_entries_that_can_be_read(behind: Behind) -> None:
    may, log = granted("search_log"), behind.services.log
    log.found, log.entries = [{"index": 3}], {3: {"index": 3, "proof": "p"}}
    wanted = {"recipient": ME}
    query = await behind.log.ask(may, "verify_lawfulness", "Routine sample", wanted)
    assert log.done == ["asked ['recipient']"]
    found = await behind.log.answers(may, query)
    assert (found["items"], found["nextCursor"]) == ([{"index": 3}], None)
    assert (await behind.log.entry(may, 3))["proof"] == "p"


async def test_identity_names_the_person(behind: Behind) -> None:
    assert await behind.people.me() == Person("per-1", "Amina Yusuf", ME, ("idva",))
