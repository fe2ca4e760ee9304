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
from sharing.decisions.model import inputs_hash
from sharing.tables import METADATA
from tests.support.sharing_harness import SharingHarness
from tests.support.snapshots import VICTIM, marking, snapshot, urgent

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)


async def test_one_entry_per_recipient_and_nothing_leaves_before_its_receipt(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    assert set(made) == {IDVA, CARE, SUPPORT}
    assert {each.state for each in made.values()} == {"awaiting_receipt"}
    entries = [record for record in await harness.records() if record["op"] == "disclosure"]
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
    assert await harness.releases.step() == 0
    for agency in (IDVA, CARE, SUPPORT):
        assert await harness.packages(agency) == []
    decided = [
        each
        for event in await harness.told()
        if isinstance(event, SnapshotDecided)
        for each in event.outcomes
    ]
    assert {(d.recipient, d.outcome) for d in decided} == {
        (IDVA, "permit"),
        (CARE, "permit"),
        (SUPPORT, "permit"),
    }


async def test_a_receipt_lets_exactly_its_disclosure_leave_once(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    woken = harness.waiting(IDVA)
    assert await harness.releases.step() == 1
    assert await harness.releases.step() == 0
    await harness.receipt(made[IDVA].record_id)
    assert await harness.releases.step() == 0
    package, *more = await harness.packages(IDVA)
    assert more == []
    assert await harness.packages(CARE) == []
    verdict = verify_package(package, me=IDVA, log=harness.log.verifier)
    assert verdict.standing == "proven"
    assert (
        verdict.record["dc"]
        == content_commitment(unb64u(package.content_salt), unb64u(package.content))
        == made[IDVA].commitment
    )
    assert harness.checks.asked == [
        (snapshot().case_id, 1, tuple(s.subject_id for s in snapshot().subjects))
    ]
    released = [event for event in await harness.told() if isinstance(event, DisclosureReleased)]
    assert [(r.recipient, r.delivery_id, r.proof) for r in released] == [
        (IDVA, made[IDVA].id, "proven")
    ]
    left = [record for record in await harness.records() if record["op"] == "delivered"]
    assert [(e["dl"], e["rcp"]) for e in left] == [(str(made[IDVA].id), IDVA)]
    assert (await harness.state(made[IDVA].id)).state == "released"
    assert woken.is_set()


async def test_the_inbox_holds_the_bytes_that_the_topic_carries(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[CARE].record_id)
    await harness.releases.step()
    shown = await harness.envelopes(CARE, made[CARE].id)
    topic = await harness.sent(f"hub.disclosure.{CARE}.v1", CARE)
    assert (
        harness.opened(CARE, shown[0].delivery.envelope).digest
        == topic[0].digest
        == shown[0].delivery.digest
    )
    assert await harness.envelopes(IDVA, made[CARE].id) == ()


async def test_the_clear_id_of_a_package_does_not_tell_the_moment(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    for each in made.values():
        await harness.receipt(each.record_id)
    await harness.releases.step()
    packages = [
        opened
        for agency in (IDVA, CARE, SUPPORT)
        for opened in await harness.sent(f"hub.disclosure.{agency}.v1", agency)
    ]
    assert [opened.id.version for opened in packages] == [4, 4, 4]
    inside = await harness.sent("hub.sharing.v1", "svc:referral")
    assert {opened.id.version for opened in inside} == {7}, "inside the hub ids may follow time"


async def test_what_is_stored_about_people_is_sealed(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    await harness.releases.step()

    def everything(connection: Connection) -> str:
        return repr([connection.execute(select(table)).all() for table in METADATA.sorted_tables])

    dump = await harness.database.read(everything)
    assert str(made[IDVA].id) in dump or made[IDVA].id.hex in dump
    for value in ("Quillfeather", "Larkspur", "900123", "would come back", "Vexley", "Oskar"):
        assert value not in dump


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda harness: setattr(harness.checks, "down", True), "no-answer"),
        (lambda harness: setattr(harness.checks, "version", 2), "newer-version"),
        (lambda harness: harness.parties.suspended.add(IDVA), "recipient-suspended"),
        (lambda harness: setattr(harness.parties, "is_fresh", False), "directory-stale"),
        (lambda harness: harness.parties.opening.pop(IDVA), "recipient-without-key"),
    ],
    ids=["no-answer", "newer-version", "suspended", "stale", "no-key"],
)
async def test_a_doubt_at_the_last_moment_waits_and_is_tried_again(
    harness: SharingHarness, spoil: Callable[[SharingHarness], object], reason: str
) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    key = harness.parties.opening[IDVA]
    spoil(harness)
    assert await harness.releases.step() == 1
    held = await harness.state(made[IDVA].id)
    assert (held.state, held.reason, held.attempts) == ("proven", reason, 1)
    assert await harness.releases.step() == 0, "not before its pause is over"
    harness.checks.down, harness.checks.version, harness.parties.is_fresh = False, None, True
    harness.parties.suspended.clear()
    harness.parties.opening[IDVA] = key
    harness.clock.advance(60)
    assert await harness.releases.step() == 1
    assert len(await harness.packages(IDVA)) == 1
    assert (await harness.state(made[IDVA].id)).reason is None


async def test_a_veto_set_after_the_receipt_stops_the_release(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    harness.checks.vetoes = (marking("must_not_disclose", agency=IDVA),)
    await harness.releases.step()
    assert (await harness.state(made[IDVA].id)).state == "blocked"
    assert await harness.packages(IDVA) == []
    blocked = [event for event in await harness.told() if isinstance(event, DisclosureBlocked)]
    assert [(b.recipient, b.reason_code) for b in blocked] == [(IDVA, "veto")]
    harness.clock.advance(3600)
    assert await harness.releases.step() == 0


async def test_vetoes_the_decision_knew_do_not_stop_it(harness: SharingHarness) -> None:
    known = marking("must_not_disclose", category="child_school")
    made = await harness.take(snapshot(markings=(known,)))
    await harness.receipt(made[IDVA].record_id)
    harness.checks.vetoes = (known,)
    await harness.releases.step()
    assert len(await harness.packages(IDVA)) == 1


async def test_a_newer_snapshot_withdraws_what_has_not_left(harness: SharingHarness) -> None:
    first = await harness.take(snapshot())
    await harness.receipt(first[IDVA].record_id)
    await harness.receipt(first[CARE].record_id)
    second = await harness.take(
        snapshot(
            version=2,
            cause="marking_changed",
            markings=(marking("must_not_disclose", agency=IDVA),),
        )
    )
    assert set(second) == {CARE, SUPPORT}
    await harness.releases.step()
    assert await harness.packages(IDVA) == []
    assert {(await harness.state(each.id)).state for each in first.values()} == {"superseded"}
    withdrawn = [r for r in await harness.records() if r["op"] == "blocked"]
    assert {(r["dl"], r["why"]) for r in withdrawn} == {
        (str(each.id), "superseded") for each in first.values()
    }
    await harness.receipt(second[CARE].record_id)
    harness.checks.version = 2
    await harness.releases.step()
    assert [p.kind for p in await harness.packages(CARE)] == ["disclosure"], (
        "nothing was told before, so nothing is corrected"
    )


async def test_an_older_snapshot_is_recorded_and_ignored(harness: SharingHarness) -> None:
    await harness.take(snapshot(version=3))
    before = await harness.of_case(snapshot().case_id)
    assert await harness.take(snapshot(version=2)) == {}
    assert await harness.of_case(snapshot().case_id) == before
    assert (await harness.records())[-1]["why"] == "older-version"


async def test_changed_facts_become_a_correction_and_unchanged_ones_nothing(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    for each in made.values():
        await harness.receipt(each.record_id)
    await harness.releases.step()
    raised = snapshot().risk.model_copy(update={"score": 18})
    told = tuple(
        f.model_copy(update={"value": "Medium"}) if f.path == "risk.level" else f
        for f in snapshot().facts
    )
    second = await harness.take(snapshot(version=2, risk=raised, facts=told))
    assert set(second) == {IDVA, CARE}, (
        "victim support is not told of the risk, so it has nothing new"
    )
    assert {each.kind for each in second.values()} == {"correction"}
    withheld = [
        r
        for r in await harness.records()
        if r["op"] == "disclosure" and r["out"] == "withhold" and r["rcp"] == SUPPORT
    ]
    assert [r["why"] for r in withheld] == ["nothing-new"]
    said = [
        o.outcome
        for e in await harness.told()
        if isinstance(e, SnapshotDecided)
        for o in e.outcomes
        if o.recipient == SUPPORT
    ]
    assert said == ["permit"], (
        "nothing new is nothing to tell the referrer: what was released stays released"
    )
    assert [e.snapshot_version for e in await harness.told() if isinstance(e, SnapshotDecided)] == [
        1,
        2,
    ], "referral may let go of both"


async def test_a_rejected_record_blocks_its_disclosure_and_no_other(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.reject(made[IDVA].record_id)
    await harness.receipt(made[CARE].record_id)
    await harness.releases.step()
    assert (await harness.state(made[IDVA].id)).reason == "audit-rejected"
    assert (await harness.packages(IDVA), len(await harness.packages(CARE))) == ([], 1)
    assert [e.reason_code for e in await harness.told() if isinstance(e, DisclosureBlocked)] == [
        "audit-rejected"
    ]


async def test_a_receipt_for_another_record_or_from_another_log_proves_nothing(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id, like=made[CARE].record_id)
    await harness.receipt(
        made[SUPPORT].record_id, signer=Signer("log.test.example.org/hub", b"x" * 32)
    )
    await harness.releases.step()
    for agency in (IDVA, SUPPORT):
        found = await harness.state(made[agency].id)
        assert (found.state, found.reason) == ("blocked", "proof-wrong")
        assert await harness.packages(agency) == []


async def test_a_new_key_before_saving_gets_the_same_delivery_sealed_again(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    await harness.releases.step()
    await harness.releases.maintain()
    old = harness.parties.opening[IDVA]
    first = (await harness.packages(IDVA))[0]
    harness.parties.opening[IDVA] = type(old)(
        harness.parties.opening[CARE].kid, IDVA, harness.parties.opening[CARE].private
    )
    await harness.releases.maintain()
    await harness.releases.maintain()
    shown = await harness.envelopes(IDVA, made[IDVA].id)
    assert len(shown) == 2
    assert harness.opened(IDVA, shown[1].delivery.envelope).data["content"] == first.content
    assert [r["ed"] for r in await harness.records() if r["op"] == "resealed"] == [
        shown[1].delivery.digest
    ]


async def test_erasure_stops_what_waits_and_makes_the_rest_unreadable(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    gone = SubjectErased(
        subject_id=VICTIM, case_ids=(snapshot().case_id,), erased_at=harness.clock.now()
    )
    await harness.database.write(
        lambda unit: harness.parts.cases.erased(unit, _from_referral(), gone)
    )
    assert await harness.releases.step() == 0
    with pytest.raises(LookupError):
        await harness.store.write(lambda tx: harness.open_case(tx, snapshot().case_id))
    with pytest.raises(LookupError):
        await harness.store.write(lambda tx: harness.open_evidence(tx, made[IDVA].id))
    later = await harness.take(snapshot(version=2))
    assert set(later) == {IDVA, CARE, SUPPORT}, "the case goes on under a new key"


async def test_urgent_danger_needs_no_risk_assessment_and_no_consent(
    harness: SharingHarness,
) -> None:
    made = await harness.take(urgent(markings=(marking("location_shield", subject=VICTIM),)))
    assert {name: each.clause for name, each in made.items()} == {IDVA: "NM-1"}
    await harness.receipt(made[IDVA].record_id)
    await harness.releases.step()
    told = json.loads(unb64u((await harness.packages(IDVA))[0].content))
    assert (told["urgent"], told["provisional"]) == (True, True)
    assert "larkspur" not in json.dumps(told).lower()


async def test_decisions_are_kept_with_their_inputs(harness: SharingHarness) -> None:
    await harness.take(snapshot())
    query = "SELECT agreement_hash, inputs_hash, snapshot_version FROM decision"
    kept = await harness.database.read(lambda connection: connection.exec_driver_sql(query).all())
    assert [tuple(row) for row in kept] == [
        (harness.rules.agreement.hash, inputs_hash(snapshot()), 1)
    ]


def _from_referral() -> Any:
    return cast(Any, SimpleNamespace(source="svc:referral"))


async def test_a_message_set_aside_about_the_case_holds_its_releases(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
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
        "at": harness.clock.now(),
    }
    await harness.database.write(lambda unit: unit.connection.execute(insert(QUARANTINE), row))
    await harness.releases.step()
    assert (await harness.state(made[IDVA].id)).reason == "stream-held"
    assert await harness.packages(IDVA) == []


async def test_what_keeps_waiting_pages_somebody_once(
    harness: SharingHarness, caplog: pytest.LogCaptureFixture
) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[IDVA].record_id)
    harness.checks.down = True
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        for _ in range(10):
            harness.clock.advance(60)
            await harness.releases.step()
    assert [record.__dict__["alarm"] for record in caplog.records] == ["disclosure-waiting"]
    stuck = await harness.store.read(lambda view: view.disclosures.stuck())
    assert [(s.state, s.reason, s.count) for s in stuck] == [
        ("awaiting_receipt", None, 2),
        ("proven", "no-answer", 1),
    ]


async def test_one_that_cannot_be_sealed_does_not_keep_the_others(
    harness: SharingHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await harness.take(snapshot())
    for each in made.values():
        await harness.receipt(each.record_id)
    whole = harness.outbox.send

    def send(unit: Any, **more: Any) -> Any:
        if more["to"] == [CARE]:
            raise RuntimeError("too large to seal")
        return whole(unit, **more)

    monkeypatch.setattr(harness.outbox, "send", send)
    await harness.releases.step()
    assert (len(await harness.packages(IDVA)), len(await harness.packages(SUPPORT))) == (1, 1)
    held = await harness.state(made[CARE].id)
    assert (held.state, held.reason) == ("proven", "release-failed")


async def test_a_review_date_that_passes_while_the_hub_runs_alarms_once_a_day(
    harness: SharingHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Design section 13, rule 3: the owner hears of it without a restart, every day until the
    agreement is reviewed.
    """

    async def alarms() -> list[str]:
        caplog.clear()
        for _ in range(2):
            await harness.parts.reminder.step()
        return [
            f"{record.__dict__['alarm']} {record.__dict__['agreement']}"
            for record in caplog.records
            if "agreement" in record.__dict__
        ]

    terms = harness.rules.agreement.terms
    last = terms.review_by - harness.clock.now().date()
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        harness.clock.advance(last)
        assert await alarms() == [], "it holds on its last day"
        for _ in range(2):
            harness.clock.advance(timedelta(days=1))
            assert await alarms() == [f"agreement-review-lapsed {terms.id}"]
