"""The last look before anything is sealed: a first release, a release on a promise, its proof, and
a second envelope for a new key."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from common.events.case import Marking, SubjectErased
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.ports import CaseState
from sharing.disclosures.use_cases.emergency import VetoesUnknown
from tests.integration.sharing.test_emergency import invoke, person
from tests.support.sharing_harness import SharingHarness
from tests.support.snapshots import CASE, VICTIM, marking, snapshot, urgent

IDVA, CARE = "northmoor-idva", "northmoor-social-care"

SPOILS: list[Any] = [
    pytest.param(lambda harness: setattr(harness.checks, "down", True), id="no-answer"),
    pytest.param(lambda harness: setattr(harness.checks, "version", 2), id="newer-version"),
    pytest.param(
        lambda harness: setattr(harness.checks, "vetoes", (marking("must_not_disclose"),)),
        id="veto",
    ),
    pytest.param(lambda harness: harness.parties.suspended.add(IDVA), id="suspended"),
    pytest.param(lambda harness: setattr(harness.parties, "is_fresh", False), id="stale-directory"),
]


def heal(harness: SharingHarness) -> None:
    """Undo every spoil."""
    harness.checks.down, harness.checks.version, harness.checks.vetoes = False, None, ()
    harness.parties.suspended.clear()
    harness.parties.is_fresh = True


def new_key(harness: SharingHarness, agency: str) -> None:
    """Another current opening key for this agency."""
    old, other = harness.parties.opening[agency], harness.parties.opening["northmoor-housing"]
    harness.parties.opening[agency] = type(old)(f"new-{old.kid}", agency, other.private)


async def envelopes(harness: SharingHarness, agency: str, delivery: UUID) -> int:
    return len(await harness.envelopes(agency, delivery))


LEFT = [each for each in SPOILS if each.id != "newer-version"]
"""Reasons against sealing again what has left: that the case moved on is none."""


@pytest.mark.parametrize("spoil", LEFT)
async def test_a_new_key_gets_nothing_while_there_is_a_reason_against_it(
    harness: SharingHarness, spoil: Callable[[SharingHarness], object]
) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    await harness.releases.step()
    new_key(harness, IDVA)
    spoil(harness)
    await harness.releases.maintain()
    assert await envelopes(harness, IDVA, made[IDVA].id) == 1
    heal(harness)
    await harness.releases.maintain()
    assert await envelopes(harness, IDVA, made[IDVA].id) == 2


@pytest.mark.parametrize("decided", [True, False], ids=["decided-on", "not-yet-decided-on"])
async def test_a_new_key_opens_what_was_not_saved_though_the_case_moved_on(
    harness: SharingHarness, *, decided: bool
) -> None:
    """Also when the newer version tells this recipient nothing new, so that nothing else would ever
    come.
    """
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    await harness.releases.step()
    harness.checks.version = 2
    if decided:
        await harness.take(snapshot(version=2))
    new_key(harness, IDVA)
    await harness.releases.maintain()
    assert await envelopes(harness, IDVA, made[IDVA].id) == 2
    harness.checks.version, harness.checks.vetoes = 3, (marking("must_not_disclose", agency=IDVA),)
    harness.parties.opening[IDVA] = harness.parties.opening[CARE].__class__(
        "newest", IDVA, harness.parties.opening[CARE].private
    )
    await harness.releases.maintain()
    assert await envelopes(harness, IDVA, made[IDVA].id) == 2, "a veto on it since holds"


async def test_what_left_on_a_promise_is_sealed_again_with_the_same_promise_and_then_proven_once(
    harness: SharingHarness,
) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await invoke(harness, waiting, person(harness))
    first = (await harness.packages(IDVA))[0]
    new_key(harness, IDVA)
    harness.clock.advance(60)
    await harness.releases.maintain()
    await harness.releases.maintain()
    assert await standing(harness, waiting) == (2, "promised")
    shown = await harness.envelopes(IDVA, waiting.id)
    again = harness.opened(IDVA, shown[1].delivery.envelope).data
    assert (again["promise"], again["content"]) == (first.data()["promise"], first.content)
    assert [r["ed"] for r in await harness.records() if r["op"] == "resealed"] == [
        shown[1].delivery.digest
    ]
    newest = harness.parties.opening[CARE]
    harness.parties.opening[IDVA] = type(newest)("newest", IDVA, newest.private)
    await harness.receipt(waiting.record_id)
    await harness.releases.maintain()
    await harness.releases.maintain()
    assert await standing(harness, waiting) == (3, "proven"), (
        "the proof is sealed to the newest key, and needs no second envelope"
    )


async def test_a_broken_promise_is_not_promised_again(harness: SharingHarness) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await invoke(harness, waiting, person(harness))
    await harness.reject(waiting.record_id)
    new_key(harness, IDVA)
    await harness.releases.maintain()
    assert await envelopes(harness, IDVA, waiting.id) == 1


@pytest.mark.parametrize("spoil", LEFT)
async def test_the_proof_of_a_promise_waits_while_there_is_a_reason_against_it(
    harness: SharingHarness, spoil: Callable[[SharingHarness], object]
) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await invoke(harness, waiting, person(harness))
    await harness.receipt(waiting.record_id)
    spoil(harness)
    await harness.releases.maintain()
    assert (
        await envelopes(harness, IDVA, waiting.id),
        (await harness.state(waiting.id)).standing,
    ) == (
        1,
        "promised",
    )
    heal(harness)
    await harness.releases.maintain()
    assert (
        await envelopes(harness, IDVA, waiting.id),
        (await harness.state(waiting.id)).standing,
    ) == (
        2,
        "proven",
    )


async def moved_on(harness: SharingHarness, *vetoes: Marking, **changes: Any) -> Disclosure:
    """Released on a promise at version 1; then version 2 was decided on, with these vetoes in
    force; then the receipt came.
    """
    before = marking("must_not_disclose", 9, agency=CARE)
    harness.checks.vetoes = (before,)
    waiting = (await harness.take(urgent(markings=(before,))))[IDVA]
    await invoke(harness, waiting, person(harness))
    harness.checks.version, harness.checks.vetoes = 2, (before, *vetoes)
    await harness.take(urgent(version=2, markings=harness.checks.vetoes, **changes))
    await harness.receipt(waiting.record_id)
    return waiting


async def standing(harness: SharingHarness, waiting: Disclosure) -> tuple[int, str | None]:
    return await envelopes(harness, IDVA, waiting.id), (await harness.state(waiting.id)).standing


async def test_what_has_left_gets_its_proof_though_the_case_moved_on(
    harness: SharingHarness,
) -> None:
    waiting = await moved_on(harness)
    await harness.releases.maintain()
    assert await standing(harness, waiting) == (2, "proven")
    first, second = await harness.packages(IDVA)
    assert (first.delivery_id, first.content) == (second.delivery_id, second.content)


async def test_nor_does_it_wait_for_a_newer_version_to_be_decided_on(
    harness: SharingHarness,
) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await invoke(harness, waiting, person(harness))
    await harness.receipt(waiting.record_id)
    harness.checks.version = 2
    await harness.releases.maintain()
    assert await standing(harness, waiting) == (2, "proven")


async def test_a_veto_on_somebody_else_since_does_not_hold_the_proof_back(
    harness: SharingHarness,
) -> None:
    waiting = await moved_on(harness, marking("must_not_disclose", 2, agency=CARE))
    await harness.releases.maintain()
    assert await standing(harness, waiting) == (2, "proven")


@pytest.mark.parametrize("agency", [IDVA, "*"])
@pytest.mark.parametrize("decided", [True, False], ids=["decided-on", "not-yet-decided-on"])
async def test_a_veto_on_this_recipient_since_holds_the_proof_back(
    harness: SharingHarness, agency: str, decided: bool
) -> None:
    """Once a decision took it into account, what left without it is taken back, and not served."""
    veto = marking("location_shield", 2, agency=agency)
    waiting = await moved_on(harness, *([veto] if decided else []))
    harness.checks.vetoes = (*harness.checks.vetoes, *([] if decided else [veto]))
    await harness.releases.maintain()
    assert await standing(harness, waiting) == ((0, None) if decided else (1, "promised"))
    await harness.take(urgent(version=3, markings=harness.checks.vetoes))
    harness.checks.version = 3
    await harness.releases.maintain()
    assert await standing(harness, waiting) == (0, None), "another version makes it no older"


@pytest.mark.parametrize("batch", [64, 1])
async def test_an_erased_case_does_not_keep_the_others_from_their_new_key(
    harness: SharingHarness, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """Nor does it fill the batch, round after round, so that nobody else's turn comes."""
    made = {}
    for number in range(3):
        case = UUID(int=CASE.int + 0x100 * number)
        made[number] = (await harness.take(snapshot(case_id=case)))[IDVA]
        await harness.receipt(made[number].record_id)
    await harness.releases.step()
    gone = SubjectErased(subject_id=VICTIM, case_ids=(CASE,), erased_at=harness.clock.now())
    await harness.database.write(
        lambda unit: harness.parts.cases.erased(
            unit, cast(Any, SimpleNamespace(source="svc:referral")), gone
        )
    )
    new_key(harness, IDVA)
    monkeypatch.setattr("sharing.disclosures.worker._BATCH", batch)
    await harness.releases.maintain()
    assert [await envelopes(harness, IDVA, each.id) for each in made.values()] == [1, 2, 2]


def slow_answer(harness: SharingHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Referral answers, and then this process stands still for three seconds."""
    ask = harness.checks.check

    async def slow(case_id: UUID, version: int, subjects: Sequence[UUID]) -> CaseState | None:
        answer = await ask(case_id, version, subjects)
        harness.clock.advance(3)
        return answer

    monkeypatch.setattr(harness.checks, "check", slow)


async def test_an_answer_that_grew_old_is_none(
    harness: SharingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    slow_answer(harness, monkeypatch)
    await harness.releases.step()
    assert ((await harness.state(made[IDVA].id)).reason, await harness.packages(IDVA)) == (
        "no-answer",
        [],
    )


async def test_an_emergency_needs_a_fresh_answer_too(
    harness: SharingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    slow_answer(harness, monkeypatch)
    with pytest.raises(VetoesUnknown):
        await invoke(harness, waiting, person(harness))
    assert await harness.packages(IDVA) == []
