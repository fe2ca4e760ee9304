"""A row that was sealed before a column was added still opens, and an altered one does not."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from common.sealed import RowAltered
from sharing.tables import RowSeals

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "vectors" / "row_seals" / "sealed_before.json").read_text("utf-8")
)
"""Rows with the seals that older hubs gave them, which counted empty columns."""
MET: list[RowAltered] = []
SEALS = RowSeals.under(bytes(range(32)), MET.append)
OF = {"case_file": SEALS.case, "disclosure": SEALS.disclosure, "delivery": SEALS.delivery}
ADDED = {
    "opened_at": None,
    "withdrawn_at": None,
    "answer_due": None,
    "answered_at": None,
    "answer": "",
    "duty": "",
    "unanswered_at": None,
}
"""The columns that came after the first of the golden rows was sealed."""


def as_read(golden: Mapping[str, Any]) -> dict[str, Any]:
    """The row as today's hub reads it, with the columns that were added."""
    return {**(ADDED if golden["table"] == "disclosure" else {}), **golden["row"]}


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda one: f"{one['table']} {one['written']}")
def test_a_row_sealed_by_an_older_hub_opens(golden: dict[str, Any]) -> None:
    OF[golden["table"]].check("row", as_read(golden), bytes.fromhex(golden["seal"]))


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda one: f"{one['table']} {one['written']}")
def test_an_older_seal_fits_no_other_row(golden: dict[str, Any]) -> None:
    row, seal = as_read(golden), bytes.fromhex(golden["seal"])
    for name, value in row.items():
        for other in ("another", None if value else "x"):
            before = len(MET)
            with pytest.raises(RowAltered):
                OF[golden["table"]].check("row", {**row, name: other}, seal)
            assert len(MET) == before + 1


def test_a_column_that_is_added_empty_leaves_todays_seals_alone() -> None:
    row = as_read(GOLDEN[1])
    seal = SEALS.disclosure.of(row)
    for empty in (None, ""):
        SEALS.disclosure.check("row", {**row, "column_to_come": empty}, seal)
    with pytest.raises(RowAltered):
        SEALS.disclosure.check("row", {**row, "column_to_come": "said"}, seal)
    gone = {name: value for name, value in row.items() if name != "recipient"}
    with pytest.raises(RowAltered):
        SEALS.disclosure.check("row", gone, seal)
