"""An entry's words tell apart the acts that share one operation of the log."""

from typing import Any

import pytest

from portal.auditing.rules.labels import operation
from portal.auditing.rules.records import happened, record_rows


@pytest.mark.parametrize(
    ("record", "reason", "words"),
    [
        # What had left and was read is not "stopped before it left".
        ({"op": "blocked", "out": "withhold"}, "stopped", "Stopped: nobody can open it any more"),
        ({"op": "blocked", "why": "stopped"}, "", "Stopped: nobody can open it any more"),
        ({"op": "blocked", "out": "withhold"}, "superseded", "Stopped before it left"),
        ({"op": "blocked", "out": "withhold"}, "veto", "Stopped before it left"),
        # An agency's own auditor is not told the reason, so nothing is said of when.
        ({"op": "blocked", "out": "withhold"}, "", "Stopped: nobody can open it"),
        ({"op": "acknowledged", "role": "idva"}, "", "Accepted by a practitioner"),
        ({"op": "acknowledged", "role": "system"}, "", "Accepted"),
        ({"op": "acknowledged"}, "", "Accepted"),
        (
            {
                "op": "acknowledged",
                "role": "idva",
                "rt": "withdrawal",
                "why": "stopped_and_deleted",
            },
            "",
            "Answered a withdrawal",
        ),
        ({"op": "acknowledged", "role": "system", "rt": "correction"}, "", "Answered a correction"),
        (
            {"op": "acknowledged", "role": "idva", "rt": "delivery", "why": "kept_under_duty"},
            "",
            "Answered a withdrawal or correction",
        ),
        (
            {"op": "acknowledged", "out": "failed", "role": "system", "why": "answer-overdue"},
            "",
            "Did not answer in time",
        ),
        (
            {"op": "withdrawal", "out": "done", "why": "answer-asked-late"},
            "",
            "An answer was asked for after all",
        ),
        ({"op": "withdrawal", "out": "permit"}, "", "Taken back from an agency"),
        ({"op": "delivered", "out": "done"}, "", "Delivered"),
        (
            {"op": "delivered", "out": "failed", "why": "promise-overdue"},
            "",
            "Delivered on a promise, and its proof did not come",
        ),
        ({"op": "disclosure", "out": "withhold"}, "", "Not sent to an agency"),
        ({"op": "disclosure", "out": "permit"}, "", "Sent to an agency"),
    ],
)
def test_one_operation_is_named_for_what_happened(
    record: dict[str, Any], reason: str, words: str
) -> None:
    assert operation(record, reason) == words
    rows = {label: text for label, text, _ in record_rows(record, {}, reason)}
    assert rows["What happened"] == words, "the entry's own page says the same"
    listed = {
        "operation": record["op"],
        "outcome": record.get("out", "done"),
        "reason": reason,
        "record": record,
    }
    assert happened(listed) == words, "and the list of results"


def test_what_is_listed_without_its_record_is_still_named() -> None:
    assert happened({"operation": "collection", "outcome": "done", "record": {}}) == "Taken in"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("stopped", "It was taken back, or a correction took its place"),
        ("answer-overdue", "Nobody answered in time"),
        ("kept_under_duty", "Kept under a duty"),
    ],
)
def test_why_is_said_in_words(code: str, words: str) -> None:
    rows = {label: text for label, text, _ in record_rows({"op": "blocked", "why": code}, {})}
    assert rows["Reason"] == words
