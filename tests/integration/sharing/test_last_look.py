"""The last look before anything is sealed: a first release, a release on a promise, its proof, and
a second envelope for a new key."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from common.events.case import Marking, SubjectErased
from common.problems import Problem
from sharing.domain.disclosure import Disclosure
from sharing.ports import CaseState
from tests.integration.sharing.test_emergency import invoke, person
from tests.support.sharing_bed import Bed
from tests.support.snapshots import CASE, VICTIM, marking, snapshot, urgent

IDVA, CARE = "northmoor-idva", "northmoor-social-care"

SPOILS: list[Any] = [
    pytest.param(lambda bed: setattr(bed.checks, "down", True), id="no-answer"),
    pytest.param(lambda bed: setattr(bed.checks, "version", 2), id="newer-version"),
    pytest.param(
        lambda bed: setattr(bed.checks, "vetoes", (marking("must_not_disclose"),)), id="veto"
    ),
    pytest.param(lambda bed: bed.parties.suspended.add(IDVA), id="suspended"),
    pytest.param(lambda bed: setattr(bed.parties, "is_fresh", False), id="stale-directory"),
]


def heal(bed: Bed) -> None:
    """Undo every spoil."""
    bed.checks.down, bed.checks.version, bed.checks.vetoes = False, None, ()
    bed.parties.suspended.clear()
    bed.parties.is_fresh = True


def new_key(bed: Bed, agency: str) -> None:
    """Another current opening key for this agency."""
    old, other = bed.parties.opening[agency], bed.parties.opening["northmoor-housing"]
    bed.parties.opening[agency] = type(old)(f"new-{old.kid}", agency, other.private)


async def envelopes(bed: Bed, agency: str, delivery: UUID) -> int:
    return len(await bed.store.write(lambda tx: tx.deliveries(agency, delivery)))


LEFT = [each for each in SPOILS if each.id != "newer-version"]
"""Reasons against sealing again what has left: that the case moved on is none."""


@pytest.mark.parametrize("spoil", LEFT)
async def test_a_new_key_gets_nothing_while_there_is_a_reason_against_it(
    bed: Bed, spoil: Callable[[Bed], object]
) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    await bed.releases.step()
    new_key(bed, IDVA)
    spoil(bed)
    await bed.releases.tend()
    assert await envelopes(bed, IDVA, made[IDVA].id) == 1
    heal(bed)
    await bed.releases.tend()
    assert await envelopes(bed, IDVA, made[IDVA].id) == 2


@pytest.mark.parametrize("decided", [True, False], ids=["decided-on", "not-yet-decided-on"])
async def test_a_new_key_opens_what_was_not_saved_though_the_case_moved_on(
    bed: Bed, *, decided: bool
) -> None:
    """Also when the newer version tells this recipient nothing new, so that nothing else would ever
    come.
    """
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    await bed.releases.step()
    bed.checks.version = 2
    if decided:
        await bed.take(snapshot(version=2))
    new_key(bed, IDVA)
    await bed.releases.tend()
    assert await envelopes(bed, IDVA, made[IDVA].id) == 2
    bed.checks.version, bed.checks.vetoes = 3, (marking("must_not_disclose", agency=IDVA),)
    bed.parties.opening[IDVA] = bed.parties.opening[CARE].__class__(
        "newest", IDVA, bed.parties.opening[CARE].private
    )
    await bed.releases.tend()
    assert await envelopes(bed, IDVA, made[IDVA].id) == 2, "a veto on it since holds"


async def test_what_left_on_a_promise_is_sealed_again_with_the_same_promise_and_then_proven_once(
    bed: Bed,
) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    first = (await bed.packages(IDVA))[0]
    new_key(bed, IDVA)
    bed.clock.advance(60)
    await bed.releases.tend()
    await bed.releases.tend()
    assert await standing(bed, waiting) == (2, "promised")
    shown = await bed.store.write(lambda tx: tx.deliveries(IDVA, waiting.id))
    again = bed.opened(IDVA, shown[1].delivery.envelope).data
    assert (again["promise"], again["content"]) == (first.data()["promise"], first.content)
    assert [r["ed"] for r in await bed.records() if r["op"] == "resealed"] == [
        shown[1].delivery.digest
    ]
    newest = bed.parties.opening[CARE]
    bed.parties.opening[IDVA] = type(newest)("newest", IDVA, newest.private)
    await bed.receipt(waiting.record_id)
    await bed.releases.tend()
    await bed.releases.tend()
    assert await standing(bed, waiting) == (3, "proven"), (
        "the proof is sealed to the newest key, and needs no second envelope"
    )


async def test_a_broken_promise_is_not_promised_again(bed: Bed) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    await bed.reject(waiting.record_id)
    new_key(bed, IDVA)
    await bed.releases.tend()
    assert await envelopes(bed, IDVA, waiting.id) == 1


@pytest.mark.parametrize("spoil", LEFT)
async def test_the_proof_of_a_promise_waits_while_there_is_a_reason_against_it(
    bed: Bed, spoil: Callable[[Bed], object]
) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    await bed.receipt(waiting.record_id)
    spoil(bed)
    await bed.releases.tend()
    assert (await envelopes(bed, IDVA, waiting.id), (await bed.state(waiting.id)).standing) == (
        1,
        "promised",
    )
    heal(bed)
    await bed.releases.tend()
    assert (await envelopes(bed, IDVA, waiting.id), (await bed.state(waiting.id)).standing) == (
        2,
        "proven",
    )


async def moved_on(bed: Bed, *vetoes: Marking, **changes: Any) -> Disclosure:
    """Released on a promise at version 1; then version 2 was decided on, with these vetoes in
    force; then the receipt came.
    """
    before = marking("must_not_disclose", 9, agency=CARE)
    bed.checks.vetoes = (before,)
    waiting = (await bed.take(urgent(markings=(before,))))[IDVA]
    await invoke(bed, waiting, person(bed))
    bed.checks.version, bed.checks.vetoes = 2, (before, *vetoes)
    await bed.take(urgent(version=2, markings=bed.checks.vetoes, **changes))
    await bed.receipt(waiting.record_id)
    return waiting


async def standing(bed: Bed, waiting: Disclosure) -> tuple[int, str]:
    return await envelopes(bed, IDVA, waiting.id), (await bed.state(waiting.id)).standing


async def test_what_has_left_gets_its_proof_though_the_case_moved_on(bed: Bed) -> None:
    waiting = await moved_on(bed)
    await bed.releases.tend()
    assert await standing(bed, waiting) == (2, "proven")
    first, second = await bed.packages(IDVA)
    assert (first.delivery_id, first.content) == (second.delivery_id, second.content)


async def test_nor_does_it_wait_for_a_newer_version_to_be_decided_on(bed: Bed) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    await bed.receipt(waiting.record_id)
    bed.checks.version = 2
    await bed.releases.tend()
    assert await standing(bed, waiting) == (2, "proven")


async def test_a_veto_on_somebody_else_since_does_not_hold_the_proof_back(bed: Bed) -> None:
    waiting = await moved_on(bed, marking("must_not_disclose", 2, agency=CARE))
    await bed.releases.tend()
    assert await standing(bed, waiting) == (2, "proven")


@pytest.mark.parametrize("agency", [IDVA, "*"])
@pytest.mark.parametrize("decided", [True, False], ids=["decided-on", "not-yet-decided-on"])
async def test_a_veto_on_this_recipient_since_holds_the_proof_back(
    bed: Bed, agency: str, decided: bool
) -> None:
    """Also when the newest decision took it into account: what left was decided without it."""
    veto = marking("location_shield", 2, agency=agency)
    waiting = await moved_on(bed, *([veto] if decided else []))
    bed.checks.vetoes = (*bed.checks.vetoes, *([] if decided else [veto]))
    await bed.releases.tend()
    assert await standing(bed, waiting) == (1, "promised")
    await bed.take(urgent(version=3, markings=bed.checks.vetoes))
    bed.checks.version = 3
    await bed.releases.tend()
    assert await standing(bed, waiting) == (1, "promised"), "another version makes it no older"


@pytest.mark.parametrize("batch", [64, 1])
async def test_an_erased_case_does_not_keep_the_others_from_their_new_key(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Nor does it fill the batch, round after round, so that nobody else's turn comes."""
    made = {}
    for number in range(3):
        case = UUID(int=CASE.int + 0x100 * number)
        made[number] = (await bed.take(snapshot(case_id=case)))[IDVA]
        await bed.receipt(made[number].record_id)
    await bed.releases.step()
    gone = SubjectErased(subject_id=VICTIM, case_ids=(CASE,), erased_at=bed.clock.now())
    await bed.database.write(
        lambda unit: bed.consumer.erased(
            unit, cast(Any, SimpleNamespace(source="svc:referral")), gone
        )
    )
    new_key(bed, IDVA)
    monkeypatch.setattr("sharing.consumers.releases._BATCH", batch)
    await bed.releases.tend()
    assert [await envelopes(bed, IDVA, each.id) for each in made.values()] == [1, 2, 2]


def slow_answer(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Referral answers, and then this process stands still for three seconds."""
    ask = bed.checks.check

    async def slow(case_id: UUID, version: int, subjects: Sequence[UUID]) -> CaseState | None:
        answer = await ask(case_id, version, subjects)
        bed.clock.advance(3)
        return answer

    monkeypatch.setattr(bed.checks, "check", slow)


async def test_an_answer_that_grew_old_is_none(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    slow_answer(bed, monkeypatch)
    await bed.releases.step()
    assert ((await bed.state(made[IDVA].id)).reason, await bed.packages(IDVA)) == ("no-answer", [])


async def test_an_emergency_needs_a_fresh_answer_too(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    slow_answer(bed, monkeypatch)
    with pytest.raises(Problem, match="unavailable"):
        await invoke(bed, waiting, person(bed))
    assert await bed.packages(IDVA) == []
