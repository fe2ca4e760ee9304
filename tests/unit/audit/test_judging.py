"""Which records the log takes: both versions, and a reason held back only if the record commits to
it."""

from audit.intake.model import judge
from common.events.audit import AuditItem, Held
from hubformats.audit_record import new_salt
from hubformats.canonical import b64u
from tests.support.audit_log import item, withheld


def test_records_of_both_versions_and_items_of_both_batches_are_taken() -> None:
    for version in (1, 2):
        made = item(1, v=version)
        assert judge(made, "sharing").code is None
        old = AuditItem(seq=1, record=made.record, salt=made.salt)
        assert judge(old, "sharing").code is None
    assert judge(item(1, v=3), "sharing").code == "record-version-unknown"


def test_what_a_rejected_entry_commits_to_is_the_item_as_it_came() -> None:
    made = item(1)
    old = AuditItem(seq=1, record=made.record, salt=made.salt)
    assert b"held" not in judge(old, "sharing").raw
    assert b"held" in judge(made, "sharing").raw


def test_a_reason_held_back_must_be_the_one_the_record_commits_to() -> None:
    made = withheld(1, "conflict")
    kept = judge(made, "sharing")
    assert (kept.code, '"why":"conflict"' in (kept.held or "")) == (None, True)
    other = Held(why="no-clause", salt=made.held.salt if made.held else "")
    resalted = Held(why="conflict", salt=b64u(new_salt()))
    short = Held(why="conflict", salt="AAAA")
    for held in (other, resalted, short):
        assert judge(made.model_copy(update={"held": held}), "sharing").code == "reason-differs"
    assert judge(made.model_copy(update={"held": None}), "sharing").code == "reason-missing"
    plain = item(1).model_copy(update={"held": resalted})
    assert judge(plain, "sharing").code == "reason-differs"
