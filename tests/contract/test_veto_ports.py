"""Liftings and bars keep the same promises in memory, on SQLite and on PostgreSQL."""

import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from common.attempts import Attempt
from common.events.case import Marking
from common.outbox.tables import OUTBOX
from common.topics import CASE
from hubformats.case_reference import case_reference
from hubformats.ids import uuid7
from referral.cases.model.authority import NotAllowed, Relation
from referral.cases.model.outcome import Outcome, OutcomeState
from referral.cases.ports import Cases
from referral.cases.repository.cases import SqlCases
from referral.cases.repository.outcomes import OlderOutcomes
from referral.intake import use_cases
from referral.intake.use_cases import Intake
from referral.sent.model import Wanted
from referral.tables import OutcomeRow, table_of
from referral.vetoes.model import (
    Grounds,
    Lifting,
    LiftingOver,
    LiftState,
    LiftStep,
    Party,
    VetoKind,
)
from referral.vetoes.ports import Liftings, SecondLooks, VetoStore, VetoTx
from referral.vetoes.repository import BusSecondLooks, SqlLiftings
from referral.wiring import ReferralStore, ReferralTx
from tests.contract.test_referral_ports import erase
from tests.support.port_suites import Held
from tests.support.referral_fakes import (
    CONTEXT,
    HOUSING,
    POLICE,
    RULES,
    SHARING_CHECKS,
    FakeCases,
    FakeStore,
    FakeTx,
    granted,
    person,
)
from tests.support.referral_forms import full
from tests.support.referral_held import Held as ReferralHeld
from tests.support.referral_lifting_fakes import FakeLiftings
from tests.support.referral_look_fakes import FakeSecondLooks
from tests.support.referral_ports import READ, store

__all__ = ["store"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

PORTS: Final = (
    Held(Cases, (SqlCases,), FakeCases),
    Held(Liftings, (SqlLiftings,), FakeLiftings),
    Held(SecondLooks, (BusSecondLooks,), FakeSecondLooks),
    Held(VetoTx, (ReferralTx,), FakeTx),
    Held(VetoStore, (ReferralStore,), FakeStore),
)
AT = datetime(2026, 11, 21, 2, tzinfo=UTC)
OFFICER = person("owen", "northmoor", "privacy_officer", "case.read")
JESS = Party("issuer|jess", POLICE, "marac_coordinator")


async def sent(store: ReferralStore, agency: str = POLICE) -> Intake:
    """A referral taken in under a reference of its own."""
    form = {**full(), "externalReference": f"T-{secrets.token_hex(6)}"}
    read, attempt = READ.validate_python(form), Attempt(secrets.token_bytes(32), b"r")
    return await store.write(
        lambda tx: use_cases.submit_referral(tx, granted(agency), read, attempt, CONTEXT, RULES)
    )


def lifting(case_id: UUID, **changes: Any) -> Lifting:
    """A request that waits."""
    asker = Party("issuer|tom", POLICE, "police_officer")
    made = Lifting(
        id=uuid7(),
        case_id=case_id,
        veto_id=uuid7(),
        kind=VetoKind.CONFLICT,
        asked_by=asker,
        grounds=Grounds("no_longer_so", "Her words, sealed."),
        asked_at=AT,
        lapses_at=AT + timedelta(hours=72),
    )
    return replace(made, **changes)


async def added(store: ReferralStore, one: Lifting, agency: str = POLICE) -> None:
    """Keep it, as the case's sender."""

    def add(tx: Any) -> None:
        tx.liftings.add(tx.cases.authorised(granted(agency), one.case_id), one)

    await store.write(add)


async def kept(store: ReferralStore, one: Lifting, who: Any = None) -> Lifting | None:
    """What opens of it for the caller's relation to its case."""

    def read(tx: Any) -> Lifting | None:
        proof = tx.cases.authorised(who or granted(), one.case_id)
        return cast("Lifting | None", tx.liftings.get(proof, one.id))

    return await store.write(read)


async def test_a_lifting_opens_as_it_was_stored_for_its_case_alone(store: ReferralStore) -> None:
    one = lifting((await sent(store)).case.outline.case_id)
    another = (await sent(store)).case.outline.case_id
    await added(store, one)
    assert await kept(store, one) == await kept(store, one, OFFICER) == one
    assert await store.write(lambda tx: tx.liftings.case_of(one.id)) == one.case_id
    assert await store.write(lambda tx: tx.liftings.case_of(uuid7())) is None

    def by_another(tx: Any) -> None:
        proof = tx.cases.authorised(granted(), another)
        assert tx.liftings.get(proof, one.id) is None
        assert tx.liftings.of_case(proof) == ()
        with pytest.raises(NotAllowed):
            tx.liftings.add(proof, one)
        with pytest.raises(NotAllowed):
            tx.liftings.replace(proof, one, one)
        with pytest.raises(NotAllowed):
            tx.liftings.add(tx.cases.authorised(SHARING_CHECKS, one.case_id), one)

    await store.write(by_another)


async def test_a_lifting_is_settled_by_one_of_two(store: ReferralStore) -> None:
    one = lifting((await sent(store)).case.outline.case_id, kind=VetoKind.MUST_NOT_DISCLOSE)
    await added(store, one)
    settled = one.settle(LiftStep.CONFIRM, JESS, AT)

    def settle(tx: Any) -> None:
        tx.liftings.replace(tx.cases.authorised(granted(), one.case_id), one, settled)

    await store.write(settle)
    assert await kept(store, one) == settled
    with pytest.raises(LiftingOver):
        await store.write(settle)


async def test_what_waits_is_listed_for_its_agency_and_the_officer(store: ReferralStore) -> None:
    agency = f"a-{secrets.token_hex(4)}"
    case_id = (await sent(store, agency)).case.outline.case_id
    asker = Party("issuer|x", agency, "system")
    first, second, lapsed = (lifting(case_id, asked_by=asker) for _ in "abc")
    lapsed = replace(lapsed, lapses_at=AT)
    for one in (first, second, lapsed):
        await added(store, one, agency)

    async def waiting(who: Any, limit: int = 500) -> list[UUID]:
        found = await store.write(lambda tx: tx.liftings.waiting(who, AT, limit))
        return [each for each in found if each in {first.id, second.id, lapsed.id}]

    assert await waiting(granted(agency)) == [first.id, second.id]
    assert await waiting(granted(agency), 1) == [first.id]
    assert await waiting(OFFICER) == [first.id, second.id]
    assert await waiting(granted(HOUSING)) == []


async def test_what_nobody_settled_in_time_lapses_once(store: ReferralStore) -> None:
    agency = f"e-{secrets.token_hex(4)}"
    case_id = (await sent(store, agency)).case.outline.case_id
    asker, early = Party("issuer|x", agency, "system"), AT - timedelta(days=900)
    first, second, later = (lifting(case_id, asked_by=asker) for _ in "abc")
    first, second = (replace(one, lapses_at=early) for one in (first, second))
    for one in (first, second, later):
        await added(store, one, agency)

    async def lapse(limit: int) -> list[UUID]:
        return [one.id for one in await store.write(lambda tx: tx.liftings.lapse(early, limit))]

    assert [await lapse(1), await lapse(5), await lapse(5)] == [[first.id], [second.id], []]
    gone = await kept(store, first, granted(agency))
    assert gone == replace(first, state=LiftState.LAPSED, settled_at=early)

    async def listed(who: Any, since: datetime, limit: int = 9) -> list[UUID]:
        found = await store.write(lambda tx: tx.liftings.lapsed(who, since, limit))
        return list(found)

    since = early - timedelta(seconds=1)
    assert await listed(granted(agency), since) == [second.id, first.id]
    assert await listed(granted(agency), since, 1) == [second.id]
    assert await listed(granted(agency), early) == []
    assert await listed(granted(HOUSING), since) == await listed(OFFICER, since) == []


async def test_a_barred_agency_finds_its_own_case_nowhere_until_the_bar_is_lifted(
    store: ReferralStore,
) -> None:
    agency = f"b-{secrets.token_hex(4)}"
    made = await sent(store, agency)
    case_id, who = made.case.outline.case_id, granted(agency)
    await added(store, lifting(case_id, asked_by=Party("issuer|x", agency, "system")), agency)
    bar = Marking(marking_id=uuid7(), kind="employee_subject", agency=agency)
    barred = made.case.mark(bar, AT)

    def change(old: Any, new: Any, by: Any) -> Any:
        return lambda tx: tx.cases.replace(tx.cases.authorised(by, case_id), old, new)

    def found(tx: Any) -> list[bool]:
        return [
            tx.cases.authorised(who, case_id) is not None,
            tx.referrals.own(who, made.referral.referral_id) is not None,
            bool(tx.sent.page(who, Wanted(10)).items),
            bool(tx.liftings.waiting(who, AT, 10)),
        ]

    assert await store.write(found) == [True] * 4
    await store.write(change(made.case, barred, who))
    assert await store.write(found) == [False] * 4
    assert await store.write(lambda tx: tx.cases.authorised(OFFICER, case_id)) is not None

    def by_referral(someone: Any, referral_id: UUID = made.referral.referral_id) -> Any:
        return lambda tx: tx.cases.of_referral(someone, referral_id)

    theirs = person("ida", agency, "privacy_officer", "case.read")
    assert (await store.write(by_referral(OFFICER))).case_id == case_id
    for someone in (theirs, who, granted(), SHARING_CHECKS):
        assert await store.write(by_referral(someone)) is None
    assert await store.write(by_referral(OFFICER, uuid7())) is None
    assert await store.write(lambda tx: tx.cases.authorised(theirs, case_id)) is None
    await store.write(change(barred, barred.lift(bar.marking_id, AT), OFFICER))
    assert await store.write(found) == [True] * 4


async def test_nothing_of_a_lifting_opens_once_its_case_is_erased(store: ReferralStore) -> None:
    one = lifting((await sent(store)).case.outline.case_id)
    await added(store, one)
    await erase(store, one.case_id)
    assert await kept(store, one) is None
    assert one.state is LiftState.ASKED


async def told(store: ReferralStore) -> int:
    """How much sharing was told about second looks, and about nothing else, or is to be told."""
    held = getattr(store, "held", None)
    if isinstance(held, ReferralHeld):
        return len(held.looks)
    query = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.topic == CASE)
    database = store._database
    return await database.read(lambda connection: int(connection.execute(query).scalar_one()))


async def test_a_second_look_is_filed_with_the_transaction_or_not_at_all(
    store: ReferralStore,
) -> None:
    one = lifting((await sent(store)).case.outline.case_id)
    before = await told(store)

    def fails(tx: Any) -> None:
        tx.second_looks.file(one, "veto_lifting_asked", "no_longer_so", AT)
        raise LookupError

    with pytest.raises(LookupError):
        await store.write(fails)
    assert await told(store) == before
    await store.write(
        lambda tx: tx.second_looks.file(one, "veto_lifting_asked", "no_longer_so", AT)
    )
    assert await told(store) == before + 1


def secret_of(store: ReferralStore) -> bytes:
    """Under which references are made."""
    deps = getattr(store, "_deps", None)
    return CONTEXT.reference_secret if deps is None else deps.repositories.reference_secret


async def test_who_was_told_finds_the_case_by_its_own_reference(store: ReferralStore) -> None:
    agency = f"c-{secrets.token_hex(4)}"
    made = await sent(store)
    case_id, who = made.case.outline.case_id, granted(agency)
    reference = case_reference(secret_of(store), agency, case_id)

    async def found(someone: Any = who, name: str = reference) -> Any:
        return await store.write(lambda tx: tx.cases.received(someone, name))

    async def for_officers(someone: Any = OFFICER, of: str = agency, name: str = reference) -> Any:
        return await store.write(lambda tx: tx.cases.of_recipient(someone, of, name))

    assert (await found(), await for_officers()) == (None, None), "nobody was told"
    withheld = Outcome(agency, 1, OutcomeState.WITHHELD, AT, AT)
    await store.write(lambda tx: tx.outcomes.add(case_id, withheld))
    assert await found() is None
    released = replace(withheld, state=OutcomeState.RELEASED)
    await store.write(lambda tx: tx.outcomes.replace(case_id, withheld, released))
    proof, theirs = await found(), await for_officers()
    assert (proof.case_id, proof.relation, proof.agency) == (case_id, Relation.RECIPIENT, agency)
    assert (theirs.case_id, theirs.relation) == (case_id, Relation.PRIVACY_OFFICER)
    assert await found(granted(POLICE)) is None
    assert await found(name="NM-0000-0000-0000") is None
    assert await for_officers(who) is None
    assert await for_officers(of=POLICE) is None
    with pytest.raises(NotAllowed):
        await store.write(lambda tx: tx.cases.outline(proof))
    bar = Marking(marking_id=uuid7(), kind="conflict", agency=agency)
    barred = made.case.mark(bar, AT, agency)
    await store.write(lambda tx: tx.cases.replace(proof, made.case, barred))
    assert await found() is None
    theirs = await for_officers()
    outline = await store.write(lambda tx: tx.cases.outline(theirs))
    assert outline.setters == {bar.marking_id: agency}
    assert (await for_officers()).case_id == case_id


@pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)
async def test_cases_told_of_before_are_named_at_start(store: ReferralStore) -> None:
    """Only rows are older, so the fake has none."""
    database: Any = getattr(store, "_database")  # noqa: B009 - the store hides it from use cases
    agency = f"d-{secrets.token_hex(4)}"
    case_id = (await sent(store)).case.outline.case_id
    told = Outcome(agency, 1, OutcomeState.RELEASED, AT, AT)
    await store.write(lambda tx: tx.outcomes.add(case_id, told))
    before = update(table_of(OutcomeRow)).values(reference="")
    await database.write(lambda unit: unit.connection.execute(before))
    name = case_reference(secret_of(store), agency, case_id)
    assert await store.write(lambda tx: tx.cases.received(granted(agency), name)) is None
    await OlderOutcomes(database, secret_of(store)).start()
    assert await store.write(lambda tx: tx.cases.received(granted(agency), name)) is not None
