"""Deciding again with no new facts: for an agency that was restored, and for one whose disclosure
was blocked."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import NullPool, create_engine, text, update

from common.database import migrate
from common.events.sharing import SnapshotDecided
from deploy.migrations import folder
from hubformats.audit_record import Actor
from hubformats.canonical import unb64u
from hubformats.package_proof import verify_package
from sharing.decisions.use_cases import redeciding
from sharing.decisions.use_cases.deciding import forget_subject
from sharing.decisions.use_cases.preview import preview
from sharing.decisions.use_cases.redeciding import Redecided
from sharing.disclosures.model.disclosure import Disclosure
from sharing.tables import METADATA
from tests.support.sharing_harness import SharingHarness
from tests.support.snapshots import CASE, VICTIM, marking, snapshot

IDVA, CARE, SUPPORT, POLICE = (
    "northmoor-idva",
    "northmoor-social-care",
    "northmoor-victim-support",
    "northmoor-police",
)
ACTOR = Actor(subject="issuer|police-system", agency=POLICE)


async def again(harness: SharingHarness, **more: Any) -> Redecided | None:
    """What the desk's button will do."""
    harness.clock.advance(1)
    return await harness.store.write(
        lambda tx: redeciding.decide_again(tx, harness.deciding, CASE, **more)
    )


async def rows(harness: SharingHarness, recipient: str) -> list[Disclosure]:
    """A recipient's disclosures of the case, oldest first."""
    return [each for each in await harness.of_case(CASE) if each.recipient == recipient]


async def leave(harness: SharingHarness) -> None:
    """Every receipt that is waited for comes, and what is due is tried."""
    for each in await harness.of_case(CASE):
        if each.state == "awaiting_receipt":
            await harness.receipt(each.record_id)
    await harness.releases.step()


async def passed_over(harness: SharingHarness) -> dict[str, int]:
    """What the desk is shown."""
    return {
        each.recipient: each.count
        for each in await harness.store.read(lambda view: view.cases.withheld_while_suspended())
    }


async def entries(harness: SharingHarness, recipient: str) -> list[tuple[str, str]]:
    """Outcome and reason of each decision recorded for a recipient."""
    return [
        (e["out"], e.get("why", ""))
        for e in await harness.records()
        if e["op"] == "disclosure" and e["rcp"] == recipient
    ]


async def test_deciding_again_judges_safe_contact_at_its_own_moment(
    harness: SharingHarness,
) -> None:
    """Verified two days before it came, under a rule of 30 days; looked at again forty days
    later.
    """
    await harness.take(snapshot())
    await leave(harness)
    harness.clock.advance(40 * 86_400)
    await again(harness)
    await leave(harness)

    async def strips(agency: str) -> list[tuple[str, str, str, bool]]:
        contents = [
            json.loads(unb64u(package.content)) for package in await harness.packages(agency)
        ]
        rules = [(each["kind"], each["safeContact"]) for each in contents]
        return [
            (kind, rule["status"], rule["safeUntil"], bool(rule["means"])) for kind, rule in rules
        ]

    until = "2026-12-19"
    assert await strips(IDVA) == [
        ("disclosure", "safe", until, True),
        ("correction", "unverified", until, True),
    ]
    assert await strips(SUPPORT) == [
        ("disclosure", "safe", until, True),
        ("correction", "unverified", until, False),
    ]


async def test_a_restored_agency_is_decided_on_and_gets_it_once(harness: SharingHarness) -> None:
    harness.parties.suspended.add(IDVA)
    await harness.take(snapshot())
    await leave(harness)
    assert await harness.restored.step() == 0, "not while it is suspended"
    harness.parties.suspended.clear()
    harness.parties.is_fresh = False
    assert await harness.restored.step() == 0, "not while nobody can say"
    harness.parties.is_fresh = True
    assert await harness.restored.step() == 1
    assert await harness.packages(IDVA) == [], "not before its receipt"
    await leave(harness)
    package, *more = await harness.packages(IDVA)
    assert more == []
    verdict = verify_package(package, me=IDVA, log=harness.log.verifier)
    assert (verdict.standing, verdict.record["cl"]) == ("proven", "NM-2")
    assert await entries(harness, IDVA) == [("withhold", "suspended"), ("permit", "")]
    assert [len(await harness.packages(agency)) for agency in (CARE, SUPPORT)] == [1, 1]
    assert [len(await entries(harness, agency)) for agency in (CARE, SUPPORT)] == [1, 1], (
        "nobody else was decided on again"
    )
    decided = [
        each
        for event in await harness.told()
        if isinstance(event, SnapshotDecided)
        for each in event.outcomes
    ]
    told = [(o.outcome, o.reason_code) for o in decided if o.recipient == IDVA]
    assert told == [("withhold", "suspended"), ("permit", "")]
    assert await passed_over(harness) == {}
    for _ in range(3):
        harness.clock.advance(60)
        assert await harness.restored.step() == 0
    assert len(await harness.packages(IDVA)) == 1


async def test_a_restoration_nobody_announced_is_noticed_at_the_next_round(
    harness: SharingHarness,
) -> None:
    await harness.restored.step()
    harness.parties.suspended.add(IDVA)
    await harness.take(snapshot())
    harness.parties.suspended.clear()  # we never looked while it was suspended: no change to be seen
    assert await harness.restored.step() == 0
    harness.clock.advance(31)
    assert await harness.restored.step() == 1
    assert [each.state for each in await rows(harness, IDVA)] == ["awaiting_receipt"]


async def test_only_the_restored_one_of_two(harness: SharingHarness) -> None:
    harness.parties.suspended.update((IDVA, CARE))
    await harness.take(snapshot())
    harness.parties.suspended.remove(CARE)
    await harness.restored.step()
    assert (len(await rows(harness, CARE)), len(await rows(harness, IDVA))) == (1, 0)
    assert await passed_over(harness) == {IDVA: 1}
    harness.parties.suspended.clear()
    await harness.restored.step()
    assert (len(await rows(harness, CARE)), len(await rows(harness, IDVA))) == (1, 1)


async def test_a_veto_set_meanwhile_still_stops_it(harness: SharingHarness) -> None:
    harness.parties.suspended.add(IDVA)
    await harness.take(snapshot())
    harness.parties.suspended.clear()
    await harness.restored.step()
    harness.checks.vetoes = (marking("must_not_disclose"),)
    await leave(harness)
    assert [(each.state, each.reason) for each in await rows(harness, IDVA)] == [
        ("blocked", "veto")
    ]
    assert await harness.packages(IDVA) == []


async def test_an_erased_case_is_decided_on_no_more(harness: SharingHarness) -> None:
    harness.parties.suspended.add(IDVA)
    await harness.take(snapshot())
    await harness.store.write(lambda tx: forget_subject(tx, harness.deciding, VICTIM, (CASE,)))
    assert await passed_over(harness) == {}, "there is nothing left that they could be told"
    harness.parties.suspended.clear()
    await harness.store.write(lambda tx: tx.cases.keep_skipped_suspended(CASE, (IDVA,)))
    before = len(await harness.records())
    await harness.restored.step()
    assert await again(harness) is None
    assert (
        len(await harness.records()),
        await rows(harness, IDVA),
        await passed_over(harness),
    ) == (
        before,
        [],
        {},
    )


async def test_who_was_told_the_same_is_told_nothing_twice(harness: SharingHarness) -> None:
    await harness.take(snapshot())
    await leave(harness)
    done = await again(harness)
    assert done is not None
    assert done.prepared == ()
    await leave(harness)
    for agency in (IDVA, CARE, SUPPORT):
        assert len(await harness.packages(agency)) == 1
        assert (await entries(harness, agency))[1:] == [("withhold", "nothing-new")]


async def test_what_is_on_its_way_and_says_the_same_keeps_its_way(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    await harness.receipt(made[CARE].record_id)
    done = await again(harness)
    assert done is not None
    assert done.prepared == ()
    assert [each.state for each in await rows(harness, CARE)] == ["proven"]
    await leave(harness)
    assert [len(await harness.packages(agency)) for agency in (IDVA, CARE, SUPPORT)] == [1, 1, 1]


async def test_a_blocked_one_is_superseded_and_leaves_under_another_id(
    harness: SharingHarness,
) -> None:
    made = await harness.take(snapshot())
    await harness.reject(made[IDVA].record_id)
    assert (await harness.state(made[IDVA].id)).state == "blocked"
    done = await again(harness)
    assert done is not None
    assert done.prepared == (IDVA,)
    old, new = await rows(harness, IDVA)
    assert (old.id, old.state, new.state) == (made[IDVA].id, "superseded", "awaiting_receipt")
    assert (new.id != old.id, new.decision_id) == (True, done.decision_id)
    await leave(harness)
    (package,) = await harness.packages(IDVA)
    assert (package.delivery_id, json.loads(unb64u(package.content))["deliveryId"]) == (
        new.id,
        str(new.id),
    )
    blocked = [
        e["why"] for e in await harness.records() if e["op"] == "blocked" and e["rcp"] == IDVA
    ]
    assert blocked == ["audit-rejected", "superseded"]


async def test_an_agreement_that_changed_is_the_one_that_decides(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    first = harness.rules.agreement
    harness.rules.agreement = replace(first, hash="n" * 43)
    await harness.reject(made[IDVA].record_id)
    await again(harness)
    query = "SELECT agreement_hash, ordinal FROM decision ORDER BY ordinal"
    ruled = await harness.database.read(lambda connection: connection.exec_driver_sql(query).all())
    assert [tuple(row) for row in ruled] == [(first.hash, 0), ("n" * 43, 1)]


async def test_a_preview_shows_the_delivery_that_was_made_again(harness: SharingHarness) -> None:
    made = await harness.take(snapshot())
    await harness.reject(made[IDVA].record_id)
    await again(harness)
    await leave(harness)
    name = harness.deciding.reference(POLICE, CASE)
    shown = await harness.store.write(
        lambda tx: preview(tx, harness.deciding, harness.referrer(), ACTOR, name)
    )
    for agency in (IDVA, CARE):
        content = next(each.content for each in shown.recipients if each.agency == agency)
        assert content == json.loads(unb64u((await harness.packages(agency))[0].content))


async def test_a_case_that_cannot_be_decided_on_keeps_no_other(
    harness: SharingHarness, caplog: pytest.LogCaptureFixture
) -> None:
    other = UUID(int=CASE.int + 1 << 3)
    first, last = sorted((CASE, other))
    harness.parties.suspended.add(IDVA)
    for case_id in (first, last):
        await harness.take(snapshot(case_id=case_id))
    file = METADATA.tables["case_file"]
    spoilt = update(file).where(file.c.case_id == first).values(snapshot_ct=b"x")
    await harness.database.write(lambda unit: unit.connection.execute(spoilt))
    harness.parties.suspended.clear()
    caplog.clear()
    with caplog.at_level(logging.ERROR, "hub.sharing"):
        assert await harness.restored.step() == 2
    assert [record.__dict__["alarm"] for record in caplog.records] == [
        "row-altered",
        "decide-again-failed",
    ]
    assert [each.recipient for each in await harness.of_case(last) if each.recipient == IDVA] == [
        IDVA
    ]
    assert await passed_over(harness) == {IDVA: 1}, "the other is tried again"


async def test_a_long_list_is_gone_through_page_by_page(harness: SharingHarness) -> None:
    harness.parties.suspended.add(IDVA)
    cases = [UUID(int=CASE.int + number) for number in range(20)]
    for case_id in cases:
        await harness.take(snapshot(case_id=case_id))
    harness.parties.suspended.clear()
    assert [await harness.restored.step() for _ in range(3)] == [16, 4, 0]
    assert await passed_over(harness) == {}


def test_disclosures_survive_the_change_of_tables(tmp_path: Path) -> None:
    """SQLite makes a table anew to change it, and the rows that refer to it must not be in the
    way.
    """
    url = f"sqlite:///{tmp_path}/sharing.db"
    migrate(url, folder("sharing"), target="0001")
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO decision VALUES ('a', 'b', 'c', 1, '2026-11-21', 'northmoor', '1', "
                "'h', 'i', x'00')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO disclosure (id, decision_id, case_id, key_id, snapshot_version, "
                "recipient, kind, clause, state, reason, standing,"
                " record_id, commitment, fingerprint, evidence_ct, attempts, sealed_to, decided_at)"
                " VALUES ('d', 'a', 'b', 'c', 1, 'x', 'disclosure', 'NM-2', 'released', '', "
                "'proven', 'r', 'm', 'f', x'00', 0, '', '2026-11-21')"
            )
        )
    migrate(url, folder("sharing"))
    with engine.begin() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
        assert connection.execute(
            text("SELECT d.id, c.ordinal FROM disclosure d JOIN decision c ON c.id = d.decision_id")
        ).all() == [("d", 0)]
        with pytest.raises(Exception, match="FOREIGN KEY"):
            connection.execute(text("DELETE FROM decision"))
    engine.dispose()
