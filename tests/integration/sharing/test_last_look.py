"""The last look before anything is sealed: a first release, a release on a promise, its proof, and a second envelope for a new key."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from common.events.case import SubjectErased
from common.problems import Problem
from sharing.ports import CaseState
from tests.integration.sharing.test_emergency import invoke, person
from tests.support.sharing_bed import Bed
from tests.support.snapshots import CASE, VICTIM, marking, snapshot, urgent

IDVA, CARE = "northmoor-idva", "northmoor-social-care"

SPOILS: list[Any] = [
    pytest.param(lambda bed: setattr(bed.checks, "down", True), id="no-answer"),
    pytest.param(lambda bed: setattr(bed.checks, "version", 2), id="newer-version"),
    pytest.param(lambda bed: setattr(bed.checks, "vetoes", (marking("must_not_disclose"),)), id="veto"),
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


@pytest.mark.parametrize("spoil", SPOILS)
async def test_a_new_key_gets_nothing_while_there_is_a_reason_against_it(bed: Bed, spoil: Callable[[Bed], object]) -> None:
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


@pytest.mark.parametrize("spoil", SPOILS)
async def test_the_proof_of_a_promise_waits_while_there_is_a_reason_against_it(bed: Bed, spoil: Callable[[Bed], object]) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    await bed.receipt(waiting.record_id)
    spoil(bed)
    await bed.releases.tend()
    assert (await envelopes(bed, IDVA, waiting.id), (await bed.state(waiting.id)).standing) == (1, "promised")
    heal(bed)
    await bed.releases.tend()
    assert (await envelopes(bed, IDVA, waiting.id), (await bed.state(waiting.id)).standing) == (2, "proven")


@pytest.mark.parametrize("batch", [64, 1])
async def test_an_erased_case_does_not_keep_the_others_from_their_new_key(bed: Bed, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """Nor does it fill the batch, round after round, so that nobody else's turn comes."""
    made = {}
    for number in range(3):
        case = UUID(int=CASE.int + 0x100 * number)
        made[number] = (await bed.take(snapshot(case_id=case)))[IDVA]
        await bed.receipt(made[number].record_id)
    await bed.releases.step()
    gone = SubjectErased(subject_id=VICTIM, case_ids=(CASE,), erased_at=bed.clock.now())
    await bed.database.write(lambda unit: bed.consumer.erased(unit, cast(Any, SimpleNamespace(source="svc:referral")), gone))
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


async def test_an_emergency_needs_a_fresh_answer_too(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    slow_answer(bed, monkeypatch)
    with pytest.raises(Problem, match="unavailable"):
        await invoke(bed, waiting, person(bed))
    assert await bed.packages(IDVA) == []
