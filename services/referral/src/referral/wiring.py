"""Referral's composition root: the only file that knows every folder."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Final, TypeVar

import httpx2
from sqlalchemy import Connection

from common import topics
from common.access import Refusal
from common.attempts import Answer, Attempt
from common.audit_trail import AuditTrail
from common.bus import Bus
from common.database import Database, Unit
from common.faults import crash_point
from common.keyring import Keyring
from common.problems import Problem
from common.sealed import RowAltered, SubjectKeys, SubjectUnknown
from common.settings import Settings
from common.web.app import Answers, Api, create_app
from common.web.frame import Frame, Host, Subscription
from common.web.idempotency import Idempotency
from common.web.paging import Cursors
from common.web.service import Service
from hubformats.audit_record import AuditEntry
from hubformats.clock import Clock
from referral.cases import routes as case_routes
from referral.cases.consumers import OutcomeConsumer
from referral.cases.ports import CaseStore
from referral.cases.repository.altered import demand_sender
from referral.cases.repository.cases import SqlCases
from referral.cases.repository.keys import CaseKeys, RepositoryDeps
from referral.cases.repository.outcomes import OlderOutcomes, SqlOutcomes
from referral.cases.repository.referrals import SqlReferrals
from referral.cases.repository.views import SqlCaseViews
from referral.context import AgencyDirectory, Context
from referral.intake.ports import IntakeStore
from referral.intake.repository import SqlRefused
from referral.intake.routes import code_lists, refused, submission
from referral.intake.routes.alarms import DeskAlarms
from referral.risk.model import AreaRules, RuleBook, read_rule_book
from referral.sent import routes as sent_routes
from referral.sent.ports import SentStore
from referral.sent.repository import SqlReferences, SqlSent
from referral.sent.worker import ReferenceIndex
from referral.tables import SUBJECT_KEY, TABLES
from referral.vetoes import routes as veto_routes
from referral.vetoes.model import VetoRules, read_rules
from referral.vetoes.ports import VetoStore
from referral.vetoes.repository import BusSecondLooks, SqlLiftings
from referral.vetoes.use_cases.setting import VetoContext
from referral.vetoes.worker import Lapses

T = TypeVar("T")

ROUTERS: Final = (
    submission.router,
    sent_routes.router,
    *case_routes.ROUTERS,
    *veto_routes.ROUTERS,
    code_lists.router,
    refused.router,
)


def _altered(_error: Exception) -> Problem:
    words = "What is stored of this was altered; the hub's operator is alarmed."
    return Problem("unavailable", words)


PROBLEMS: Final[Answers] = {
    **case_routes.PROBLEMS,
    **submission.PROBLEMS,
    **refused.PROBLEMS,
    **veto_routes.PROBLEMS,
    RowAltered: _altered,
    SubjectUnknown: _altered,
}
_TAGS: Final = {
    "referrals": "Send a referral and read what became of it.",
    "markings": "Vetoes on disclosure.",
    "lists": "Code lists, instruments, dated rules, and your refused intakes.",
    "release checks": "Between services: the last look before a release.",
}


@dataclass(frozen=True, slots=True)
class TransactionDeps:
    """What every transaction is given once."""

    repositories: RepositoryDeps
    trail: AuditTrail
    idempotency: Idempotency


class ReferralTx:
    """One transaction and the ports it reaches; a new folder adds its own here."""

    def __init__(self, unit: Unit, deps: TransactionDeps) -> None:
        self._unit = unit
        self._deps = deps
        given = deps.repositories
        keys = CaseKeys(unit.connection, given.subject_keys)
        self.cases = SqlCases(unit, given, keys)
        self.referrals = SqlReferrals(unit.connection, given.index_key, keys)
        self.outcomes = SqlOutcomes(unit.connection, given.reference_secret)
        self.refused = SqlRefused(unit, given.index_key)
        self.liftings = SqlLiftings(unit.connection, given.subject_keys)
        self.second_looks = BusSecondLooks(unit, given.outbox)
        self.sent = SqlSent(unit, given.subject_keys, given.index_key, demand_sender)

    def once(self, attempt: Attempt, work: Callable[[], Answer]) -> Answer:
        """Give the stored answer of this Idempotency-Key, or `work`'s, stored here."""
        return self._deps.idempotency.once(self._unit.connection, attempt, work)

    def record(self, entry: AuditEntry) -> None:
        """Write the audit record in this transaction."""
        self._deps.trail.record(self._unit, entry)


class ReferralView:
    """One snapshot and the ports that read on it."""

    def __init__(self, connection: Connection, deps: TransactionDeps) -> None:
        self.cases = SqlCaseViews(connection, deps.repositories.subject_keys)


class ReferralStore:
    """Opens transactions on the service's database; fulfils the `Store` of every folder."""

    def __init__(self, database: Database, deps: TransactionDeps) -> None:
        self._database = database
        self._deps = deps

    async def write(self, work: Callable[[ReferralTx], T]) -> T:
        """Run `work` in one group-committed transaction; returns after the commit."""
        answer = await self._database.write(lambda unit: work(self.within(unit)))
        # Crash here: everything is durable and the caller has no answer; a retry with its
        # Idempotency-Key gets the stored one.
        crash_point("referral.after-commit")
        return answer

    async def read(self, work: Callable[[ReferralView], T]) -> T:
        """Run `work` on one snapshot; it waits for no writer."""
        return await self._database.read(
            lambda connection: work(ReferralView(connection, self._deps))
        )

    def within(self, unit: Unit) -> ReferralTx:
        """Open the ports inside a transaction that somebody else commits."""
        return ReferralTx(unit, self._deps)


async def build(
    settings: Settings, *, bus: Bus, clock: Clock, keyring: Keyring, http: httpx2.AsyncClient
) -> Service:
    """Build the referral service, not yet started."""
    frame = Frame("referral", Host(settings, bus, clock, keyring, http), TABLES)
    repositories = RepositoryDeps(
        subject_keys=SubjectKeys(keyring, SUBJECT_KEY, clock),
        index_key=keyring.secret("blind-index"),
        reference_secret=keyring.secret("case-reference"),
        outbox=frame.outbox,
    )
    deps = TransactionDeps(repositories, frame.trail, frame.idempotency)
    store = ReferralStore(frame.database, deps)
    context = Context(clock, repositories.reference_secret)
    OutcomeConsumer(store.within).register(frame.inbox)
    frame.subscribe(
        Subscription("referral.sharing", (topics.SHARING,), senders=lambda _topic: ("svc:sharing",))
    )
    alarms = DeskAlarms(store, context, frame.idempotency)

    async def on_refusal(refusal: Refusal) -> None:
        await frame.record_refusal(refusal)
        await alarms.raise_for(refusal)

    api = Api(
        "referral",
        "Referral service",
        "Send referrals of danger to a person, and hear what became of them.",
        ROUTERS,
        tags=_TAGS,
    )
    app = create_app(
        api,
        replace(frame.runtime, on_refusal=on_refusal),
        provides=_provided(frame, store, context),
        answers=PROBLEMS,
    )
    references = SqlReferences(frame.database, repositories.subject_keys, repositories.index_key)
    older = OlderOutcomes(frame.database, repositories.reference_secret)
    lapses = Lapses(store, _vetoes(frame, context))
    parts = (frame, ReferenceIndex(references), older, lapses)
    return Service("referral", app, parts=parts, pausable=[frame])


def _provided(frame: Frame, store: ReferralStore, context: Context) -> dict[type, object]:
    """Give what routes ask for by type."""
    agencies = AgencyDirectory(frozenset(frame.bootstrap.agencies))
    return {
        AgencyDirectory: agencies,
        AreaRules: AreaRules(rule_book(), frame.bootstrap.area.id),
        AuditTrail: frame.trail,
        CaseStore: store,
        Context: context,
        Cursors: frame.cursors,
        Idempotency: frame.idempotency,
        IntakeStore: store,
        SentStore: store,
        Settings: frame.settings,
        VetoContext: _vetoes(frame, context),
        VetoStore: store,
    }


def _vetoes(frame: Frame, context: Context) -> VetoContext:
    agencies = AgencyDirectory(frozenset(frame.bootstrap.agencies))
    return VetoContext(context, agencies, veto_rules())


def rule_book() -> RuleBook:
    """Read the dated rules and instruments shipped with this service."""
    return read_rule_book(_texts("risk"))


def veto_rules() -> tuple[VetoRules, ...]:
    """Read the dated reasons and clocks of vetoes."""
    return read_rules(_texts("vetoes"))


def _texts(folder: str) -> Iterator[str]:
    for entry in (files("referral") / folder / "rules").iterdir():
        if entry.name.endswith(".toml"):
            yield entry.read_text("utf-8")
