"""An administrator of sharing's database, with the login of any agency, reads nothing of another's:
every column of every table is swapped with another row's, and every road is tried.
"""

import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Column, Connection, Table, delete, insert, select, update

from common.outbox.tables import OUTBOX
from common.sealed import RowAltered
from hubformats.canonical import unb64u
from hubformats.keys import generate_opening
from sharing.cases.model import CaseNotFound
from sharing.decisions.use_cases.preview import preview
from sharing.disclosures.model.disclosure import State
from sharing.disclosures.repository.older import OlderRows, seal_older_rows
from sharing.disclosures.use_cases import emergency
from sharing.disclosures.use_cases.looking import disclosures_of
from sharing.look_tables import LookParty, LookRow, UndecidedRow
from sharing.notice_tables import KEY_LOOK, KEY_USE, SIGNED, NoticeRow
from sharing.tables import (
    DELIVERY,
    METADATA,
    ROW_ALTERED,
    CaseRow,
    DecisionRow,
    DisclosureRow,
    table_of,
)
from tests.integration.sharing.test_emergency import ACTOR, invoke, person
from tests.support.databases import database_url
from tests.support.sharing_harness import SharingHarness, sharing_harness
from tests.support.snapshots import CASE, snapshot

__all__ = ["database_url"]

POLICE, HOUSING = "northmoor-police", "northmoor-housing"
IDVA, CARE, SUPPORT = "northmoor-idva", "northmoor-social-care", "northmoor-victim-support"
AGENCIES: Final = (POLICE, HOUSING, IDVA, CARE, SUPPORT)
OTHER = UUID("01932000-0000-7000-8000-0000000000f1")
CASE_FILE, DECISION, DISCLOSURE = map(table_of, (CaseRow, DecisionRow, DisclosureRow))
OWN: Final = (CASE_FILE, DECISION, DISCLOSURE, DELIVERY)

PUBLIC = "public: the log's own signature vouches for it, or the package is refused"
UNREAD = "nothing reads it: what was decided stands sealed in detail_ct and in the log's record"
HARMLESS: Final[Mapping[str, str]] = {
    "disclosure.leaf_index": PUBLIC,
    "decision.id": "its name, to which the sealed detail is bound: swapping it swaps the detail",
    "decision.case_id": UNREAD,
    "decision.key_id": UNREAD,
    "decision.snapshot_version": UNREAD,
    "decision.ordinal": UNREAD,
    "decision.as_of": UNREAD,
    "decision.agreement": UNREAD,
    "decision.agreement_version": UNREAD,
    "decision.agreement_hash": UNREAD,
    "decision.inputs_hash": UNREAD,
    "passed_over.agency": "whoever stands here is decided on by the agreement, like everybody",
    "passed_over.case_id": "the same",
    "passed_over.since": "a time on the operator's list",
    "inbox_place.agency": "the next free place: a place that is taken is refused",
    "inbox_place.last": "the same",
    **{
        f"{table.name}.{column.key}": "what an agency signed: a warning to it, no content, no person"
        for table in (table_of(NoticeRow), SIGNED, KEY_LOOK, KEY_USE)
        for column in table.c
    },
    **{
        f"undecided.{column.key}": "whose turn it is; what is opened must say the same, see below"
        for column in table_of(UndecidedRow).c
    },
    **{
        f"{table.name}.{column.key}": "opens nothing; test_swapped_looks swaps each of them"
        for table in (table_of(LookRow), table_of(LookParty))
        for column in table.c
    },
}
"""Columns that decide nothing of who sees what, each with the reason."""
BY_THE_PROOF: Final = {"disclosure.leaf", "disclosure.proof"}
"""Refused as a proof that does not prove, which blocks the delivery."""


def columns() -> Iterator[tuple[Table, str]]:
    """Every column of sharing's own tables that decides who sees what."""
    for table in OWN:
        for column in table.c:
            if f"{table.name}.{column.key}" not in HARMLESS:
                yield table, column.key


def test_every_column_of_sharing_is_judged() -> None:
    """A new column is swapped below, or says here why it decides nothing."""
    plumbing = (
        "audit_",
        "outbox",
        "inbox",
        "stream_",
        "quarantine",
        "idempotent",
        "dpop",
        "subject",
    )
    known = {f"{table.name}.{name}" for table, name in columns()} | set(HARMLESS)
    there = {
        f"{table.name}.{column.key}"
        for table in METADATA.tables.values()
        if table.name == "inbox_place" or not table.name.startswith(plumbing)
        for column in table.c
    }
    assert there == known


Rows = dict[str, list[dict[str, Any]]]


class Stage:
    """Two cases of two referrers, with a disclosure in each state; put back before each attack."""

    def __init__(self, harness: SharingHarness, rows: Rows) -> None:
        self.harness = harness
        self.rows = rows

    @classmethod
    async def made(cls, harness: SharingHarness) -> "Stage":
        """One of each agency's disclosures waits, one is proven and one has left, in each case."""
        mine = await harness.take(snapshot())
        other = await harness.take(snapshot(case_id=OTHER, referrer_agency=HOUSING))
        for one in (mine[IDVA], other[SUPPORT]):
            await harness.receipt(one.record_id)
        assert await harness.releases.step() == 2
        harness.checks.down = True
        for one in (mine[SUPPORT], other[CARE]):
            await harness.receipt(one.record_id)
        harness.parties.opening[IDVA] = generate_opening(IDVA)
        harness.parties.opening[SUPPORT] = generate_opening(SUPPORT)
        harness.checks.down = False
        made = cls(harness, await harness.database.read(_everything))
        await made.put_back()
        return made

    async def put_back(self) -> None:
        """Every row as it was."""

        def work(connection: Connection) -> None:
            connection.execute(delete(OUTBOX).where(OUTBOX.c.topic.like("hub.disclosure.%")))
            for table in reversed(OWN):
                connection.execute(delete(table))
            for table in OWN:
                connection.execute(insert(table), self.rows[table.name])

        await self.harness.database.write(lambda unit: work(unit.connection))
        self.harness.parts.altered._told.clear()
        self.harness.clock.advance(31)

    def pairs(self, table: Table) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Rows of the two cases that stand alike and belong to different agencies."""
        rows = self.rows[table.name]
        if table is DISCLOSURE:
            for state in (State.AWAITING_RECEIPT, State.PROVEN, State.RELEASED):
                first, second = (
                    [row for row in rows if (row["case_id"], row["state"]) == (case, state.value)]
                    for case in (CASE, OTHER)
                )
                yield next(
                    (one, two)
                    for one in first
                    for two in second
                    if one["recipient"] != two["recipient"]
                )
        else:
            yield rows[0], rows[-1]

    async def swap(self, table: Table, name: str) -> None:
        """Give each of a pair the other's value; where they agree, one of them another value."""

        def work(connection: Connection) -> None:
            for one, two in self.pairs(table):
                made = [{**one, name: two[name]}, {**two, name: one[name]}]
                if one[name] == two[name]:
                    made = [{**one, name: _another(table.c[name], one[name])}, two]
                keys = [
                    [column == row[column.key] for column in table.primary_key]
                    for row in (one, two)
                ]
                if table.c[name].primary_key or name == "record_id":
                    for key in keys:
                        connection.execute(delete(table).where(*key))
                    connection.execute(insert(table), made)
                    continue
                for key, row in zip(keys, made, strict=True):
                    connection.execute(update(table).where(*key).values({name: row[name]}))

        await self.harness.database.write(lambda unit: work(unit.connection))


def _everything(connection: Connection) -> Rows:
    return {
        table.name: [dict(row) for row in connection.execute(select(table)).mappings()]
        for table in OWN
    }


def _another(column: Column[Any], value: Any) -> Any:
    """A value of the column's type that is not this one."""
    match value:
        case None:
            return {"leaf": b"leaf", "proof": "proof"}.get(column.key, datetime.now(UTC))
        case str():
            return f"{value[:8]}x"
        case bytes():
            return value[::-1]
        case datetime():
            return value + timedelta(hours=1)
        case dict():
            return {**value, "urgent": not value.get("urgent")}
        case UUID():
            return uuid4()
        case _:
            return value + 1


class Roads:
    """Every road by which an agency is shown something, tried by every agency."""

    def __init__(self, stage: Stage) -> None:
        self.harness = harness = stage.harness
        rows = stage.rows["disclosure"]
        self.recipient = {row["id"]: row["recipient"] for row in rows}
        referrers = {CASE: POLICE, OTHER: HOUSING}
        self.referrer = {row["id"]: referrers[row["case_id"]] for row in rows}
        self.reference = {
            harness.deciding.reference(agency, case): agency for case, agency in referrers.items()
        }

    async def tried(self) -> None:
        """Nobody is shown anything of another's, whatever is refused on the way."""
        for agency in AGENCIES:
            await self._inbox(agency)
            await self._referrals(agency)
            await self._emergencies(agency)
        await self.harness.releases.step()
        await self.harness.releases.maintain()
        for agency in AGENCIES:
            own = {self.harness.deciding.reference(agency, case) for case in (CASE, OTHER)}
            for package in await self.harness.packages(agency):
                assert self.recipient[package.delivery_id] == agency
                assert json.loads(unb64u(package.content))["caseReference"] in own

    async def _inbox(self, agency: str) -> None:
        reader, store, now = (
            self.harness.reader(agency),
            self.harness.store,
            self.harness.clock.now(),
        )
        shown = await store.write(lambda tx: tx.inbox.behind(reader, 0, 100, now))
        for one in self.recipient:
            with suppress(RowAltered):
                shown += await self.harness.envelopes(agency, one)
            with suppress(RowAltered):
                given = await store.write(
                    lambda tx, one=one: tx.inbox.given_to(reader, one)  # type: ignore[misc]
                )
                shown += given.shown if given else ()
        assert {self.recipient[each.delivery.delivery_id] for each in shown} <= {agency}

    async def _referrals(self, agency: str) -> None:
        granted, store = self.harness.referrer(agency), self.harness.store
        for reference, referrer in self.reference.items():
            for look in (
                lambda tx, name: preview(tx, self.harness.deciding, granted, ACTOR, name),
                lambda tx, name: disclosures_of(tx, granted, ACTOR, name),
            ):
                with suppress(CaseNotFound, RowAltered):
                    await store.write(lambda tx, look=look, name=reference: look(tx, name))  # type: ignore[misc]
                    assert referrer == agency

    async def _emergencies(self, agency: str) -> None:
        who = person(self.harness, agency=agency)
        listed, _ = await self.harness.store.write(lambda tx: emergency.unproven_of(tx, who, ACTOR))
        assert {self.referrer[each.disclosure.id] for each in listed} <= {agency}
        for one in self.recipient:
            found = self.harness.state
            with suppress(RowAltered, emergency.DisclosureNotFound, emergency.NotWaiting):
                await invoke(self.harness, await found(one), who)
                assert self.referrer[one] == agency


@pytest.fixture
async def stage(database_url: str, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage on a fresh database of either kind."""
    async with sharing_harness(database_url, tmp_path) as made:
        yield await Stage.made(made)


async def test_every_swapped_column_is_refused_alarmed_and_recorded(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    roads, believed = Roads(stage), []
    await roads.tried()
    assert not [each for each in await stage.harness.records() if each.get("why") == ROW_ALTERED]
    for table, name in columns():
        await stage.put_back()
        before = len(await stage.harness.records())
        caplog.clear()
        await stage.swap(table, name)
        with caplog.at_level(logging.ERROR):
            await roads.tried()
        alarms = {record.__dict__.get("alarm") for record in caplog.records}
        noted = {
            (each.get("why"), each.get("rt")) for each in (await stage.harness.records())[before:]
        }
        place = f"{table.name}.{name}"
        wanted = (ROW_ALTERED, table.name)
        if place in BY_THE_PROOF:
            refused = "proof-refused" in alarms or (ROW_ALTERED, "disclosure") in noted
        else:
            refused = ROW_ALTERED in alarms and wanted in noted
        if not refused:
            believed.append(place)
    assert not believed


async def test_rows_of_before_are_sealed_once_and_never_again(stage: Stage) -> None:
    """An update finds rows without a seal; from then on none is believed."""
    harness = stage.harness

    async def bare() -> None:
        def work(connection: Connection) -> None:
            for table in (CASE_FILE, DISCLOSURE, DELIVERY):
                connection.execute(update(table).values(row_seal=None))

        await harness.database.write(lambda unit: work(unit.connection))

    await bare()
    with pytest.raises(RowAltered):
        await harness.of_case(CASE)
    seal = harness.parts.seals
    count = await harness.database.write(lambda unit: seal_older_rows(unit.connection, seal))
    assert count == sum(len(stage.rows[each.name]) for each in (CASE_FILE, DISCLOSURE, DELIVERY))
    await Roads(stage).tried()
    assert not [each for each in await harness.records() if each.get("rt") == "delivery"]
    await bare()
    await OlderRows(harness.frame, seal).start()
    with pytest.raises(RowAltered):
        await harness.of_case(CASE)


@pytest.mark.parametrize("name", [column.key for column in table_of(UndecidedRow).c])
async def test_what_waits_is_decided_on_as_it_came_or_not_at_all(
    stage: Stage, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """An order changed is an order changed; nobody's facts are decided on as another's."""
    harness, waiting = stage.harness, table_of(UndecidedRow)
    made = [
        snapshot(case_id=uuid4(), version=7 + place, referrer_agency=sender, urgent=sender == IDVA)
        for place, sender in enumerate((POLICE, IDVA))
    ]
    for each in made:
        await harness.store.write(lambda tx, each=each: tx.undecided.add(each))  # type: ignore[misc]

    def swap(connection: Connection) -> None:
        one, two = (dict(row) for row in connection.execute(select(waiting)).mappings())
        connection.execute(delete(waiting))
        changed = {**one, name: two[name]}, {**two, name: one[name]}
        connection.execute(insert(waiting), changed)

    await harness.database.write(lambda unit: swap(unit.connection))
    with caplog.at_level(logging.ERROR):
        while [await harness.parts.turns.step(urgent=urgent) for urgent in (True, False)] != [
            None,
            None,
        ]:
            pass
    known = {each.case_id: (each.version, each.referrer_agency) for each in made}
    found = await harness.store.write(lambda tx: tx.cases.named(list(known)))
    assert {one: (case.version, case.referrer) for one, case in found.items()}.items() <= (
        known.items()
    )
    alarms = {record.__dict__.get("alarm") for record in caplog.records}
    order_alone = name in {"urgent", "again_at"}
    assert (ROW_ALTERED in alarms, bool(found)) == (not order_alone, order_alone)
