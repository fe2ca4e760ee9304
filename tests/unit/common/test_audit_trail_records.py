"""What leaves the producer about an entry: codes in clear, handles that join nothing, people
sealed, tokens keyed."""

import hashlib
import hmac
import re
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.audit_trail.records import chunks, item
from common.events.audit import BATCH_LIMIT, AuditBatch
from common.keyring import FileKeyring
from hubformats.audit_record import (
    Account,
    Actor,
    AuditEntry,
    Ground,
    Origin,
    RecordRefused,
    Writer,
    Written,
    check_record,
    inputs_commitment,
    open_sealed,
    part_context,
    reason_commitment,
    record_hash,
    related,
)
from hubformats.canonical import CanonicalError, b64u, canonical, unb64u
from hubformats.ids import uuid7

SECRET = bytes(range(32))
ALICE, BOB = (
    UUID("01932000-0000-7000-8000-00000000000a"),
    UUID("01932000-0000-7000-8000-00000000000b"),
)
CASE = UUID("01932000-0000-7000-8000-00000000000c")
ENTRY = AuditEntry(
    operation="disclosure",
    outcome="permit",
    actor=Actor(
        "https://example.org|seven",
        "northmoor-police",
        "officer",
        "acr2",
        "session-of-seven",
        "Officer Seven",
    ),
    subjects=(ALICE, BOB),
    case_id=CASE,
    case_references=("NM-7F3K-9QXA-2C4T", "NM-0000-0000-0000"),
    resource_type="package",
    resource_id="res-1",
    resource_version=3,
    recipient="northmoor-idva",
    delivery="01932000-0000-8000-8000-0000000000d1",
    purpose="protect",
    account=Account(text="Marta asked", victim_asked="yes"),
    detail={"note": "Marta's note"},
    emergency=True,
    count=2,
)
PRIVATE = (
    "Officer Seven",
    "example.org",
    "Marta",
    str(ALICE),
    ALICE.hex,
    str(CASE),
    CASE.hex,
    "NM-7F3K",
    "res-1",
    "session-of-seven",
)


@pytest.fixture(scope="module")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> FileKeyring:
    return FileKeyring(tmp_path_factory.mktemp("keyring"), passphrase=None, open_allowed=True)


def write(keyring: FileKeyring, entry: AuditEntry = ENTRY) -> list[Written]:
    return list(Writer(Origin("sharing"), keyring, SECRET).write(entry, 1))


def expected_token(kind: str, value: str) -> str:
    return b64u(
        hmac.new(SECRET, kind.encode() + b"\0" + value.encode(), hashlib.sha256).digest()[:16]
    )


def test_codes_stand_in_the_record_and_people_do_not(keyring: FileKeyring) -> None:
    (written,) = write(keyring)
    fields = check_record(written.ref.record)
    assert (fields["op"], fields["out"], fields["svc"], fields["org"], fields["role"]) == (
        "disclosure",
        "permit",
        "sharing",
        "northmoor-police",
        "officer",
    )
    assert (fields["rcp"], fields["dl"], fields["pu"], fields["n"], fields["bg"]) == (
        "northmoor-idva",
        ENTRY.delivery,
        "protect",
        2,
        True,
    )
    assert (len(fields["sub"]), fields["subn"]) == (2, 2)
    whole = canonical(item(written, 1).model_dump(mode="json", by_alias=True)) + written.ref.record
    whole += b"".join(part.sealed for part in written.parts)
    for private in PRIVATE:
        for form in (
            private.encode(),
            private.encode("utf-16-le"),
            b64u(private.encode())[:-2].encode(),
            private.encode().hex().encode(),
        ):
            assert form not in whole


def test_nothing_but_codes_is_the_same_in_two_records_of_one_entry(keyring: FileKeyring) -> None:
    first, second = (
        check_record(written.ref.record) for _ in range(2) for written in write(keyring)
    )
    same = {name for name in first if first[name] == second[name]}
    assert same == {
        "v",
        "te",
        "op",
        "out",
        "svc",
        "org",
        "role",
        "aal",
        "subn",
        "rt",
        "rcp",
        "dl",
        "pu",
        "n",
        "bg",
    }
    handles = [
        *first["sub"],
        first["act"],
        first["ses"],
        first["case"],
        first["res"],
        first["ks"],
        first["ka"],
    ]
    assert len(set(handles)) == len(handles)
    assert all(re.fullmatch(r"[\w-]{22}", handle) for handle in handles)


def test_index_tokens_are_the_published_hmac(keyring: FileKeyring) -> None:
    (written,) = write(keyring)
    assert written.tokens == {
        "subject": (expected_token("subject", ALICE.hex), expected_token("subject", BOB.hex)),
        "actor": (expected_token("actor", "https://example.org|seven"),),
        "case": (
            expected_token("case", "NM-7F3K-9QXA-2C4T"),
            expected_token("case", "NM-0000-0000-0000"),
        ),
        "delivery": (expected_token("delivery", ENTRY.delivery),),
        "recipient": (expected_token("recipient", "northmoor-idva"),),
    }


def test_digests_in_the_record_are_of_the_sealed_bytes(keyring: FileKeyring) -> None:
    (written,) = write(keyring)
    fields, sent = check_record(written.ref.record), item(written, 5)
    assert fields["ss"] == b64u(hashlib.sha256(unb64u(sent.subject_sealed)).digest())
    assert fields["sa"] == b64u(hashlib.sha256(unb64u(sent.actor_sealed)).digest())
    assert record_hash(unb64u(sent.salt), unb64u(sent.record)) == written.ref.hash
    assert sent.seq == 5


def test_an_entry_without_people_has_no_subject_part(keyring: FileKeyring) -> None:
    entry = AuditEntry(operation="heartbeat", outcome="done", actor=Actor("svc:referral", "hub"))
    (written,) = write(keyring, entry)
    fields = check_record(written.ref.record)
    assert written.subject is None
    assert not {"sub", "subn", "ss", "ps", "ks", "case", "res", "ses", "aal"} & set(fields)


def test_more_than_64_people_become_several_records_and_none_loses_its_token(
    keyring: FileKeyring,
) -> None:
    people = tuple(uuid7() for _ in range(150))
    written = write(
        keyring, AuditEntry(operation="search", outcome="done", actor=ENTRY.actor, subjects=people)
    )
    assert [len(check_record(each.ref.record)["sub"]) for each in written] == [64, 64, 22]
    assert {check_record(each.ref.record)["subn"] for each in written} == {150}
    assert [token for each in written for token in each.tokens["subject"]] == [
        expected_token("subject", each.hex) for each in people
    ]


def test_what_was_shown_together_is_found_by_each_delivery_and_named_by_none(
    keyring: FileKeyring,
) -> None:
    names = tuple(f"d-{number}" for number in range(70))
    written = write(
        keyring,
        AuditEntry(operation="consultation", outcome="done", actor=ENTRY.actor, deliveries=names),
    )
    assert [len(each.tokens["delivery"]) for each in written] == [64, 6]
    assert [token for each in written for token in each.tokens["delivery"]] == [
        expected_token("delivery", name) for name in names
    ]
    assert not any("dl" in check_record(each.ref.record) for each in written)


@pytest.mark.parametrize(
    "bad",
    [
        {"purpose": "a\nb"},
        {"clause": "x" * 201},
        {"content_commitment": "short"},
        {"recipient": "Zoë"},
    ],
)
def test_what_is_not_a_code_is_refused_before_anything_is_done(
    keyring: FileKeyring, bad: dict[str, Any]
) -> None:
    with pytest.raises(RecordRefused):
        write(
            keyring, AuditEntry(operation="disclosure", outcome="permit", actor=ENTRY.actor, **bad)
        )


def test_detail_is_bounded_and_must_be_json(keyring: FileKeyring) -> None:
    with pytest.raises(RecordRefused, match="detail-too-large"):
        write(
            keyring,
            AuditEntry(
                operation="search", outcome="done", actor=ENTRY.actor, detail={"text": "x" * 40_000}
            ),
        )
    with pytest.raises(CanonicalError):
        write(
            keyring,
            AuditEntry(
                operation="search", outcome="done", actor=ENTRY.actor, detail={"score": 0.5}
            ),
        )


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=40))
def test_batches_keep_order_and_fit_the_largest_statement(
    keyring: FileKeyring, sizes: list[int]
) -> None:
    entries = [
        AuditEntry(
            operation="search",
            outcome="done",
            actor=ENTRY.actor,
            subjects=(ALICE,),
            detail={"t": "x" * size},
        )
        for size in sizes
    ]
    written = [each for entry in entries for each in write(keyring, entry)]
    made = chunks(written)
    assert [each for chunk in made for each in chunk] == written
    for chunk in made:
        items = tuple(item(each, seq) for seq, each in enumerate(chunk, 1))
        batch = AuditBatch(service="sharing", src="s" * 16, epoch=1, first_seq=1, items=items)
        assert len(canonical(batch.data())) < 195_000
        assert len(items) <= BATCH_LIMIT
    for this, following in pairwise(made):
        assert (
            len(this) == BATCH_LIMIT or sum(each.size for each in [*this, following[0]]) > 185_000
        )


def test_many_small_records_stop_at_the_batch_limit(keyring: FileKeyring) -> None:
    entry = AuditEntry(operation="heartbeat", outcome="done", actor=Actor("s", "hub"))
    written = write(keyring, entry) * 600
    assert max(len(chunk) for chunk in chunks(written)) <= BATCH_LIMIT
    assert sum(len(chunk) for chunk in chunks(written)) == 600


def opened(keyring: FileKeyring, written: Written, part: str) -> dict[str, Any]:
    sealed = next(each for each in written.parts if each.key["part"] == part)
    dek = keyring.unwrap(sealed.key["wrapped"], part_context(written.ref.id, part))  # type: ignore[arg-type]
    return open_sealed(dek, written.ref.id, part, sealed.sealed)  # type: ignore[arg-type]


def test_the_reason_is_sealed_apart_from_whom_it_was_about(keyring: FileKeyring) -> None:
    (written,) = write(keyring)
    fields = check_record(written.ref.record)
    assert {fields["ks"], fields["ka"], fields["kr"]} == {p.handle for p in written.parts}
    assert opened(keyring, written, "account") == {"text": "Marta asked", "victimAsked": "yes"}
    assert "Marta asked" not in str(opened(keyring, written, "subject"))
    (bare,) = write(keyring, replace(ENTRY, account=Account()))
    assert bare.account is None
    assert "kr" not in check_record(bare.ref.record)


def test_a_version_is_sealed_with_the_thing_it_counts(keyring: FileKeyring) -> None:
    (written,) = write(keyring)
    assert "rv" not in check_record(written.ref.record)
    assert opened(keyring, written, "subject")["resource"]["version"] == 3
    (bare,) = write(keyring, replace(ENTRY, resource_id=""))
    assert "rv" not in check_record(bare.ref.record)
    assert opened(keyring, bare, "subject")["case"]["version"] == 3
    (place,) = write(keyring, replace(ENTRY, resource_id="", case_id=None))
    assert check_record(place.ref.record)["rv"] == 3


@pytest.mark.parametrize("operation", ["disclosure", "blocked", "withdrawal"])
def test_what_was_withheld_looks_the_same_whatever_the_reason(
    keyring: FileKeyring, operation: Any
) -> None:
    """Its agency may read it, and one that is barred must not learn that."""
    base = replace(ENTRY, operation=operation, outcome="withhold", field_set="")
    barred, uncovered = (
        write(keyring, replace(base, reason_code=why))[0] for why in ("conflict", "no-clause")
    )
    one, two = (check_record(each.ref.record) for each in (barred, uncovered))
    assert one.keys() == two.keys()
    assert not {"why", "sub", "subn", "fs", "rv"} & one.keys()
    assert len(barred.ref.record) == len(uncovered.ref.record)
    assert barred.held is not None
    assert one["whc"] == reason_commitment(barred.held.salt, "conflict")
    sent = item(barred, 1).held
    assert sent is not None
    assert (sent.why, unb64u(sent.salt)) == ("conflict", barred.held.salt)
    assert b"conflict" not in barred.ref.record
    assert [each["id"] for each in opened(keyring, barred, "subject")["subjects"]] == [
        str(ALICE),
        str(BOB),
    ]


def test_two_recipients_of_one_decision_share_no_commitment(keyring: FileKeyring) -> None:
    inputs = b64u(bytes(32))
    entry = replace(ENTRY, inputs=inputs, checked={"version": 3}, shown=b"page")
    (first,), (second,) = write(keyring, entry), write(keyring, entry)
    one, two = check_record(first.ref.record), check_record(second.ref.record)
    assert not {one[name] for name in ("ih", "vc", "vd")} & {
        two[name] for name in one if name in ("ih", "vc", "vd")
    }
    salt = unb64u(opened(keyring, first, "subject")["inputs"]["salt"])
    assert one["ih"] == inputs_commitment(salt, inputs)


def test_a_record_names_those_it_answers_for_who_holds_both(keyring: FileKeyring) -> None:
    other = uuid7()
    (first,), (second,) = (write(keyring, replace(ENTRY, answers=(other,))) for _ in range(2))
    assert check_record(first.ref.record)["rel"] == [related(first.ref.id, other)]
    assert check_record(second.ref.record)["rel"] != check_record(first.ref.record)["rel"]


def test_both_sides_grounds_and_who_decided_stand_in_codes(keyring: FileKeyring) -> None:
    ground = Ground(
        "P3_necessary", "sch8_1", "art10_official", "common_law", "ChA2004_11", "statute"
    )
    entry = replace(ENTRY, disclosed_under=ground, received_under=Ground("6e", "9h"), human="named")
    fields = check_record(write(keyring, entry)[0].ref.record)
    assert [fields[name] for name in ("dlb", "dsp", "dcr", "dgw", "dau", "dcf")] == [
        "P3_necessary",
        "sch8_1",
        "art10_official",
        "common_law",
        "ChA2004_11",
        "statute",
    ]
    assert (fields["rlb"], fields["rsp"], fields["hum"], "rcr" in fields) == (
        "6e",
        "9h",
        "named",
        False,
    )


def test_a_second_person_and_whom_it_was_done_for_are_handles_outside_and_people_inside(
    keyring: FileKeyring,
) -> None:
    second = Actor("https://example.org|eight", "northmoor-police", "sergeant", name="Eight")
    (written,) = write(keyring, replace(ENTRY, second=second, on_behalf_of=second))
    fields, inside = check_record(written.ref.record), opened(keyring, written, "actor")
    assert fields["au2"] == inside["second"]["handle"] != inside["onBehalfOf"]["handle"]
    assert inside["second"]["name"] == "Eight"
    assert "Eight" not in written.ref.record.decode()


def test_a_cover_says_nothing_but_where_it_comes_from(keyring: FileKeyring) -> None:
    origin = Origin("sharing", b64u(bytes(32)), b64u(bytes(32)), "system", 5)
    cover = Writer(origin, keyring, SECRET).cover(7)
    fields = check_record(cover.ref.record)
    assert {name: fields[name] for name in fields if name != "id"} == {
        "v": 2,
        "te": 7,
        "op": "cover",
        "out": "done",
        "svc": "sharing",
        "sw": b64u(bytes(32)),
        "cfg": b64u(bytes(32)),
        "cks": "system",
        "cko": 5,
    }
    assert not cover.parts
