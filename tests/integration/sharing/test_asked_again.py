"""The operator has what stays blocked decided on again: once, by the ordinary road, and with
nothing sent twice."""

from uuid import UUID

import pytest

from hubformats.audit_record import Actor
from hubformats.package_proof import verify_package
from sharing.cases.model import CaseNotFound
from sharing.decisions.use_cases import asked_again
from sharing.decisions.use_cases.asked_again import Outcome, Wanted
from sharing.decisions.use_cases.deciding import forget_subject
from sharing.disclosures.model.disclosure import State
from tests.support.sharing_harness import SharingHarness
from tests.support.snapshots import CASE, VICTIM, marking, snapshot

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)
ACTOR = Actor(subject="issuer|operator", agency="northmoor", role="system")
REJECTED = Wanted(reason="audit-rejected")


async def ask(harness: SharingHarness, wanted: Wanted = REJECTED, case_id: UUID = CASE) -> Outcome:
    """What the route does for one case."""
    harness.clock.advance(1)
    return await harness.store.write(
        lambda tx: asked_again.decide_blocked(tx, harness.deciding, ACTOR, case_id, wanted)
    )


async def ask_case(harness: SharingHarness, agency: str, reference: str) -> Outcome:
    """The same for a whole case."""
    harness.clock.advance(1)
    return await harness.store.write(
        lambda tx: asked_again.decide_case(tx, harness.deciding, ACTOR, agency, reference)
    )


async def leave(harness: SharingHarness) -> None:
    """Every receipt that is waited for comes, and what is due is tried."""
    for each in await harness.of_case(CASE):
        if each.state == "awaiting_receipt":
            await harness.receipt(each.record_id)
    await harness.releases.step()


async def sent(harness: SharingHarness) -> list[int]:
    """Packages to each of the three."""
    return [len(await harness.packages(agency)) for agency in (IDVA, CARE, SUPPORT)]


async def test_what_the_log_refused_leaves_after_a_new_decision_and_nobody_else_is_told_twice(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.reject(made[IDVA].record_id)
    await leave(harness)
    assert await sent(harness) == [0, 1, 1]
    assert await harness.store.read(
        lambda view: view.disclosures.blocked((), "audit-rejected", 10)
    ) == (CASE,)
    assert await ask(harness) == Outcome(decided=True, prepared=1)
    assert await sent(harness) == [0, 1, 1], "not before its receipt"
    await leave(harness)
    assert await sent(harness) == [1, 1, 1]
    (package,) = await harness.packages(IDVA)
    assert verify_package(package, me=IDVA, log=harness.log.verifier).standing == "proven"
    assert package.delivery_id != made[IDVA].id
    assert (
        await harness.store.read(lambda view: view.disclosures.blocked((), "audit-rejected", 10))
        == ()
    )
    acts = [
        (e["why"], e["n"], "dec" in e)
        for e in await harness.records()
        if e["op"] == "config_change"
    ]
    assert acts == [("audit-rejected", 1, True)]


async def test_asked_twice_the_second_finds_nothing_blocked(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    await harness.reject(made[IDVA].record_id)
    await ask(harness)
    before = len(await harness.records())
    assert await ask(harness) == Outcome()
    assert await ask(harness, Wanted(deliveries=frozenset({made[IDVA].id}))) == Outcome()
    assert len(await harness.records()) == before


async def test_a_veto_that_stands_blocks_again_and_one_that_was_lifted_does_not(
    harness: SharingHarness,
) -> None:
    await harness.take(snapshot())
    harness.checks.vetoes = (marking("must_not_disclose", agency=IDVA),)
    await leave(harness)
    assert await sent(harness) == [0, 0, 0]
    vetoed = Wanted(reason="veto")
    assert (await ask(harness, vetoed)).prepared == 3
    await leave(harness)
    assert await sent(harness) == [0, 0, 0]
    assert [each.state for each in await harness.of_case(CASE)].count(State.BLOCKED) == 3
    harness.checks.vetoes = ()
    assert (await ask(harness, vetoed)).prepared == 3
    await leave(harness)
    assert await sent(harness) == [1, 1, 1]


async def test_only_the_deliveries_named(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    for agency in (IDVA, CARE):
        await harness.reject(made[agency].record_id)
    assert (await ask(harness, Wanted(deliveries=frozenset({made[CARE].id})))).prepared == 1
    states = {(each.recipient, each.state) for each in await harness.of_case(CASE)}
    assert (IDVA, "blocked") in states
    assert (CARE, "awaiting_receipt") in states


async def test_a_whole_case_by_its_referrers_name_for_it_and_by_nobody_elses(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.reject(made[IDVA].record_id)
    await leave(harness)
    with pytest.raises(CaseNotFound):
        await ask_case(harness, IDVA, harness.deciding.reference(IDVA, CASE))
    assert await ask_case(harness, POLICE, harness.deciding.reference(POLICE, CASE)) == Outcome(
        decided=True, prepared=1
    )
    await leave(harness)
    assert await sent(harness) == [1, 1, 1]


async def test_an_erased_case_and_one_that_nobody_knows_are_left_alone(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.reject(made[IDVA].record_id)
    await harness.store.write(lambda tx: forget_subject(tx, harness.deciding, VICTIM, (CASE,)))
    before = len(await harness.records())
    assert await ask(harness, Wanted(deliveries=frozenset({made[IDVA].id}))) == Outcome()
    assert await ask(harness, case_id=UUID(int=7)) == Outcome()
    assert len(await harness.records()) == before
