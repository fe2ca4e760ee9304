"""Cases as they lie in the database: older rows open, nothing opens elsewhere or for nobody."""

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from sqlalchemy import Connection, insert, select, update

from common.access import Granted
from common.attempts import Attempt
from common.database import Unit
from common.events.case import CaseSnapshot
from common.sealed import SealRefused, SubjectErased
from hubformats.ids import uuid7
from referral.cases import use_cases as case_use_cases
from referral.cases.model.case import Case
from referral.cases.use_cases import Veto
from referral.context import AgencyDirectory
from referral.intake import use_cases
from referral.intake.model.form import FullReferral
from referral.tables import CaseFile, FactGroup, ReferralRow, table_of
from tests.support.referral_fakes import CONTEXT, HOUSING, RULES, granted
from tests.support.referral_forms import full
from tests.support.referral_harness import ReferralHarness, referral_harness

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOLDEN = Path(__file__).parents[2] / "vectors" / "snapshots"
CASE, REFERRAL, FACTS = table_of(CaseFile), table_of(ReferralRow), table_of(FactGroup)
VETO = Veto(HOUSING, "consent", "r")
"""One that no golden story has, so that it makes a version."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def harness(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ReferralHarness]:
    """One service for the whole module."""
    async with referral_harness(tmp_path_factory.mktemp("referral")) as made:
        yield made


def golden(story: str) -> CaseSnapshot:
    """The newest snapshot of a golden story, with ids of its own."""
    line = (GOLDEN / f"{story}.jsonl").read_text("utf-8").splitlines()[-1]
    ids: dict[str, str] = defaultdict(lambda: str(uuid7()))
    text = re.sub(r'"id-\d+"', lambda found: json.dumps(ids[found[0]]), line)
    return CaseSnapshot.model_validate_json(text)


def written_before(harness: ReferralHarness, unit: Unit, snapshot: CaseSnapshot) -> None:
    """Rows as they were written before a case was made of contributions."""
    keys = harness.store._deps.repositories.subject_keys
    conn, case_id, data = unit.connection, snapshot.case_id, snapshot.data()
    owners = [case_id, *(one.subject_id for one in snapshot.subjects)]
    made = keys.create_fresh(conn, owners)
    head = json.dumps({name: value for name, value in data.items() if name != "facts"})
    row = {
        "id": case_id,
        "area": snapshot.area,
        "version": snapshot.version,
        "head_ct": made[case_id].seal("case_file", "head_ct", case_id, head),
        "changed_at": snapshot.received_at,
    }
    conn.execute(insert(CASE).values(row))
    referral = {
        "id": snapshot.referral_id,
        "case_id": case_id,
        "agency": snapshot.referrer_agency,
        "form": "full",
        "kind": snapshot.kind,
        "area": snapshot.area,
        "source": snapshot.source,
        "state": "submitted",
        "rules_version": snapshot.rules_version,
        "received_at": snapshot.received_at,
        "changed_at": snapshot.received_at,
    }
    conn.execute(insert(REFERRAL).values(referral))
    groups: dict[tuple[UUID, str], list[Any]] = defaultdict(list)
    for place, (fact, raw) in enumerate(zip(snapshot.facts, data["facts"], strict=True)):
        groups[fact.subject or case_id, fact.category].append([place, raw])
    for (owner, category), facts in groups.items():
        row_id = uuid7()
        sealed = made[owner].seal("fact_group", "facts_ct", row_id, json.dumps(facts))
        group = {"case_id": case_id, "key_id": owner, "category": category, "facts_ct": sealed}
        conn.execute(insert(FACTS).values(id=row_id, **group))


@pytest.mark.parametrize("story", sorted(path.stem for path in GOLDEN.glob("*.jsonl")))
async def test_a_row_written_before_opens_and_can_be_changed(
    harness: ReferralHarness, story: str
) -> None:
    snapshot = golden(story)
    await harness.frame.database.write(lambda unit: written_before(harness, unit, snapshot))

    def opened(tx: Any) -> Case:
        found: Case = tx.cases.for_revision(tx.cases.authorised(granted(), snapshot.case_id))
        return found

    case = await harness.store.write(opened)
    assert case.to_snapshot() == snapshot
    assert case.outline.changed_at == snapshot.received_at
    await harness.store.write(
        lambda tx: case_use_cases.set_must_not_disclose(
            tx,
            granted(),
            snapshot.referral_id,
            VETO,
            AgencyDirectory(frozenset({HOUSING})),
            CONTEXT,
        )
    )
    marked = (await harness.store.write(opened)).to_snapshot()
    assert marked.facts == snapshot.facts
    assert (marked.version, len(marked.markings)) == (
        snapshot.version + 1,
        len(snapshot.markings) + 1,
    )


async def test_a_case_stored_with_the_same_veto_twice_stands_until_both_are_lifted(
    harness: ReferralHarness,
) -> None:
    """Until a repeat was answered with itself, the same veto could be set twice."""
    made = golden("full-vetoed-twice")
    first_set = next(each for each in made.markings if each.kind == "must_not_disclose")
    twin = first_set.model_copy(update={"marking_id": uuid7()})
    snapshot = made.model_copy(update={"markings": (*made.markings, twin)})
    await harness.frame.database.write(lambda unit: written_before(harness, unit, snapshot))
    veto = Veto(twin.agency, twin.category, "r")
    known, version = await harness.store.write(
        lambda tx: case_use_cases.set_must_not_disclose(
            tx,
            granted(),
            snapshot.referral_id,
            veto,
            AgencyDirectory(frozenset({HOUSING})),
            CONTEXT,
        )
    )
    assert (known, version) == (first_set, snapshot.version)

    def lifted(tx: Any, veto_id: UUID) -> list[UUID]:
        proof = tx.cases.authorised(granted(), snapshot.case_id)
        case = tx.cases.for_revision(proof)
        tx.cases.replace(proof, case, case.lift(veto_id, CONTEXT.clock.now()))
        left = tx.cases.outline(tx.cases.authorised(granted(), snapshot.case_id)).markings
        return [each.marking_id for each in left if each.kind == twin.kind]

    first = await harness.store.write(lambda tx: lifted(tx, known.marking_id))
    assert twin.marking_id in first, "the other one still stands"
    second = await harness.store.write(lambda tx: lifted(tx, twin.marking_id))
    assert twin.marking_id not in second


async def stored(harness: ReferralHarness) -> Case:
    """A case of the police's."""
    form = FullReferral.model_validate(full(externalReference=str(uuid7())))
    attempt = Attempt(uuid7().bytes * 2, b"r")
    made = await harness.store.write(
        lambda tx: use_cases.submit_referral(tx, granted(), form, attempt, CONTEXT, RULES)
    )
    return made.case


@pytest.mark.parametrize(
    "who",
    [
        granted(HOUSING),
        granted(HOUSING, "case.read"),
        granted("svc:sharing", "case.read", "svc-portal"),
        granted("svc:sharing", "referral.read", "svc-sharing"),
        granted(HOUSING, "contact.read", HOUSING),
    ],
)
async def test_a_valid_grant_without_a_relation_opens_nothing_in_storage(
    harness: ReferralHarness, who: Granted
) -> None:
    """The repository itself is asked, past every route and use case."""
    case = await stored(harness)
    case_id, referral_id = case.outline.case_id, case.outline.newest.contribution_id

    def asked(tx: Any) -> list[Any]:
        return [tx.cases.authorised(who, case_id), tx.referrals.own(who, referral_id)]

    assert await harness.store.write(asked) == [None, None]


async def test_a_head_put_into_another_row_does_not_open(harness: ReferralHarness) -> None:
    one, two = (await stored(harness)).outline.case_id, (await stored(harness)).outline.case_id

    def swap(connection: Connection) -> None:
        head = connection.execute(select(CASE.c.head_ct).where(CASE.c.id == one)).scalar_one()
        connection.execute(update(CASE).where(CASE.c.id == two).values(head_ct=head))

    await harness.frame.database.write(lambda unit: swap(unit.connection))
    with pytest.raises(SealRefused):
        await harness.store.write(
            lambda tx: tx.cases.outline(tx.cases.authorised(granted(), two))  # type: ignore[arg-type]
        )


async def test_what_was_about_an_erased_person_is_gone_and_the_rest_stands(
    harness: ReferralHarness,
) -> None:
    case = await stored(harness)
    keys = harness.store._deps.repositories.subject_keys
    victim, case_id = case.outline.victim, case.outline.case_id
    await harness.frame.database.write(lambda unit: keys.destroy(unit.connection, victim))

    def opened(tx: Any) -> Case:
        found: Case = tx.cases.for_revision(tx.cases.authorised(granted(), case_id))
        return found

    left = await harness.store.write(opened)
    assert left.outline == case.outline
    assert left.told == tuple(fact for fact in case.told if fact.subject != victim)
    await harness.frame.database.write(lambda unit: keys.destroy(unit.connection, case_id))
    with pytest.raises(SubjectErased):
        await harness.store.write(opened)
