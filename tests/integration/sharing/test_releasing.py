"""Steps 1 to 3 of a disclosure: what is written before anything leaves, what lets it leave, and
everything that does not."""

import json
import logging
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection, insert, select

from common.events.case import SubjectErased
from common.events.sharing import DisclosureBlocked, DisclosureReleased, SnapshotDecided
from common.inbox.tables import QUARANTINE
from hubformats.audit_record import content_commitment
from hubformats.canonical import unb64u
from hubformats.package_proof import verify_package
from hubformats.tlog import Signer
from sharing.domain.deciding import inputs_hash
from sharing.storage.tables import METADATA
from tests.support.sharing_bed import Bed
from tests.support.snapshots import VICTIM, marking, snapshot, urgent

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)


async def test_one_entry_per_recipient_and_nothing_leaves_before_its_receipt(bed: Bed) -> None:
    made = await bed.take(snapshot())
    assert set(made) == {IDVA, CARE, SUPPORT}
    assert {each.state for each in made.values()} == {"awaiting_receipt"}
    entries = [record for record in await bed.records() if record["op"] == "disclosure"]
    assert sorted((e["rcp"], e["out"], e.get("cl", ""), e.get("why", "")) for e in entries) == [
        (IDVA, "permit", "NM-2", ""),
        (POLICE, "withhold", "", "own-facts"),
        (CARE, "permit", "NM-3", ""),
        (SUPPORT, "permit", "NM-4", ""),
    ]
    for entry in entries:
        others = {IDVA, CARE, SUPPORT, POLICE} - {entry["rcp"]}
        assert not any(other in json.dumps(entry) for other in others), (
            "an entry names one recipient only"
        )
    assert await bed.releases.step() == 0
    for agency in (IDVA, CARE, SUPPORT):
        assert await bed.packages(agency) == []
    decided = [
        each
        for event in await bed.told()
        if isinstance(event, SnapshotDecided)
        for each in event.outcomes
    ]
    assert {(d.recipient, d.outcome) for d in decided} == {
        (IDVA, "permit"),
        (CARE, "permit"),
        (SUPPORT, "permit"),
    }


async def test_a_receipt_lets_exactly_its_disclosure_leave_once(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    assert await bed.releases.step() == 1
    assert await bed.releases.step() == 0
    await bed.receipt(made[IDVA].record_id)
    assert await bed.releases.step() == 0
    package, *more = await bed.packages(IDVA)
    assert more == []
    assert await bed.packages(CARE) == []
    verdict = verify_package(package, me=IDVA, log=bed.log.verifier)
    assert verdict.standing == "proven"
    assert (
        verdict.record["dc"]
        == content_commitment(unb64u(package.content_salt), unb64u(package.content))
        == made[IDVA].commitment
    )
    assert bed.checks.asked == [
        (snapshot().case_id, 1, tuple(s.subject_id for s in snapshot().subjects))
    ]
    released = [event for event in await bed.told() if isinstance(event, DisclosureReleased)]
    assert [(r.recipient, r.delivery_id, r.proof) for r in released] == [
        (IDVA, made[IDVA].id, "proven")
    ]
    left = [record for record in await bed.records() if record["op"] == "delivered"]
    assert [(e["dl"], e["rcp"]) for e in left] == [(str(made[IDVA].id), IDVA)]
    assert (await bed.state(made[IDVA].id)).state == "released"
    assert IDVA in bed.left


async def test_the_inbox_holds_the_bytes_that_the_topic_carries(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[CARE].record_id)
    await bed.releases.step()
    shown = await bed.store.write(lambda tx: tx.deliveries(CARE, made[CARE].id))
    topic = await bed.sent(f"hub.disclosure.{CARE}.v1", CARE)
    assert (
        bed.opened(CARE, shown[0].delivery.envelope).digest
        == topic[0].digest
        == shown[0].delivery.digest
    )
    assert await bed.store.write(lambda tx: tx.deliveries(IDVA, made[CARE].id)) == ()


async def test_the_clear_id_of_a_package_does_not_tell_the_moment(bed: Bed) -> None:
    made = await bed.take(snapshot())
    for each in made.values():
        await bed.receipt(each.record_id)
    await bed.releases.step()
    packages = [
        opened
        for agency in (IDVA, CARE, SUPPORT)
        for opened in await bed.sent(f"hub.disclosure.{agency}.v1", agency)
    ]
    assert [opened.id.version for opened in packages] == [4, 4, 4]
    inside = await bed.sent("hub.sharing.v1", "svc:referral")
    assert {opened.id.version for opened in inside} == {7}, "inside the hub ids may follow time"


async def test_what_is_stored_about_people_is_sealed(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    await bed.releases.step()

    def everything(connection: Connection) -> str:
        return repr([connection.execute(select(table)).all() for table in METADATA.sorted_tables])

    dump = await bed.database.read(everything)
    assert str(made[IDVA].id) in dump or made[IDVA].id.hex in dump
    for value in ("Quillfeather", "Larkspur", "900123", "would come back", "Vexley", "Oskar"):
        assert value not in dump


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda bed: setattr(bed.checks, "down", True), "no-answer"),
        (lambda bed: setattr(bed.checks, "version", 2), "newer-version"),
        (lambda bed: bed.parties.suspended.add(IDVA), "recipient-suspended"),
        (lambda bed: setattr(bed.parties, "is_fresh", False), "directory-stale"),
        (lambda bed: bed.parties.opening.pop(IDVA), "recipient-without-key"),
    ],
    ids=["no-answer", "newer-version", "suspended", "stale", "no-key"],
)
async def test_a_doubt_at_the_last_moment_waits_and_is_tried_again(
    bed: Bed, spoil: Callable[[Bed], object], reason: str
) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    key = bed.parties.opening[IDVA]
    spoil(bed)
    assert await bed.releases.step() == 1
    held = await bed.state(made[IDVA].id)
    assert (held.state, held.reason, held.attempts) == ("proven", reason, 1)
    assert await bed.releases.step() == 0, "not before its pause is over"
    bed.checks.down, bed.checks.version, bed.parties.is_fresh = False, None, True
    bed.parties.suspended.clear()
    bed.parties.opening[IDVA] = key
    bed.clock.advance(60)
    assert await bed.releases.step() == 1
    assert len(await bed.packages(IDVA)) == 1
    assert (await bed.state(made[IDVA].id)).reason == ""


async def test_a_veto_set_after_the_receipt_stops_the_release(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    bed.checks.vetoes = (marking("must_not_disclose", agency=IDVA),)
    await bed.releases.step()
    assert (await bed.state(made[IDVA].id)).state == "blocked"
    assert await bed.packages(IDVA) == []
    blocked = [event for event in await bed.told() if isinstance(event, DisclosureBlocked)]
    assert [(b.recipient, b.reason_code) for b in blocked] == [(IDVA, "veto")]
    bed.clock.advance(3600)
    assert await bed.releases.step() == 0


async def test_vetoes_the_decision_knew_do_not_stop_it(bed: Bed) -> None:
    known = marking("must_not_disclose", category="child_school")
    made = await bed.take(snapshot(markings=(known,)))
    await bed.receipt(made[IDVA].record_id)
    bed.checks.vetoes = (known,)
    await bed.releases.step()
    assert len(await bed.packages(IDVA)) == 1


async def test_a_newer_snapshot_withdraws_what_has_not_left(bed: Bed) -> None:
    first = await bed.take(snapshot())
    await bed.receipt(first[IDVA].record_id)
    await bed.receipt(first[CARE].record_id)
    second = await bed.take(
        snapshot(
            version=2,
            cause="marking_changed",
            markings=(marking("must_not_disclose", agency=IDVA),),
        )
    )
    assert set(second) == {CARE, SUPPORT}
    await bed.releases.step()
    assert await bed.packages(IDVA) == []
    assert {(await bed.state(each.id)).state for each in first.values()} == {"superseded"}
    withdrawn = [r for r in await bed.records() if r["op"] == "blocked"]
    assert {(r["dl"], r["why"]) for r in withdrawn} == {
        (str(each.id), "superseded") for each in first.values()
    }
    await bed.receipt(second[CARE].record_id)
    bed.checks.version = 2
    await bed.releases.step()
    assert [p.kind for p in await bed.packages(CARE)] == ["disclosure"], (
        "nothing was told before, so nothing is corrected"
    )


async def test_an_older_snapshot_is_recorded_and_ignored(bed: Bed) -> None:
    await bed.take(snapshot(version=3))
    before = await bed.of_case(snapshot().case_id)
    assert await bed.take(snapshot(version=2)) == {}
    assert await bed.of_case(snapshot().case_id) == before
    assert (await bed.records())[-1]["why"] == "older-version"


async def test_changed_facts_become_a_correction_and_unchanged_ones_nothing(bed: Bed) -> None:
    made = await bed.take(snapshot())
    for each in made.values():
        await bed.receipt(each.record_id)
    await bed.releases.step()
    raised = snapshot().risk.model_copy(update={"score": 18})
    told = tuple(
        f.model_copy(update={"value": "Medium"}) if f.path == "risk.level" else f
        for f in snapshot().facts
    )
    second = await bed.take(snapshot(version=2, risk=raised, facts=told))
    assert set(second) == {IDVA, CARE}, (
        "victim support is not told of the risk, so it has nothing new"
    )
    assert {each.kind for each in second.values()} == {"correction"}
    withheld = [
        r
        for r in await bed.records()
        if r["op"] == "disclosure" and r["out"] == "withhold" and r["rcp"] == SUPPORT
    ]
    assert [r["why"] for r in withheld] == ["nothing-new"]
    said = [
        o.outcome
        for e in await bed.told()
        if isinstance(e, SnapshotDecided)
        for o in e.outcomes
        if o.recipient == SUPPORT
    ]
    assert said == ["permit"], (
        "nothing new is nothing to tell the referrer: what was released stays released"
    )
    assert [e.snapshot_version for e in await bed.told() if isinstance(e, SnapshotDecided)] == [
        1,
        2,
    ], "referral may let go of both"


async def test_a_rejected_record_blocks_its_disclosure_and_no_other(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.reject(made[IDVA].record_id)
    await bed.receipt(made[CARE].record_id)
    await bed.releases.step()
    assert (await bed.state(made[IDVA].id)).reason == "audit-rejected"
    assert (await bed.packages(IDVA), len(await bed.packages(CARE))) == ([], 1)
    assert [e.reason_code for e in await bed.told() if isinstance(e, DisclosureBlocked)] == [
        "audit-rejected"
    ]


async def test_a_receipt_for_another_record_or_from_another_log_proves_nothing(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id, like=made[CARE].record_id)
    await bed.receipt(made[SUPPORT].record_id, signer=Signer("log.test.example.org/hub", b"x" * 32))
    await bed.releases.step()
    for agency in (IDVA, SUPPORT):
        found = await bed.state(made[agency].id)
        assert (found.state, found.reason) == ("blocked", "proof-wrong")
        assert await bed.packages(agency) == []


async def test_a_new_key_before_saving_gets_the_same_delivery_sealed_again(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    await bed.releases.step()
    await bed.releases.tend()
    old = bed.parties.opening[IDVA]
    first = (await bed.packages(IDVA))[0]
    bed.parties.opening[IDVA] = type(old)(
        bed.parties.opening[CARE].kid, IDVA, bed.parties.opening[CARE].private
    )
    await bed.releases.tend()
    await bed.releases.tend()
    shown = await bed.store.write(lambda tx: tx.deliveries(IDVA, made[IDVA].id))
    assert len(shown) == 2
    assert bed.opened(IDVA, shown[1].delivery.envelope).data["content"] == first.content
    assert [r["ed"] for r in await bed.records() if r["op"] == "resealed"] == [
        shown[1].delivery.digest
    ]


async def test_erasure_stops_what_waits_and_makes_the_rest_unreadable(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    gone = SubjectErased(
        subject_id=VICTIM, case_ids=(snapshot().case_id,), erased_at=bed.clock.now()
    )
    await bed.database.write(lambda unit: bed.consumer.erased(unit, _from_referral(), gone))
    assert await bed.releases.step() == 0
    with pytest.raises(LookupError):
        await bed.store.write(lambda tx: tx.snapshot(bed.desk.own_work(), snapshot().case_id))
    with pytest.raises(LookupError):
        await bed.store.write(lambda tx: tx.evidence(bed.desk.own_work(), made[IDVA]))
    later = await bed.take(snapshot(version=2))
    assert set(later) == {IDVA, CARE, SUPPORT}, "the case goes on under a new key"


async def test_urgent_danger_needs_no_risk_assessment_and_no_consent(bed: Bed) -> None:
    made = await bed.take(urgent(markings=(marking("location_shield", subject=VICTIM),)))
    assert {name: each.clause for name, each in made.items()} == {IDVA: "NM-1"}
    await bed.receipt(made[IDVA].record_id)
    await bed.releases.step()
    told = json.loads(unb64u((await bed.packages(IDVA))[0].content))
    assert (told["urgent"], told["provisional"]) == (True, True)
    assert "larkspur" not in json.dumps(told).lower()


async def test_decisions_are_kept_with_their_inputs(bed: Bed) -> None:
    await bed.take(snapshot())
    query = "SELECT agreement_hash, inputs_hash, snapshot_version FROM decision"
    kept = await bed.database.read(lambda connection: connection.exec_driver_sql(query).all())
    assert [tuple(row) for row in kept] == [(bed.rules.agreement.hash, inputs_hash(snapshot()), 1)]


def _from_referral() -> Any:
    return cast(Any, SimpleNamespace(source="svc:referral"))


async def test_a_message_set_aside_about_the_case_holds_its_releases(bed: Bed) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    row = {
        "consumer": "sharing.case",
        "digest": "d" * 43,
        "topic": "hub.case.v1",
        "key": str(snapshot().case_id).encode(),
        "reason": "category-unknown",
        "authentic": True,
        "source": "svc:referral",
        "stream": "s",
        "event_id": made[IDVA].id,
        "outbox_id": made[IDVA].id,
        "at": bed.clock.now(),
    }
    await bed.database.write(lambda unit: unit.connection.execute(insert(QUARANTINE), row))
    await bed.releases.step()
    assert (await bed.state(made[IDVA].id)).reason == "stream-held"
    assert await bed.packages(IDVA) == []


async def test_what_keeps_waiting_pages_somebody_once(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    made = await bed.take(snapshot())
    await bed.receipt(made[IDVA].record_id)
    bed.checks.down = True
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        for _ in range(10):
            bed.clock.advance(60)
            await bed.releases.step()
    assert [record.__dict__["alarm"] for record in caplog.records] == ["disclosure-waiting"]
    stuck = await bed.store.read(lambda view: view.stuck())
    assert [(s.state, s.reason, s.count) for s in stuck] == [
        ("awaiting_receipt", "", 2),
        ("proven", "no-answer", 1),
    ]


async def test_one_that_cannot_be_sealed_does_not_keep_the_others(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await bed.take(snapshot())
    for each in made.values():
        await bed.receipt(each.record_id)
    whole = bed.outbox.send

    def send(unit: Any, **more: Any) -> Any:
        if more["to"] == [CARE]:
            raise RuntimeError("too large to seal")
        return whole(unit, **more)

    monkeypatch.setattr(bed.outbox, "send", send)
    await bed.releases.step()
    assert (len(await bed.packages(IDVA)), len(await bed.packages(SUPPORT))) == (1, 1)
    held = await bed.state(made[CARE].id)
    assert (held.state, held.reason) == ("proven", "release-failed")


async def test_a_review_date_that_passes_while_the_hub_runs_alarms_once_a_day(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    """Design section 13, rule 3: the owner hears of it without a restart, every day until the
    agreement is reviewed.
    """

    async def alarms() -> list[str]:
        caplog.clear()
        for _ in range(2):
            await bed.releases.tend()
        return [
            f"{record.__dict__['alarm']} {record.__dict__['agreement']}"
            for record in caplog.records
            if "agreement" in record.__dict__
        ]

    terms = bed.rules.agreement.terms
    last = terms.review_by - bed.clock.now().date()
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        bed.clock.advance(last)
        assert await alarms() == [], "it holds on its last day"
        for _ in range(2):
            bed.clock.advance(timedelta(days=1))
            assert await alarms() == [f"agreement-review-lapsed {terms.id}"]
