"""Records of a real producer over a real bus become receipts that verify, a public log that checks
out, and answers to auditors."""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from audit.log.model.entries import LogHalted
from audit.questions.model import Entitlements, Rules, RulesUnknown, rules_on
from audit.wiring import rules
from hubformats.audit_record import Actor, record_hash
from hubformats.canonical import parse, unb64u
from hubformats.tlog import Verifier, verify_proof
from hubformats.tlog.whole_log import check_whole_log
from tests.support.audit_service import IDVA, POLICE, AuditHarness, running_audit
from tests.support.members import until


@pytest.fixture
async def harness(tmp_path: Path) -> AsyncIterator[AuditHarness]:
    async with running_audit(tmp_path) as made:
        yield made


async def fetched(harness: AuditHarness) -> dict[str, bytes]:
    """The whole public log, read over HTTP without any token."""
    files: dict[str, bytes] = {}
    missing: list[str] = []

    def note(path: str) -> bytes:
        if path not in files:
            missing.append(path)
            raise OSError(path)
        return files[path]

    log = Verifier.parse((await harness.raw("GET", "/log/vkey")).text)
    while True:
        missing.clear()
        try:
            check_whole_log(note, log)
            return files
        except ValueError:
            if not missing:
                raise
            answer = await harness.raw("GET", f"/log/{missing[0]}")
            assert answer.status_code == 200, missing
            files[missing[0]] = answer.content


async def test_each_record_is_proven_and_the_public_log_checks_out(harness: AuditHarness) -> None:
    await harness.record(300)
    await harness.receipted(301)
    log = Verifier.parse(harness.bootstrap.log.vkey)
    for receipt in harness.receipts:
        assert verify_proof(receipt.proof, receipt.leaf, log).index == receipt.index
        assert parse(receipt.leaf)["h"] == record_hash(receipt.salt, receipt.record)
    await until(lambda: harness.sequencer.published_size >= 302)
    files = await fetched(harness)
    assert check_whole_log(files.__getitem__, log).checkpoint.size >= 302
    published = b"".join(files.values())
    assert POLICE.encode() not in published
    assert b"per-officer" not in published


async def test_entry_0_commits_to_the_operators_bootstrap_file(harness: AuditHarness) -> None:
    opened = (await harness.raw("GET", "/log/genesis")).json()
    record, salt, leaf = (unb64u(opened[name]) for name in ("record", "salt", "leaf"))
    assert unb64u(parse(record)["ed"]) == harness.bootstrap.digest
    assert parse(leaf)["h"] == record_hash(salt, record)


async def test_an_auditor_finds_by_case_recipient_delivery_actor_operation_and_time(
    harness: AuditHarness,
) -> None:
    delivery = str(uuid4())
    await harness.record(recipient=IDVA, delivery=delivery, case_references=("NM-7F3K-9QXA-2C4T",))
    await harness.record(3, operation="consultation", recipient="northmoor-health")
    await harness.receipted(5)
    for wanted in (
        {"caseReference": "nm 7f3k9qxa2c4t"},
        {"recipient": IDVA},
        {"delivery": delivery},
        {"actor": "per-officer", "operation": "disclosure"},
        {"actor": "per-officer", "recipient": IDVA, "from": "2020-01-01T00:00:00Z"},
    ):
        items = await harness.found(wanted)
        assert [item["record"].get("dl") for item in items] == [delivery], wanted
    assert len(await harness.found({"operation": "consultation"})) == 3
    assert await harness.found({"recipient": IDVA, "to": "2020-01-01T00:00:00Z"}) == []
    assert await harness.found({"caseReference": "NM-0000-0000-0000"}) == []


async def test_the_question_is_an_entry_before_it_is_answered_and_its_purpose_stands_in_it(
    harness: AuditHarness,
) -> None:
    assert await harness.found({"operation": "audit_query"}) == []
    items = await harness.found({"operation": "audit_query"})
    assert [(item["operation"], item["record"]["pu"], item["record"]["org"]) for item in items] == [
        ("audit_query", "verify_lawfulness", "northmoor")
    ]
    assert "Dip sample" not in str(items)


async def test_an_entry_comes_with_a_proof_that_anybody_can_check(harness: AuditHarness) -> None:
    await harness.record(recipient=IDVA)
    await harness.receipted(2)
    (item,) = await harness.found({"recipient": IDVA})
    entry = (await harness.call("GET", f"/v1/entries/{item['index']}")).json()
    leaf = unb64u(entry["leaf"])
    assert entry["verified"] is True
    assert verify_proof(entry["proof"], leaf, harness.bootstrap.log.vkey).index == item["index"]
    assert parse(leaf)["h"] == record_hash(unb64u(entry["salt"]), unb64u(entry["recordBytes"]))
    proof = await harness.call("GET", f"/v1/entries/{item['index']}/proof")
    assert proof.headers["content-type"].startswith("text/plain")
    checked = await harness.call(
        "POST", "/v1/verifications", json={"leaf": entry["leaf"], "proof": proof.text}
    )
    assert checked.json()["verified"] is True
    forged = await harness.call(
        "POST", "/v1/verifications", json={"leaf": entry["leaf"][:-2] + "AA", "proof": proof.text}
    )
    assert forged.json()["verified"] is False


async def test_a_record_changed_beside_the_log_is_shown_as_what_it_is(
    harness: AuditHarness,
) -> None:
    await harness.record(2, recipient=IDVA)
    await harness.receipted(3)
    newest, older = await harness.found({"recipient": IDVA})
    with closing(sqlite3.connect(harness.folder / "audit.db")) as insider, insider:
        insider.execute(
            "UPDATE entry SET record = CAST(replace(record, 'permit', 'refused') AS BLOB) WHERE "
            "idx = ?",
            (older["index"],),
        )
    assert [
        (item["intact"], item["outcome"]) for item in await harness.found({"recipient": IDVA})
    ] == [
        (True, "permit"),
        (False, ""),
    ]
    assert (await harness.call("GET", f"/v1/entries/{older['index']}")).json()["verified"] is False
    assert (await harness.call("GET", f"/v1/entries/{newest['index']}")).json()["verified"] is True


async def test_the_operator_finds_edited_search_rows_and_rebuilds_them(
    harness: AuditHarness,
) -> None:
    await harness.record(2, recipient=IDVA)
    await harness.receipted(3)
    operator = harness.token(
        scope="agency.manage",
        sub="operator",
        client_id="operator",
        agency="northmoor",
        roles=["operator"],
    )
    with closing(sqlite3.connect(harness.folder / "audit.db")) as insider, insider:
        insider.execute("DELETE FROM lookup WHERE rcp = ?", (IDVA,))
    assert await harness.found({"recipient": IDVA}) == []
    assert (await harness.call("POST", "/v1/search-rows/check", token=operator)).json()[
        "different"
    ] == 2
    assert (await harness.call("POST", "/v1/search-rows/rebuild")).status_code == 403
    assert (
        await harness.call("POST", "/v1/search-rows/rebuild", token=operator)
    ).status_code == 200
    assert (await harness.call("POST", "/v1/search-rows/check", token=operator)).json()[
        "different"
    ] == 0
    assert len(await harness.found({"recipient": IDVA})) == 2


async def test_a_halted_log_takes_no_question_and_stays_readable(harness: AuditHarness) -> None:
    await harness.record(recipient=IDVA)
    await harness.receipted(2)
    asked = await harness.ask({"recipient": IDVA})
    harness.sequencer.halt(LogHalted("root-differs"))
    refused = await harness.call("POST", "/v1/queries", json=question({"recipient": IDVA}))
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert len((await harness.call("GET", asked)).json()["items"]) == 1
    assert (await harness.raw("GET", "/log/checkpoint")).status_code == 200
    assert (await harness.raw("GET", "/readyz")).status_code == 503
    assert (await harness.call("GET", "/v1/completeness")).json()["verdict"] == "halted"
    await harness.record()
    await asyncio.sleep(0.3)
    assert len(harness.receipts) == 2


async def test_an_agencys_auditor_sees_its_own_entries_only_and_the_rest_is_not_there(
    harness: AuditHarness,
) -> None:
    await harness.record(recipient=IDVA)
    await harness.record(recipient="northmoor-health", actor=bed_actor("northmoor-social-care"))
    await harness.receipted(3)
    all_seen = {
        item["record"].get("rcp"): item["index"]
        for item in await harness.found({"operation": "disclosure"})
    }
    assert set(all_seen) == {IDVA, "northmoor-health"}
    own = harness.token(agency=IDVA, sub="per-idva-auditor")
    assert [
        item["record"]["rcp"]
        for item in await harness.found({"operation": "disclosure"}, token=own)
    ] == [IDVA]
    assert (
        await harness.call("GET", f"/v1/entries/{all_seen[IDVA]}", token=own)
    ).status_code == 200
    hidden = await harness.call("GET", f"/v1/entries/{all_seen['northmoor-health']}", token=own)
    absent = await harness.call("GET", "/v1/entries/999999", token=own)
    assert hidden.status_code == absent.status_code == 404
    for name in ("type", "title", "detail", "code"):
        assert hidden.json()[name] == absent.json()[name]


@pytest.mark.parametrize("column", ["org", "rcp"])
async def test_a_search_row_that_was_swapped_shows_nobody_anothers_entry(
    harness: AuditHarness, column: str
) -> None:
    await harness.record(recipient="northmoor-health", actor=bed_actor("northmoor-social-care"))
    await harness.receipted(1)
    [item] = await harness.found({"operation": "disclosure"})
    swap = f"UPDATE lookup SET {column} = '{IDVA}' WHERE idx = {item['index']}"  # noqa: S608
    with closing(sqlite3.connect(harness.folder / "audit.db")) as connection:
        connection.execute(swap)
        connection.commit()
    own = harness.token(agency=IDVA, sub="per-idva-auditor")
    assert await harness.found({"operation": "disclosure"}, token=own) == []
    hidden = await harness.call("GET", f"/v1/entries/{item['index']}", token=own)
    assert hidden.status_code == 404


def bed_actor(agency: str) -> Actor:
    return Actor("someone", agency)


async def test_a_question_is_answered_to_its_asker_alone(harness: AuditHarness) -> None:
    path = await harness.ask({"operation": "heartbeat"})
    assert (await harness.call("GET", path)).status_code == 200
    assert (
        await harness.call("GET", path, token=harness.token(agency=IDVA, sub="another"))
    ).status_code == 404
    assert (
        await harness.call("GET", path, token=harness.token(client_id="another-client"))
    ).status_code == 404


async def test_no_mandate_no_sight_and_no_purpose_no_entry(harness: AuditHarness) -> None:
    unmandated = harness.token(sub="per-somebody")
    refused = await harness.call(
        "POST", "/v1/queries", token=unmandated, json=question({"operation": "heartbeat"})
    )
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    unasked = await harness.call("GET", "/v1/entries/0")
    assert (unasked.status_code, unasked.json()["code"]) == (403, "purpose-required")
    assert (
        await harness.call("GET", "/v1/entries/0", token=harness.token(scope="audit.verify"))
    ).status_code == 403
    assert (await harness.raw("GET", "/v1/entries/0")).status_code == 401


def question(wanted: dict[str, object], **changes: object) -> dict[str, object]:
    return {
        "purpose": "verify_lawfulness",
        "justification": "Dip sample.",
        "filter": wanted,
        **changes,
    }


@pytest.mark.parametrize(
    "body",
    [
        question({}),
        question({"operation": "gossip"}),
        question({"operation": "search"}, purpose="curiosity"),
        question({"operation": "search"}, justification=""),
        question({"emergency": False}),
    ],
)
async def test_a_question_without_a_lawful_purpose_or_object_is_refused(
    harness: AuditHarness, body: dict[str, object]
) -> None:
    assert (await harness.call("POST", "/v1/queries", json=body)).status_code == 422


async def test_pages_do_not_move_while_the_log_grows(harness: AuditHarness) -> None:
    await harness.record(7, recipient=IDVA)
    await harness.receipted(8)
    path = await harness.ask({"recipient": IDVA})
    seen: list[int] = []
    cursor = ""
    while True:
        page = (await harness.call("GET", f"{path}?limit=3{cursor}")).json()
        seen += [item["index"] for item in page["items"]]
        await harness.record(recipient=IDVA)
        if page.get("nextCursor") is None:
            break
        cursor = f"&cursor={page['nextCursor']}"
    assert len(seen) == 7
    assert seen == sorted(seen, reverse=True)


async def test_completeness_names_every_producer(harness: AuditHarness) -> None:
    await harness.record(2)
    await harness.receipted(3)
    board = (await harness.call("GET", "/v1/completeness")).json()
    assert board["verdict"] == "complete"
    assert {one["service"] for one in board["producers"]} == {"audit", "sharing"}
    assert {one["service"]: one["highestSeq"] for one in board["producers"]}["sharing"] == 3
    assert board["signedSize"] == board["logSize"]


async def test_tiles_are_immutable_and_nothing_else_is_served_from_the_folder(
    harness: AuditHarness,
) -> None:
    await until(lambda: harness.sequencer.checkpoint is not None)
    size = harness.sequencer.published_size
    tile = await harness.raw("GET", f"/log/tile/0/000.p/{size}")
    assert tile.status_code == 200
    assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert len(tile.content) == 32 * size
    for path in (
        "0/../../audit.db",
        "..%2f..%2faudit.db",
        "0/000.p/0",
        "0/00",
        "8/000",
        "entries/x000/000",
    ):
        assert (await harness.raw("GET", f"/log/tile/{path}")).status_code == 404, path
    checkpoint = await harness.raw("GET", "/log/checkpoint")
    assert checkpoint.headers["cache-control"] == "no-cache"
    assert base64.b64decode(checkpoint.text.split("\n")[2])


async def test_a_restart_loses_nothing_and_goes_on(harness: AuditHarness) -> None:
    await harness.record(20)
    await harness.receipted(21)
    await harness.stop()
    await harness.start()
    await harness.record(20)
    await harness.receipted(42)
    log = Verifier.parse(harness.bootstrap.log.vkey)
    for receipt in harness.receipts:
        verify_proof(receipt.proof, receipt.leaf, log)
    assert len({receipt.index for receipt in harness.receipts}) == len(harness.receipts)


async def test_each_further_page_is_an_entry_before_it_is_shown(harness: AuditHarness) -> None:
    await harness.record(5, recipient=IDVA)
    await harness.receipted(6)
    path = await harness.ask({"recipient": IDVA})

    async def size() -> int:
        found: int = (await harness.call("GET", "/v1/completeness")).json()["logSize"]
        return found

    asked = await size()
    first = (await harness.call("GET", f"{path}?limit=2")).json()
    assert await size() == asked, "the question's own entry stands for the first page"
    second = await harness.call("GET", f"{path}?limit=2&cursor={first['nextCursor']}")
    assert second.status_code == 200
    assert await size() == asked + 1


async def test_a_purpose_of_yesterday_shows_no_page(harness: AuditHarness) -> None:
    path = await harness.ask({"operation": "heartbeat"})
    assert (await harness.call("GET", path)).status_code == 200
    entry = (await harness.call("GET", "/v1/entries/0")).status_code
    entitled = harness.service.app.provisions.get(Entitlements)
    tomorrow = Rules("test/2", entitled.mandates.area, date(2100, 1, 1), timedelta(0))
    object.__setattr__(entitled, "rules", (*entitled.rules, tomorrow))  # frozen for all but a test
    assert ((await harness.call("GET", path)).status_code, entry) == (200, 200), (
        "a clock that is not in force yet"
    )
    today = replace(tomorrow, effective_from=date(2026, 5, 1))
    object.__setattr__(entitled, "rules", (*entitled.rules, today))
    for place in (path, "/v1/entries/0"):
        late = await harness.call("GET", place)
        assert (late.status_code, late.json()["code"]) == (403, "purpose-required")


def test_the_clock_of_a_purpose_is_dated_and_an_area_without_one_has_none() -> None:
    assert rules_on(rules(), "northmoor", date(2026, 4, 1)).purpose_holds == timedelta(hours=8)
    for area, day in (("northmoor", date(2026, 3, 31)), ("elsewhere", date(2026, 4, 1))):
        with pytest.raises(RulesUnknown):
            rules_on(rules(), area, day)
