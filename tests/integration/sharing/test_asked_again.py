"""The operator has what stays blocked decided on again: once, by the ordinary road, and with
nothing sent twice."""

from typing import Any
from uuid import UUID

import pytest

from common.access import Granted, Principal, grant
from common.problems import Problem
from hubformats.audit_record import Actor
from hubformats.package_proof import verify_package
from sharing.usecases import asked_again, deciding
from sharing.usecases.asked_again import Outcome, Wanted
from tests.support.sharing_bed import Bed
from tests.support.snapshots import CASE, VICTIM, marking, snapshot

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)
ACTOR = Actor(subject="issuer|operator", agency="northmoor", role="system")
REJECTED = Wanted(reason="audit-rejected")


def operator(bed: Bed, scope: str = "agency.manage") -> Granted:
    """The operator's tool, unless another scope is named."""
    who = Principal(
        "issuer", "operator", "operator", "system", "northmoor", scopes=frozenset({scope})
    )
    return grant(who, scope=scope, operation="disclosure", at=bed.clock.now())


async def ask(bed: Bed, wanted: Wanted = REJECTED, case_id: UUID = CASE, **more: Any) -> Outcome:
    """What the route does for one case."""
    bed.clock.advance(1)
    granted = operator(bed, **more)
    return await bed.store.write(
        lambda tx: asked_again.decide_blocked(tx, bed.desk, granted, ACTOR, case_id, wanted)
    )


async def ask_case(bed: Bed, agency: str, reference: str) -> Outcome:
    """The same for a whole case."""
    bed.clock.advance(1)
    return await bed.store.write(
        lambda tx: asked_again.decide_case(tx, bed.desk, operator(bed), ACTOR, agency, reference)
    )


async def leave(bed: Bed) -> None:
    """Every receipt that is waited for comes, and what is due is tried."""
    for each in await bed.of_case(CASE):
        if each.state == "awaiting_receipt":
            await bed.receipt(each.record_id)
    await bed.releases.step()


async def sent(bed: Bed) -> list[int]:
    """Packages to each of the three."""
    return [len(await bed.packages(agency)) for agency in (IDVA, CARE, SUPPORT)]


async def test_what_the_log_refused_leaves_after_a_new_decision_and_nobody_else_is_told_twice(
    bed: Bed,
) -> None:
    made = await bed.take(snapshot())
    await bed.reject(made[IDVA].record_id)
    await leave(bed)
    assert await sent(bed) == [0, 1, 1]
    assert await bed.store.read(lambda view: view.blocked((), "audit-rejected", 10)) == (CASE,)
    assert await ask(bed) == Outcome(decided=True, prepared=1)
    assert await sent(bed) == [0, 1, 1], "not before its receipt"
    await leave(bed)
    assert await sent(bed) == [1, 1, 1]
    (package,) = await bed.packages(IDVA)
    assert verify_package(package, me=IDVA, log=bed.log.verifier).standing == "proven"
    assert package.delivery_id != made[IDVA].id
    assert await bed.store.read(lambda view: view.blocked((), "audit-rejected", 10)) == ()
    acts = [
        (e["why"], e["n"], "dec" in e) for e in await bed.records() if e["op"] == "config_change"
    ]
    assert acts == [("audit-rejected", 1, True)]


async def test_asked_twice_the_second_finds_nothing_blocked(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.reject(made[IDVA].record_id)
    await ask(bed)
    before = len(await bed.records())
    assert await ask(bed) == Outcome()
    assert await ask(bed, Wanted(deliveries=frozenset({made[IDVA].id}))) == Outcome()
    assert len(await bed.records()) == before


async def test_a_veto_that_stands_blocks_again_and_one_that_was_lifted_does_not(bed: Bed) -> None:
    await bed.take(snapshot())
    bed.checks.vetoes = (marking("must_not_disclose", agency=IDVA),)
    await leave(bed)
    assert await sent(bed) == [0, 0, 0]
    vetoed = Wanted(reason="veto")
    assert (await ask(bed, vetoed)).prepared == 3
    await leave(bed)
    assert await sent(bed) == [0, 0, 0]
    assert [each.state for each in await bed.of_case(CASE)].count("blocked") == 3
    bed.checks.vetoes = ()
    assert (await ask(bed, vetoed)).prepared == 3
    await leave(bed)
    assert await sent(bed) == [1, 1, 1]


async def test_only_the_deliveries_named(bed: Bed) -> None:
    made = await bed.take(snapshot())
    for agency in (IDVA, CARE):
        await bed.reject(made[agency].record_id)
    assert (await ask(bed, Wanted(deliveries=frozenset({made[CARE].id})))).prepared == 1
    states = {(each.recipient, each.state) for each in await bed.of_case(CASE)}
    assert (IDVA, "blocked") in states
    assert (CARE, "awaiting_receipt") in states


async def test_a_whole_case_by_its_referrers_name_for_it_and_by_nobody_elses(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.reject(made[IDVA].record_id)
    await leave(bed)
    with pytest.raises(Problem, match="not-found"):
        await ask_case(bed, IDVA, bed.desk.reference(IDVA, CASE))
    assert await ask_case(bed, POLICE, bed.desk.reference(POLICE, CASE)) == Outcome(
        decided=True, prepared=1
    )
    await leave(bed)
    assert await sent(bed) == [1, 1, 1]


async def test_an_erased_case_and_one_that_nobody_knows_are_left_alone(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.reject(made[IDVA].record_id)
    await bed.store.write(lambda tx: deciding.forget_subject(tx, bed.desk, VICTIM, (CASE,)))
    before = len(await bed.records())
    assert await ask(bed, Wanted(deliveries=frozenset({made[IDVA].id}))) == Outcome()
    assert await ask(bed, case_id=UUID(int=7)) == Outcome()
    assert len(await bed.records()) == before


async def test_only_the_operator(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.reject(made[IDVA].record_id)
    with pytest.raises(Problem, match="forbidden"):
        await ask(bed, scope="sharing.request")
    assert (await bed.state(made[IDVA].id)).state == "blocked"
