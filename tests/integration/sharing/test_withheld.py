"""What a referrer is not shown, and what the desk is shown because nothing else would tell it."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from hubformats.audit_record import Actor
from sharing.cases.model import CaseNotFound
from sharing.decisions.use_cases.preview import preview
from sharing.disclosures.use_cases.looking import disclosures_of
from tests.support.sharing_harness import SharingHarness
from tests.support.snapshots import CASE, snapshot

POLICE, IDVA = "northmoor-police", "northmoor-idva"
ACTOR = Actor(subject="issuer|police-system", agency=POLICE)


@pytest.mark.parametrize(
    "look",
    [
        lambda harness, tx, name: preview(tx, harness.deciding, harness.referrer(), ACTOR, name),
        lambda harness, tx, name: disclosures_of(tx, harness.referrer(), ACTOR, name),
    ],
    ids=["preview", "disclosures"],
)
async def test_who_reported_for_a_third_party_learns_only_that_it_arrived(
    harness: SharingHarness, look: Callable[..., Any]
) -> None:
    name = harness.deciding.reference(POLICE, CASE)
    await harness.take(snapshot(source="partner"))
    assert await harness.store.write(lambda tx: look(harness, tx, name))
    await harness.take(snapshot(source="third_party", version=2))
    before = len(await harness.records())
    with pytest.raises(CaseNotFound):
        await harness.store.write(lambda tx: look(harness, tx, name))
    assert len(await harness.records()) == before


async def test_a_preview_can_be_searched_for_by_the_case(harness: SharingHarness) -> None:
    name = harness.deciding.reference(POLICE, CASE)
    await harness.take(snapshot())
    await harness.store.write(
        lambda tx: preview(tx, harness.deciding, harness.referrer(), ACTOR, name)
    )
    assert [
        each["rt"] for each in await harness.found("case", name) if each["op"] == "consultation"
    ] == ["decision-preview"]


async def test_what_a_suspension_withheld_is_shown_to_the_desk(
    harness: SharingHarness, caplog: pytest.LogCaptureFixture
) -> None:
    harness.parties.suspended.add(IDVA)
    with caplog.at_level(logging.WARNING, "hub.sharing"):
        assert IDVA not in await harness.take(snapshot())
    assert [(r.__dict__["alarm"], r.__dict__["recipient"]) for r in caplog.records] == [
        ("withheld-while-suspended", IDVA)
    ]
    harness.parties.suspended.clear()
    withheld = await harness.store.read(lambda view: view.cases.withheld_while_suspended())
    assert [(each.recipient, each.count) for each in withheld] == [(IDVA, 1)]
    await harness.take(snapshot(version=2))
    assert await harness.store.read(lambda view: view.cases.withheld_while_suspended()) == ()
