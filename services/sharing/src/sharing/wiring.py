"""Sharing's composition root: the only file that knows every folder."""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import UUID

import httpx2
from sqlalchemy import Connection

from common import topics
from common.audit_trail import AuditTrail
from common.bus import Bus
from common.database import Database, Unit
from common.directory import DirectoryKeys
from common.events import Event
from common.faults import crash_point
from common.keyring import Keyring
from common.problems import Problem
from common.sealed import RowAltered
from common.settings import Settings
from common.web.app import Api, create_app
from common.web.frame import Frame, Host, Subscription
from common.web.paging import Cursors
from common.web.service import Service
from hubformats.audit_record import AuditEntry
from hubformats.clock import Clock
from hubformats.tlog import Verifier
from sharing.agreements import routes as agreements_routes
from sharing.agreements.repository import (
    Bundle,
    CedarRules,
    load,
    read_bundle,
    sign_shipped,
    signature_path,
)
from sharing.agreements.use_cases import Agreements
from sharing.agreements.worker import Reminder
from sharing.case_keys import CaseKeys
from sharing.cases.repository import SqlCases, SqlCaseViews
from sharing.context import Context, Record, Store
from sharing.decisions import routes as decisions_routes
from sharing.decisions.consumers import CaseConsumer
from sharing.decisions.repository import SqlDecisions, SqlUndecided, SqlUndecidedViews
from sharing.decisions.use_cases.run import DecisionContext
from sharing.decisions.worker import Restored, Turns
from sharing.delays import routes as delays_routes
from sharing.delays.repository import SqlDelayViews
from sharing.directory.client import HubDirectory
from sharing.directory.ports import Directory
from sharing.disclosures import routes as disclosures_routes
from sharing.disclosures.client import ReferralChecks, referral_of
from sharing.disclosures.consumers import ReceiptConsumer
from sharing.disclosures.ports import Promises, ReleaseChecks
from sharing.disclosures.repository.disclosures import SqlDisclosures
from sharing.disclosures.repository.older import OlderRows
from sharing.disclosures.repository.rules import answer_book
from sharing.disclosures.repository.views import SqlDisclosureViews
from sharing.disclosures.use_cases.steps import ReleaseContext
from sharing.disclosures.worker import Releases
from sharing.inbox import routes as inbox_routes
from sharing.inbox.consumers import InboundConsumer
from sharing.inbox.repository import SqlInbox, SqlInboxViews
from sharing.inbox.use_cases.arrivals import Arrivals
from sharing.inbox.use_cases.checking import VetoQuestions
from sharing.inbox.use_cases.leaving import LATE, LateLook
from sharing.inbox.use_cases.receiving import InboxContext
from sharing.notices import routes as notices_routes
from sharing.notices.consumers import NoticeConsumer
from sharing.notices.repository import SqlNotices, SqlNoticeViews
from sharing.notices.use_cases import NoticeContext
from sharing.notices.worker import LookBack, Notifier
from sharing.second_look import routes as second_look_routes
from sharing.second_look.consumers import LookConsumer
from sharing.second_look.repository import OLDER_LOOKS, SqlSecondLooks, look_book
from sharing.second_look.use_cases import LookContext
from sharing.second_look.worker import LookAlarm
from sharing.signed import routes as signed_routes
from sharing.signed.repository import SqlKeyUses, SqlKeyUseViews
from sharing.tables import TABLES, AlteredRows, RepositoryDeps, RowSeals

T = TypeVar("T")
_log = logging.getLogger("hub.sharing")
_REFERRAL: Final = "svc:referral"

ROUTERS: Final = (
    inbox_routes.router,
    inbox_routes.deliveries,
    notices_routes.router,
    agreements_routes.router,
    decisions_routes.router,
    decisions_routes.again,
    delays_routes.router,
    disclosures_routes.router,
    signed_routes.router,
    second_look_routes.router,
)
PROBLEMS: Final = {
    **inbox_routes.PROBLEMS,
    **decisions_routes.PROBLEMS,
    **disclosures_routes.PROBLEMS,
    **second_look_routes.PROBLEMS,
    RowAltered: lambda _error: Problem(
        "unavailable", "What is stored of this was altered; the hub's operator is alarmed."
    ),
}


class SqlTx:
    """One writing transaction with all its repositories."""

    def __init__(self, unit: Unit, deps: RepositoryDeps, looks: LookContext) -> None:
        self._unit = unit
        self._deps = deps
        keys = CaseKeys(unit, deps)
        self.cases = SqlCases(unit, deps, keys)
        self.decisions = SqlDecisions(unit, keys)
        self.undecided = SqlUndecided(unit, deps, keys)
        self.disclosures = SqlDisclosures(unit, deps, keys)
        self.inbox = SqlInbox(unit, deps, self.disclosures, self.cases)
        self.notices = SqlNotices(unit, deps)
        self.signed = SqlKeyUses(unit)
        self.second_looks = SqlSecondLooks(unit.connection, looks.book, deps.seals.look)

    def record(self, entry: AuditEntry) -> Record:
        """Write an audit record in this transaction."""
        made = self._deps.trail.record(self._unit, entry)
        return Record(made.id, made.record, made.salt)

    def publish(self, case_id: UUID, event: Event) -> None:
        """Tell referral on one stream per case."""
        self._deps.outbox.send(
            self._unit, topic=topics.SHARING, key=str(case_id), event=event, to=[_REFERRAL]
        )


class SqlView:
    """One snapshot that cannot write."""

    def __init__(self, connection: Connection) -> None:
        self.cases = SqlCaseViews(connection)
        self.undecided = SqlUndecidedViews(connection)
        self.disclosures = SqlDisclosureViews(connection)
        self.inbox = SqlInboxViews(connection)
        self.delays = SqlDelayViews(connection)
        self.notices = SqlNoticeViews(connection)
        self.signed = SqlKeyUseViews(connection)


class SharingStore:
    """Opens transactions on the service's database; fulfils `sharing.context.Store`."""

    def __init__(
        self, database: Database, opened: Callable[[Unit], SqlTx], altered: AlteredRows
    ) -> None:
        self._database = database
        self._opened = opened
        self._altered = altered

    async def write(self, work: Callable[[SqlTx], T]) -> T:
        """Run `work` in one group-committed transaction; returns after the commit.

        An altered row that it met is on record before its caller hears anything.
        """
        try:
            answer = await self._database.write(lambda unit: work(self._opened(unit)))
        finally:
            await self._altered.settle()
        # Crash here: everything is durable and nobody was told; the worker and the callers find it
        # done.
        crash_point("sharing.after-commit")
        return answer

    async def read(self, work: Callable[[SqlView], T]) -> T:
        """Run `work` on one snapshot."""
        return await self._database.read(lambda connection: work(SqlView(connection)))


@dataclass(frozen=True, slots=True)
class Outside:
    """What of other services sharing asks while it runs."""

    directory: Directory
    checks: ReleaseChecks
    log: Verifier


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one sharing service, wired but not started."""

    store: SharingStore
    seals: RowSeals
    altered: AlteredRows
    agreements: Agreements
    deciding: DecisionContext
    releasing: ReleaseContext
    receiving: InboxContext
    cases: CaseConsumer
    receipts: ReceiptConsumer
    inbound: InboundConsumer
    notices: NoticeConsumer
    filings: LookConsumer
    looks: LookContext
    restored: Restored
    turns: Turns
    reminder: Reminder
    releases: Releases
    arrivals: Arrivals


async def build(
    settings: Settings,
    *,
    bus: Bus,
    clock: Clock,
    keyring: Keyring,
    http: httpx2.AsyncClient,
    outside: Callable[[Frame], Outside] | None = None,
) -> Service:
    """Build the sharing service, not yet started. Tests put others in the place of `outside`.

    Raises AgreementRefused when its area's agreement is not one.
    """
    frame = Frame("sharing", Host(settings, bus, clock, keyring, http), TABLES)
    bundle = read_bundle(frame.bootstrap.area.id)
    rules = agreement(bundle, settings, frame, clock.now().date())
    agreements = Agreements(
        {frame.bootstrap.area.id: rules}, {frame.bootstrap.area.id: bundle.policies}
    )
    others = (outside or real_outside)(frame)
    parts = _assemble(frame, agreements, others)
    frame.keys.watch(parts.releases.keys_moved)
    for consumer in (parts.cases, parts.inbound, parts.filings):
        consumer.register(frame.inbox)
    parts.receipts.register(frame.trail)
    parts.notices.register(frame.inbox, frame.trail)
    for subscription in subscriptions(list(frame.bootstrap.agencies)):
        frame.subscribe(subscription)
    app = create_app(
        Api(
            "sharing",
            "Sharing service",
            "Decides, under a sharing agreement, what each agency may know, and delivers exactly "
            "that with proof.",
            ROUTERS,
            tags={
                "inbox": "Your agency's sealed deliveries, receipts and acknowledgements.",
                "agreements": "The agreements that decide, and previews of what they would let "
                "leave.",
                "releases": "Where disclosures stand, and the emergency path.",
            },
        ),
        frame.runtime,
        provides=_provided(frame, parts, others),
        answers=PROBLEMS,
    )
    older = OlderRows(frame, parts.seals, [OLDER_LOOKS])
    running: tuple[Frame | Releases | Turns, ...] = frame, parts.releases, parts.turns
    return Service("sharing", app, parts=[older, *running], pausable=running)


def _assemble(frame: Frame, agreements: Agreements, outside: Outside) -> Parts:
    """Wire use cases, repositories and workers over a frame."""
    keyring, area = frame.keyring, frame.bootstrap.area.id
    arrivals, altered = Arrivals(frame.clock), AlteredRows(frame.database, frame.trail)
    context = _everywhere(frame, outside)
    telling = NoticeContext(**context)
    context["answers"] = answer_book(area)
    deciding, receiving = DecisionContext(**context, agreements=agreements), InboxContext(**context)
    spread = frame.settings.delivery_spread_ms
    releasing = ReleaseContext(**context, log=outside.log, spread_ms=spread)

    def after_proof() -> None:
        releases.wake()

    deps = RepositoryDeps.over(frame, altered, arrivals.arrived, after_proof)
    looks = LookContext(deciding, look_book(area, keyring))

    def opened(unit: Unit) -> SqlTx:
        return SqlTx(unit, deps, looks)

    store = SharingStore(frame.database, opened, altered)
    frame.outbox.relay.ask_again = LATE, LateLook(store, receiving, outside.checks).held
    restored, turns = Restored(store, deciding), Turns(store, deciding)
    reminder = Reminder(agreements, deciding)
    told = LookBack(store, telling).step, Notifier(store, telling).step
    others = (*told, altered.settle, LookAlarm(store, looks).step)
    releases = Releases(store, releasing, outside.checks, (restored.step, reminder.step, *others))
    return Parts(
        store=store,
        seals=deps.seals,
        altered=altered,
        agreements=agreements,
        deciding=deciding,
        releasing=releasing,
        receiving=receiving,
        cases=CaseConsumer(deciding, opened, turns.wake),
        receipts=ReceiptConsumer(releasing, opened),
        inbound=InboundConsumer(receiving, opened),
        notices=NoticeConsumer(telling, opened),
        filings=LookConsumer(opened),
        looks=looks,
        restored=restored,
        turns=turns,
        reminder=reminder,
        releases=releases,
        arrivals=arrivals,
    )


def _everywhere(frame: Frame, outside: Outside) -> dict[str, Any]:
    """Return what every context is given."""
    return {
        "clock": frame.clock,
        "issuer": frame.settings.issuer,
        "reference_secret": frame.keyring.secret("case-reference"),
        "delivery_secret": frame.keyring.secret("delivery-id"),
        "directory": outside.directory,
    }


def real_outside(frame: Frame) -> Outside:
    """Make the directory of this process, referral over HTTP, and the log of the bootstrap file."""
    return Outside(
        HubDirectory(frame.bootstrap, frame.directory, frame.keys),
        ReferralChecks(referral_of(frame), frame.clock),
        Verifier.parse(frame.bootstrap.log.vkey),
    )


def _provided(frame: Frame, parts: Parts, outside: Outside) -> dict[type[Any], object]:
    """Return what routes ask for by type."""
    return {
        Agreements: parts.agreements,
        Arrivals: parts.arrivals,
        AuditTrail: frame.trail,
        Context: parts.deciding,
        Cursors: frame.cursors,
        DecisionContext: parts.deciding,
        DirectoryKeys: frame.keys,
        InboxContext: parts.receiving,
        LookContext: parts.looks,
        Parts: parts,
        Promises: frame.trail,
        ReleaseChecks: outside.checks,
        ReleaseContext: parts.releasing,
        Store: parts.store,
        VetoQuestions: VetoQuestions(outside.checks, frame.clock),
    }


def subscriptions(agencies: list[str]) -> tuple[Subscription, ...]:
    """Hear cases from referral alone, and each agency's own topic from that agency alone.

    So none can speak for another.
    """
    own = {topics.inbound(agency): agency for agency in agencies}

    def speakers(topic: str) -> Collection[str]:
        return (own[topic],) if topic in own else ("svc:referral",)

    return (
        Subscription("sharing.case", (topics.CASE,), (topics.CASE_BULK,), speakers),
        Subscription("sharing.inbound", tuple(own), (), speakers),
    )


def agreement(bundle: Bundle, settings: Settings, frame: Frame, on: date) -> CedarRules:
    """Load the area's agreement, verified by the operator's signature beside the bootstrap file.

    Raises AgreementRefused.
    """
    place = signature_path(settings.bootstrap_file, frame.bootstrap.area.id)
    signature = place.read_text("utf-8") if place.is_file() else None
    demo = settings.demo and frame.bootstrap.demo
    rules, notice = load(
        bundle, on=on, signature=signature, operator=frame.bootstrap.operator, unsigned_allowed=demo
    )
    if notice:
        _log.warning(
            "agreement needs its owner",
            extra={"alarm": notice, "agreement": rules.agreement.terms.id},
        )
    return rules


def sign_agreement(folder: Path, area: str) -> None:
    """Sign an area's shipped agreement with the operator's key in a hub folder."""
    sign_shipped(folder, area)
