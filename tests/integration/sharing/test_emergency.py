"""The emergency path: a named person's act, a promise that says so on its face, and the proof that
must follow."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from common.access import Granted, Principal, grant
from common.events.case import CaseSnapshot
from common.events.sharing import DisclosureReleased, PromiseBroken
from common.problems import Problem
from hubformats.audit_record import Actor
from hubformats.package_proof import verify_package
from sharing.domain.disclosure import Disclosure
from sharing.usecases import deciding, releasing
from sharing.usecases.releasing import Emergency
from tests.support.sharing_bed import Bed
from tests.support.snapshots import CASE, VICTIM, marking, snapshot, urgent

IDVA, POLICE = "northmoor-idva", "northmoor-police"
WHY = Emergency(
    "imminent_danger_to_life", "He is at her door and the log has not answered for ten minutes."
)
ACTOR = Actor(
    subject="issuer|p-coordinator",
    agency=POLICE,
    role="marac_coordinator",
    acr="urn:hub:acr:passkey",
)


def person(bed: Bed, **changes: Any) -> Granted:
    """A coordinator of the agency that referred, freshly signed in, unless told otherwise."""
    who: dict[str, Any] = {
        "issuer": "issuer",
        "subject": "p-coordinator",
        "client_id": "portal",
        "kind": "person",
        "agency": POLICE,
        "roles": frozenset({"marac_coordinator"}),
        "scopes": frozenset({"sharing.request"}),
        "acr": "urn:hub:acr:passkey",
    }
    return grant(
        Principal(**{**who, **changes}),
        scope="sharing.request",
        operation="disclosure",
        at=bed.clock.now(),
    )


async def invoke(bed: Bed, disclosure: Disclosure, granted: Granted) -> None:
    """What the route does."""
    found, case = await bed.store.write(
        lambda tx: releasing.prepare_emergency(tx, granted, disclosure.id)
    )
    state = await bed.checks.check(case.case_id, case.version, case.subjects)
    promise = await bed.trail.promise(found.record_id)
    await bed.store.write(
        lambda tx: releasing.release_in_emergency(
            tx, bed.desk, granted, ACTOR, disclosure.id, state, promise, WHY
        )
    )


async def test_a_promise_leaves_and_the_proof_follows(bed: Bed) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    package = (await bed.packages(IDVA))[0]
    verdict = verify_package(package, me=IDVA, log=bed.log.verifier)
    assert (verdict.standing, package.proof, package.leaf) == ("promised", "", "")
    entry = next(record for record in await bed.records() if record["op"] == "emergency_release")
    assert (entry["bg"], entry["jc"], entry["role"], entry["dl"]) == (
        True,
        WHY.code,
        "marac_coordinator",
        str(waiting.id),
    )
    assert WHY.text not in repr(await bed.records())
    assert [e.proof for e in await bed.told() if isinstance(e, DisclosureReleased)] == ["promised"]

    await bed.receipt(waiting.record_id)
    assert await bed.releases.step() == 0, "it has left already"
    await bed.releases.tend()
    await bed.releases.tend()
    packages = await bed.packages(IDVA)
    assert len(packages) == 2
    assert verify_package(packages[1], me=IDVA, log=bed.log.verifier).standing == "proven"
    assert (packages[1].delivery_id, packages[1].content) == (package.delivery_id, package.content)
    shown = await bed.store.write(lambda tx: tx.deliveries(IDVA, waiting.id))
    assert [each.delivery.kind for each in shown] == ["disclosure", "notice"]
    assert (await bed.state(waiting.id)).standing == "proven"
    assert [e.proof for e in await bed.told() if isinstance(e, DisclosureReleased)] == [
        "promised",
        "proven",
    ], "the referrer hears it too"


async def test_an_unkept_promise_alarms_after_an_hour(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        await bed.releases.tend()
        assert not caplog.records
        bed.clock.advance(3601)
        await bed.releases.tend()
        await bed.releases.tend()
    assert [record.__dict__["alarm"] for record in caplog.records] == ["promise-overdue"] * 2, (
        "as long as it is"
    )
    assert await unkept(bed) == [(IDVA, "overdue", "promise-overdue")], "its referrer hears it once"
    entries = [e for e in await bed.records() if e.get("why") == "promise-overdue"]
    assert [(e["op"], e["out"], e["dl"]) for e in entries] == [
        ("delivered", "failed", str(waiting.id))
    ]
    await bed.receipt(waiting.record_id)
    await bed.releases.tend()
    found = await bed.state(waiting.id)
    assert (found.standing, found.reason) == ("proven", ""), "late, but it came"
    assert [e.proof for e in await bed.told() if isinstance(e, DisclosureReleased)] == [
        "promised",
        "proven",
    ]


async def unkept(bed: Bed) -> list[tuple[str, str, str]]:
    """What the referrer was told of promises not kept."""
    return [
        (e.recipient, e.standing, e.reason_code)
        for e in await bed.told()
        if isinstance(e, PromiseBroken)
    ]


@pytest.mark.parametrize("proof_came", [True, False])
async def test_a_promise_on_an_erased_case_ends_and_alarms_once(
    bed: Bed, caplog: pytest.LogCaptureFixture, *, proof_came: bool
) -> None:
    """Even while nobody can say what vetoes there are: nothing is left that could be sealed."""
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    await bed.store.write(lambda tx: deciding.forget_subject(tx, bed.desk, VICTIM, (CASE,)))
    if proof_came:
        await bed.receipt(waiting.record_id)
    bed.checks.down = True
    bed.clock.advance(3601)
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        await bed.releases.tend()
        await bed.releases.tend()
    said = [(record.__dict__["alarm"], record.__dict__.get("code")) for record in caplog.records]
    assert said == [("promise-broken", "key-destroyed")]
    found = await bed.state(waiting.id)
    assert (found.state, found.standing, found.reason, found.proof_due) == (
        "released",
        "",
        "key-destroyed",
        None,
    )
    assert await unkept(bed) == [(IDVA, "broken", "key-destroyed")]
    assert [
        (e["op"], e["out"]) for e in await bed.records() if e.get("why") == "key-destroyed"
    ] == [("delivered", "failed")]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": "system", "roles": frozenset({"marac_coordinator"})}, "forbidden"),
        ({"roles": frozenset({"police_officer"})}, "forbidden"),
        ({"acr": "urn:hub:acr:password"}, "forbidden"),
        ({"acr": None}, "forbidden"),
        ({"agency": "northmoor-housing"}, "not-found"),
        ({"agency": IDVA, "roles": frozenset({"idva_manager"})}, "not-found"),
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
    bed: Bed, changes: dict[str, Any], code: str
) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    with pytest.raises(Problem, match=code):
        await invoke(bed, waiting, person(bed, **changes))
    assert await bed.packages(IDVA) == []


async def test_who_reported_for_a_third_party_releases_nothing(bed: Bed) -> None:
    waiting = (await bed.take(urgent(source="third_party")))[IDVA]
    with pytest.raises(Problem, match="not-found"):
        await invoke(bed, waiting, person(bed))
    assert await bed.packages(IDVA) == []


async def test_vetoes_hold_in_an_emergency_too(bed: Bed) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    bed.checks.vetoes = (marking("must_not_disclose", agency=IDVA),)
    with pytest.raises(Problem, match="conflict"):
        await invoke(bed, waiting, person(bed))
    bed.checks.down = True
    with pytest.raises(Problem, match="unavailable"):
        await invoke(bed, waiting, person(bed))
    assert await bed.packages(IDVA) == []


async def test_it_is_for_what_waits_and_nothing_else(bed: Bed) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await bed.receipt(waiting.record_id)
    with pytest.raises(Problem, match="conflict"):
        await invoke(bed, waiting, person(bed))
    await bed.releases.step()
    assert len(await bed.packages(IDVA)) == 1


async def test_a_record_the_log_refused_cannot_be_promised(bed: Bed) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await bed.reject(waiting.record_id)
    with pytest.raises(Problem, match="conflict"):
        await invoke(bed, waiting, person(bed))


async def test_a_record_the_log_refuses_after_it_left_pages_and_is_no_longer_called_promised(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    waiting = (await bed.take(urgent()))[IDVA]
    await invoke(bed, waiting, person(bed))
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        await bed.reject(waiting.record_id)
        bed.clock.advance(3601)
        await bed.releases.tend()
    said = [
        (record.__dict__["alarm"], record.__dict__.get("code"))
        for record in caplog.records
        if "alarm" in record.__dict__
    ]
    assert said == [("promise-broken", "audit-rejected")], "once, and not overdue besides"
    found = await bed.state(waiting.id)
    assert (found.state, found.standing, found.reason, found.proof_due) == (
        "released",
        "",
        "audit-rejected",
        None,
    )
    assert IDVA not in {recipient for recipient, *_ in await unproven(bed, person(bed))}
    assert await unkept(bed) == [(IDVA, "broken", "audit-rejected")], "its referrer hears it, too"
    looked = [e for e in await bed.records() if e.get("why") == "audit-rejected"]
    assert [(e["op"], e["out"], e["dl"]) for e in looked] == [
        ("delivered", "failed", str(waiting.id))
    ]


async def unproven(bed: Bed, granted: Granted) -> list[tuple[str, str, str]]:
    """What the person is shown: recipient, state, standing."""
    found, _ = await bed.store.write(lambda tx: releasing.unproven_of(tx, granted, ACTOR))
    return sorted(
        (each.disclosure.recipient, each.disclosure.state, each.disclosure.standing)
        for each in found
    )


async def test_a_person_with_authority_sees_what_has_no_proof_and_nobody_else_does(
    bed: Bed,
) -> None:
    made = await bed.take(urgent())
    waits = [(agency, "awaiting_receipt", "") for agency in sorted(made)]
    assert await unproven(bed, person(bed)) == waits
    assert await unproven(bed, person(bed, agency=IDVA, roles=frozenset({"idva_manager"}))) == [], (
        "another agency's referral"
    )
    for changes in (
        {"roles": frozenset({"idva"})},
        {"kind": "system"},
        {"acr": "urn:hub:acr:password"},
    ):
        with pytest.raises(Problem, match="forbidden"):
            await unproven(bed, person(bed, **changes))
    await invoke(bed, made[IDVA], person(bed))
    assert (IDVA, "released", "promised") in await unproven(bed, person(bed))
    await bed.receipt(made[IDVA].record_id)
    await bed.releases.tend()
    assert IDVA not in {recipient for recipient, *_ in await unproven(bed, person(bed))}
    looks = [(e["n"], e["rt"]) for e in await bed.records() if e["op"] == "consultation"]
    assert looks[0] == (len(made), "unproven-disclosures")


async def test_who_reported_for_a_third_party_is_not_shown_what_waits(bed: Bed) -> None:
    await bed.take(urgent(source="third_party"))
    assert await unproven(bed, person(bed)) == []


async def test_a_long_list_shows_what_is_urgent_and_newest_and_says_that_there_is_more(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
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
        bed.clock.advance(60)
        made.append((await bed.take(kind(case_id=case_id)))[IDVA])
    await invoke(bed, made[0], person(bed))

    async def shown(delivery_id: UUID | None = None) -> tuple[list[UUID], bool]:
        found, more = await bed.store.write(
            lambda tx: releasing.unproven_of(tx, person(bed), ACTOR, delivery_id)
        )
        return [each.disclosure.id for each in found if each.disclosure.recipient == IDVA], more

    first, urgently, older, newer, hidden = (each.id for each in made)
    assert await shown() == ([urgently, newer, older, first], False)
    visible = sum([len(await bed.of_case(each)) for each in cases[:4]])
    monkeypatch.setattr(releasing, "UNPROVEN_SHOWN", visible - 1)
    assert await shown() == ([urgently, newer, older], True)
    assert await shown(first) == ([first], False)
    assert [
        each["rt"]
        for each in await bed.found("delivery", str(first))
        if each["op"] == "consultation"
    ][-1] == "unproven-disclosures"
    assert [await shown(each) for each in (hidden, UUID(int=7))] == [([], False)] * 2
