"""The emergency path: a named person's act, a promise that says so on its face, and the proof that
must follow."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from common.access import Granted, Principal
from common.events.case import CaseSnapshot
from common.events.sharing import DisclosureReleased, PromiseBroken
from common.problems import Problem
from common.web.guard import Guards
from hubformats.audit_record import Actor
from hubformats.package_proof import verify_package
from sharing.decisions.use_cases.deciding import forget_subject
from sharing.disclosures.model.disclosure import Disclosure
from sharing.disclosures.use_cases import emergency
from sharing.disclosures.use_cases.emergency import (
    DisclosureNotFound,
    Emergency,
    NotWaiting,
    OnPromise,
    Vetoed,
    VetoesUnknown,
)
from sharing.permissions import ACTIONS
from tests.support.sharing_harness import SharingHarness
from tests.support.snapshots import CASE, VICTIM, marking, snapshot, urgent

IDVA, POLICE = "northmoor-idva", "northmoor-police"
ACTOR = Actor(
    subject="issuer|p-coordinator",
    agency=POLICE,
    role="marac_coordinator",
    acr="urn:hub:acr:passkey",
)
WHY = Emergency(
    ACTOR,
    "imminent_danger_to_life",
    "He is at her door and the log has not answered for ten minutes.",
)


def person(
    harness: SharingHarness, action: str = "release_in_emergency", **changes: Any
) -> Granted:
    """A coordinator of the agency that referred, freshly signed in, unless told otherwise.

    What the action's guard answers. Raises Problem(forbidden).
    """
    who: dict[str, Any] = {
        "issuer": "issuer",
        "subject": "p-coordinator",
        "client_id": "portal",
        "kind": "person",
        "agency": POLICE,
        "roles": frozenset({"marac_coordinator"}),
        "scopes": frozenset({"sharing.request", "case.read"}),
        "acr": "urn:hub:acr:passkey",
        "auth_time": int(harness.clock.now().timestamp()),
    }
    return Guards(ACTIONS).permit(action, Principal(**{**who, **changes}), at=harness.clock.now())


async def invoke(harness: SharingHarness, disclosure: Disclosure, granted: Granted) -> None:
    """What the route does."""
    found, case = await harness.store.write(
        lambda tx: emergency.prepare_emergency(tx, granted, disclosure.id)
    )
    state = await harness.checks.check(case.case_id, case.version, case.subjects)
    promise = await harness.trail.promise(found.record_id)
    await harness.store.write(
        lambda tx: emergency.release_in_emergency(
            tx, harness.releasing, granted, disclosure.id, OnPromise(promise, state, WHY)
        )
    )


async def test_a_promise_leaves_and_the_proof_follows(harness: SharingHarness) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await invoke(harness, waiting, person(harness))
    package = (await harness.packages(IDVA))[0]
    verdict = verify_package(package, me=IDVA, log=harness.log.verifier)
    assert (verdict.standing, package.proof, package.leaf) == ("promised", "", "")
    entry = next(
        record for record in await harness.records() if record["op"] == "emergency_release"
    )
    assert (entry["bg"], entry["jc"], entry["role"], entry["dl"]) == (
        True,
        WHY.code,
        "marac_coordinator",
        str(waiting.id),
    )
    assert WHY.text not in repr(await harness.records())
    officer = person(
        harness, "see_second_looks", roles=frozenset({"privacy_officer"}), subject="p-owen"
    )
    (look,) = await harness.store.write(
        lambda tx: tx.second_looks.listed(officer, 10, waiting=True)
    )
    assert (look.act, look.reason_code, look.case_id) == ("emergency_release", WHY.code, CASE)
    assert [e.proof for e in await harness.told() if isinstance(e, DisclosureReleased)] == [
        "promised"
    ]

    await harness.receipt(waiting.record_id)
    assert await harness.releases.step() == 0, "it has left already"
    await harness.releases.maintain()
    await harness.releases.maintain()
    packages = await harness.packages(IDVA)
    assert len(packages) == 2
    assert verify_package(packages[1], me=IDVA, log=harness.log.verifier).standing == "proven"
    assert (packages[1].delivery_id, packages[1].content) == (package.delivery_id, package.content)
    shown = await harness.envelopes(IDVA, waiting.id)
    assert [each.delivery.kind for each in shown] == ["disclosure", "notice"]
    assert (await harness.state(waiting.id)).standing == "proven"
    assert [e.proof for e in await harness.told() if isinstance(e, DisclosureReleased)] == [
        "promised",
        "proven",
    ], "the referrer hears it too"


async def test_an_unkept_promise_alarms_after_an_hour(
    harness: SharingHarness, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await invoke(harness, waiting, person(harness))
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        await harness.releases.maintain()
        assert not caplog.records
        harness.clock.advance(3601)
        await harness.releases.maintain()
        await harness.releases.maintain()
    assert [record.__dict__["alarm"] for record in caplog.records] == ["promise-overdue"] * 2, (
        "as long as it is"
    )
    assert await unkept(harness) == [(IDVA, "overdue", "promise-overdue")], (
        "its referrer hears it once"
    )
    entries = [e for e in await harness.records() if e.get("why") == "promise-overdue"]
    assert [(e["op"], e["out"], e["dl"]) for e in entries] == [
        ("delivered", "failed", str(waiting.id))
    ]
    await harness.receipt(waiting.record_id)
    await harness.releases.maintain()
    found = await harness.state(waiting.id)
    assert (found.standing, found.reason) == ("proven", None), "late, but it came"
    assert [e.proof for e in await harness.told() if isinstance(e, DisclosureReleased)] == [
        "promised",
        "proven",
    ]


async def unkept(harness: SharingHarness) -> list[tuple[str, str, str]]:
    """What the referrer was told of promises not kept."""
    return [
        (e.recipient, e.standing, e.reason_code)
        for e in await harness.told()
        if isinstance(e, PromiseBroken)
    ]


@pytest.mark.parametrize("proof_came", [True, False])
async def test_a_promise_on_an_erased_case_ends_and_alarms_once(
    harness: SharingHarness, caplog: pytest.LogCaptureFixture, *, proof_came: bool
) -> None:
    """Even while nobody can say what vetoes there are: nothing is left that could be sealed."""
    waiting = (await harness.take(urgent()))[IDVA]
    await invoke(harness, waiting, person(harness))
    await harness.store.write(lambda tx: forget_subject(tx, harness.deciding, VICTIM, (CASE,)))
    if proof_came:
        await harness.receipt(waiting.record_id)
    harness.checks.down = True
    harness.clock.advance(3601)
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        await harness.releases.maintain()
        await harness.releases.maintain()
    said = [(record.__dict__["alarm"], record.__dict__.get("code")) for record in caplog.records]
    assert said == [("promise-broken", "key-destroyed")]
    found = await harness.state(waiting.id)
    assert (found.state, found.standing, found.reason, found.proof_due) == (
        "released",
        None,
        "key-destroyed",
        None,
    )
    assert await unkept(harness) == [(IDVA, "broken", "key-destroyed")]
    assert [
        (e["op"], e["out"]) for e in await harness.records() if e.get("why") == "key-destroyed"
    ] == [("delivered", "failed")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "system", "roles": frozenset({"marac_coordinator"})}, "forbidden"),
        ({"roles": frozenset({"police_officer"})}, "forbidden"),
        ({"acr": "urn:hub:acr:password"}, "step-up-required"),
        ({"acr": None}, "step-up-required"),
        ({"agency": "northmoor-housing"}, "^$"),
        ({"agency": IDVA, "roles": frozenset({"idva_manager"})}, "^$"),
    ],
    ids=[
        "a-system",
        "without-the-role",
        "password-only",
        "no-acr",
        "another-agency",
        "the-recipient",
    ],
)
async def test_only_a_named_person_with_authority_over_the_case(
    harness: SharingHarness, changes: dict[str, Any], code: str
) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    with pytest.raises((Problem, DisclosureNotFound), match=code):
        await invoke(harness, waiting, person(harness, **changes))
    assert await harness.packages(IDVA) == []


async def test_who_reported_for_a_third_party_releases_nothing(harness: SharingHarness) -> None:
    waiting = (await harness.take(urgent(source="third_party")))[IDVA]
    with pytest.raises(DisclosureNotFound):
        await invoke(harness, waiting, person(harness))
    assert await harness.packages(IDVA) == []


async def test_vetoes_hold_in_an_emergency_too(harness: SharingHarness) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    harness.checks.vetoes = (marking("must_not_disclose", agency=IDVA),)
    with pytest.raises(Vetoed):
        await invoke(harness, waiting, person(harness))
    harness.checks.down = True
    with pytest.raises(VetoesUnknown):
        await invoke(harness, waiting, person(harness))
    assert await harness.packages(IDVA) == []


async def test_it_is_for_what_waits_and_nothing_else(harness: SharingHarness) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await harness.receipt(waiting.record_id)
    with pytest.raises(NotWaiting):
        await invoke(harness, waiting, person(harness))
    await harness.releases.step()
    assert len(await harness.packages(IDVA)) == 1


async def test_a_record_the_log_refused_cannot_be_promised(harness: SharingHarness) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await harness.reject(waiting.record_id)
    with pytest.raises(NotWaiting):
        await invoke(harness, waiting, person(harness))


async def test_a_record_the_log_refuses_after_it_left_pages_and_is_no_longer_called_promised(
    harness: SharingHarness, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = (await harness.take(urgent()))[IDVA]
    await invoke(harness, waiting, person(harness))
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        await harness.reject(waiting.record_id)
        harness.clock.advance(3601)
        await harness.releases.maintain()
    said = [
        (record.__dict__["alarm"], record.__dict__.get("code"))
        for record in caplog.records
        if "alarm" in record.__dict__
    ]
    assert said == [("promise-broken", "audit-rejected")], "once, and not overdue besides"
    found = await harness.state(waiting.id)
    assert (found.state, found.standing, found.reason, found.proof_due) == (
        "released",
        None,
        "audit-rejected",
        None,
    )
    assert IDVA not in {recipient for recipient, *_ in await unproven(harness)}
    assert await unkept(harness) == [(IDVA, "broken", "audit-rejected")], (
        "its referrer hears it, too"
    )
    looked = [e for e in await harness.records() if e.get("why") == "audit-rejected"]
    assert [(e["op"], e["out"], e["dl"]) for e in looked] == [
        ("delivered", "failed", str(waiting.id))
    ]


async def unproven(harness: SharingHarness, **changes: Any) -> list[tuple[str, str, str | None]]:
    """What the person is shown: recipient, state, standing."""
    granted = person(harness, "see_unproven", **changes)
    found, _ = await harness.store.write(lambda tx: emergency.unproven_of(tx, granted, ACTOR))
    return sorted(
        (each.disclosure.recipient, each.disclosure.state, each.disclosure.standing)
        for each in found
    )


async def test_a_person_with_authority_sees_what_has_no_proof_and_nobody_else_does(
    harness: SharingHarness,
) -> None:
    made = await harness.take(urgent())
    waits = [(agency, "awaiting_receipt", None) for agency in sorted(made)]
    assert await unproven(harness) == waits
    assert await unproven(harness, agency=IDVA, roles=frozenset({"idva_manager"})) == [], (
        "another agency's referral"
    )
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        ({"roles": frozenset({"idva"})}, "forbidden"),
        ({"kind": "system"}, "forbidden"),
        ({"acr": "urn:hub:acr:password"}, "step-up-required"),
    )
    for changes, code in refused:
        with pytest.raises(Problem, match=code):
            await unproven(harness, **changes)
    await invoke(harness, made[IDVA], person(harness))
    assert (IDVA, "released", "promised") in await unproven(harness)
    await harness.receipt(made[IDVA].record_id)
    await harness.releases.maintain()
    assert IDVA not in {recipient for recipient, *_ in await unproven(harness)}
    looks = [(e["n"], e["rt"]) for e in await harness.records() if e["op"] == "consultation"]
    assert looks[0] == (len(made), "unproven-disclosures")


async def test_who_reported_for_a_third_party_is_not_shown_what_waits(
    harness: SharingHarness,
) -> None:
    await harness.take(urgent(source="third_party"))
    assert await unproven(harness) == []


async def test_a_long_list_shows_what_is_urgent_and_newest_and_says_that_there_is_more(
    harness: SharingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And neither what was reported for a third party nor what has left on a promise takes the
    place of what waits.
    """
    kinds: list[Callable[..., CaseSnapshot]] = [
        urgent,
        urgent,
        snapshot,
        snapshot,
        partial(urgent, source="third_party"),
    ]
    made = []
    cases = [UUID(int=CASE.int + 0x100 * number) for number in range(len(kinds))]
    for case_id, kind in zip(cases, kinds, strict=True):
        harness.clock.advance(60)
        made.append((await harness.take(kind(case_id=case_id)))[IDVA])
    await invoke(harness, made[0], person(harness))

    async def shown(delivery_id: UUID | None = None) -> tuple[list[UUID], bool]:
        found, more = await harness.store.write(
            lambda tx: emergency.unproven_of(
                tx, person(harness, "see_unproven"), ACTOR, delivery_id
            )
        )
        return [each.disclosure.id for each in found if each.disclosure.recipient == IDVA], more

    first, urgently, older, newer, hidden = (each.id for each in made)
    assert await shown() == ([urgently, newer, older, first], False)
    visible = sum([len(await harness.of_case(each)) for each in cases[:4]])
    monkeypatch.setattr(emergency, "UNPROVEN_SHOWN", visible - 1)
    assert await shown() == ([urgently, newer, older], True)
    assert await shown(first) == ([first], False)
    assert [
        each["rt"]
        for each in await harness.found("delivery", str(first))
        if each["op"] == "consultation"
    ][-1] == "unproven-disclosures"
    assert [await shown(each) for each in (hidden, UUID(int=7))] == [([], False)] * 2
