"""What leaves the producer about an entry: codes in clear, handles that join nothing, people
sealed, tokens keyed."""

import hashlib
import hmac
import re
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.audit_trail.records import Written, chunks, write_records
from common.events.audit import BATCH_LIMIT, AuditBatch
from common.keyring import FileKeyring
from hubformats.audit_record import Actor, AuditEntry, RecordRefused, check_record, record_hash
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
    delivery="d-1",
    purpose="protect",
    detail={"why": "Marta asked"},
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
    return list(
        write_records(entry, service="sharing", micros=1, keyring=keyring, index_secret=SECRET)
    )


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
    assert (fields["rcp"], fields["dl"], fields["pu"], fields["rv"], fields["n"], fields["bg"]) == (
        "northmoor-idva",
        "d-1",
        "protect",
        3,
        2,
        True,
    )
    assert (len(fields["sub"]), fields["subn"]) == (2, 2)
    whole = canonical(written.item(1).model_dump(mode="json", by_alias=True)) + written.ref.record
    whole += written.actor.sealed + (written.subject.sealed if written.subject else b"")
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
        "rv",
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
        "delivery": (expected_token("delivery", "d-1"),),
        "recipient": (expected_token("recipient", "northmoor-idva"),),
    }


def test_digests_in_the_record_are_of_the_sealed_bytes(keyring: FileKeyring) -> None:
    (written,) = write(keyring)
    fields, item = check_record(written.ref.record), written.item(5)
    assert fields["ss"] == b64u(hashlib.sha256(unb64u(item.subject_sealed)).digest())
    assert fields["sa"] == b64u(hashlib.sha256(unb64u(item.actor_sealed)).digest())
    assert record_hash(unb64u(item.salt), unb64u(item.record)) == written.ref.hash
    assert item.seq == 5


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
        items = tuple(each.item(seq) for seq, each in enumerate(chunk, 1))
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
