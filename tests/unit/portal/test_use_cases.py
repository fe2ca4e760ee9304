"""What people do in the portal, on ports in memory: no page, no server, no database."""

from dataclasses import dataclass, field, replace
from uuid import UUID

import pytest

from common.testing import ManualClock
from hubformats.canonical import canonical
from hubformats.keys import StaticKeys
from hubformats.package_proof import PackageRefused
from portal.context import Context
from portal.emergency import use_cases as emergency
from portal.emergency.model import Unproven
from portal.shell.model import Draft, Grantings, NoAnswer, PendingSignIn, Person
from portal.sign_in import use_cases as sign_in
from portal.sign_in.model import Callback, SignInFailed
from portal.sign_in.ports import SignInPorts
from portal.work import use_cases as work
from portal.work.model.delivery import AuditBacklog, KeysKeptElsewhere, Waiting
from portal.work.ports import WorkPorts
from tests.support.portal_fakes import (
    ISSUER,
    MemoryAgencyKeys,
    MemoryAuthorization,
    MemoryDeliveries,
    MemoryDeliverySummaries,
    MemoryPeople,
    MemoryRecorder,
    MemoryReleases,
)
from tests.support.portal_packages import BASE, CONTENT, DELIVERY, ME, envelope, keys, package
from tests.support.portal_services import granted

ONE = str(DELIVERY)
OTHER = UUID("01932000-0000-7000-8000-0000000000a1")
READ, ACCEPT = granted("read_deliveries"), granted("accept_delivery")


def context() -> Context:
    """What every use case works with."""
    return Context(
        base_url=BASE,
        clock=ManualClock(),
        log=keys().log.verifier,
        keys=StaticKeys(keys().sharing),
        agencies={ME: "Northmoor IDVA Service"},
        demo=True,
    )


@dataclass
class Inbox:
    """One agency's inbox and what stands beside it."""

    deliveries: MemoryDeliveries
    summaries: MemoryDeliverySummaries = field(default_factory=MemoryDeliverySummaries)
    recorder: MemoryRecorder = field(default_factory=lambda: MemoryRecorder([]))

    @property
    def ports(self) -> WorkPorts:
        """The ports of the work list."""
        return WorkPorts(
            lambda _: self.deliveries, self.summaries, MemoryAgencyKeys(), self.recorder
        )


@pytest.fixture
def inbox() -> Inbox:
    """An inbox with one sound delivery."""
    item = Waiting(ONE, "disclosure", "delivered", "2026-11-21T02:05:00Z", envelope(package()))
    return Inbox(MemoryDeliveries([item]))


async def test_opening_records_the_case_and_remembers_it(inbox: Inbox) -> None:
    opened = await work.open_for(context(), inbox.ports, READ, inbox.deliveries, ONE)
    assert opened.known.case_reference == CONTENT["caseReference"]
    assert inbox.recorder.entries[0].case_references == (CONTENT["caseReference"],)
    assert inbox.recorder.entries[0].shown == canonical(CONTENT)
    assert inbox.summaries.kept[ME, ONE] == opened.known
    (row,) = await work.work_list(context(), inbox.ports, READ, inbox.deliveries)
    assert (row.state, row.known) == ("opened", opened.known)


async def test_an_agency_with_its_own_keys_opens_nothing_here(inbox: Inbox) -> None:
    theirs = granted("read_deliveries", "northmoor-police")
    with pytest.raises(KeysKeptElsewhere):
        await work.open_for(context(), inbox.ports, theirs, inbox.deliveries, ONE)
    assert inbox.deliveries.done == []


async def test_while_reads_cannot_be_accounted_for_nothing_is_fetched(inbox: Inbox) -> None:
    inbox.recorder.is_ready = False
    with pytest.raises(AuditBacklog):
        await work.open_for(context(), inbox.ports, READ, inbox.deliveries, ONE)
    assert inbox.deliveries.done == []


async def test_what_does_not_verify_is_recorded_as_a_failed_look(inbox: Inbox) -> None:
    inbox.deliveries.stand(envelope=envelope(package(proof="")))
    with pytest.raises(PackageRefused) as refused:
        await work.open_for(context(), inbox.ports, READ, inbox.deliveries, ONE)
    (entry,) = inbox.recorder.entries
    assert (entry.outcome, entry.reason_code) == ("failed", refused.value.code)
    assert inbox.summaries.kept == {}


async def test_the_list_names_no_case_and_keeps_no_look(inbox: Inbox) -> None:
    (row,) = await work.work_list(context(), inbox.ports, READ, inbox.deliveries)
    assert row.known is not None
    assert (row.state, row.urgent, row.known.case_reference) == ("new", True, None)
    assert inbox.recorder.entries == []


async def test_a_crash_between_receipt_and_acknowledgement_costs_nothing(inbox: Inbox) -> None:
    async def crash(*_: object) -> None:
        raise NoAnswer

    at, ports = context(), inbox.ports
    sound = inbox.deliveries.acknowledge
    inbox.deliveries.acknowledge = crash  # type: ignore[method-assign,assignment]  # dies there
    with pytest.raises(NoAnswer):
        await work.accept(at, ports, ACCEPT, READ, inbox.deliveries, ONE)
    (row,) = await work.work_list(at, ports, READ, inbox.deliveries)
    assert row.state == "opened", "it is still to accept"
    inbox.deliveries.acknowledge = sound  # type: ignore[method-assign]  # and lives again
    await work.accept(at, ports, ACCEPT, READ, inbox.deliveries, ONE)
    assert inbox.deliveries.done.count("receipt") == 1
    (row,) = await work.work_list(at, ports, READ, inbox.deliveries)
    assert row.state == "accepted"


PERSON = Person("p-1", "Amina Yusuf", ME, ("idva",))


def coming_back(draft: Draft | None) -> tuple[SignInPorts, PendingSignIn, Callback]:
    """Somebody whom identity knows comes back from it."""
    authorization = MemoryAuthorization()
    authorization.grants = Grantings("fresh", "disclosure.read", ISSUER, "demo", 1)
    pending = PendingSignIn("s", "v", {}, ManualClock().now(), draft)
    people = MemoryPeople(PERSON)
    return SignInPorts(authorization, lambda _: people), pending, Callback("c", "s", ISSUER)


@pytest.mark.parametrize(("writer", "kept"), [("p-1", True), ("p-2", False)])
async def test_what_was_written_comes_back_to_its_writer_alone(writer: str, kept: bool) -> None:
    draft = Draft(writer, f"/emergency/{ONE}", {"reason": "words"})
    session = await sign_in.complete(context(), *coming_back(draft))
    assert session.person == PERSON
    assert session.draft == (draft if kept else None)
    assert len(session.csrf) >= 32


async def test_an_answer_to_another_sign_in_begins_no_visit() -> None:
    ports, pending, back = coming_back(None)
    with pytest.raises(SignInFailed):
        await sign_in.complete(context(), ports, pending, replace(back, state="another"))


LEFT = Unproven(
    ONE,
    "NM-7F3K-9QXA-2C4T",
    ME,
    "NM-2",
    "disclosure",
    promised=True,
    decided_at="2026-11-21T02:05:00Z",
    released_at="2026-11-21T02:06:00Z",
    proof_due="2026-11-21T03:06:00Z",
)


async def test_urgent_ones_stand_first() -> None:
    urgent = replace(LEFT, delivery_id=str(OTHER), urgent=True)
    releases = MemoryReleases(without_proof=[LEFT, urgent])
    found = await emergency.unproven(granted("read_unproven"), releases)
    assert found.items == (urgent, LEFT)


@pytest.mark.parametrize("proven", [False, True])
async def test_nothing_is_called_proven_before_it_is(proven: bool) -> None:
    releases = MemoryReleases(sent=[replace(LEFT, proven=proven)])
    found = await emergency.proven_after_send(
        granted("read_unproven"), releases, ONE, LEFT.case_reference
    )
    assert (found is not None) == proven


async def test_a_clause_that_cannot_be_read_keeps_no_form_back() -> None:
    class Silent(MemoryReleases):
        async def clauses(self) -> dict[str, str]:
            raise NoAnswer

    assert await emergency.clause_text(Silent(), LEFT) == ""
    assert await emergency.clause_text(MemoryReleases(), LEFT)
