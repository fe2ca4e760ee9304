"""Each numbered check of a delivered package refuses what only it can see; take a check out and one
of these fails."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hubformats.agency_events import DisclosurePackage
from hubformats.audit_record import Leaf
from hubformats.canonical import b64u, canonical, unb64u
from hubformats.package_proof import PackageRefused, verify_package
from hubformats.tlog import Proof, Signer
from tests.support.packages import LOG, ME, ORIGIN, Draft, draft


def refusal(package: DisclosurePackage, *, me: str = ME) -> tuple[int, str]:
    """Which check refused, and its code."""
    with pytest.raises(PackageRefused) as caught:
        verify_package(package, me=me, log=LOG.verifier)
    return caught.value.step, caught.value.code


def with_content(made: Draft, **changes: Any) -> Draft:
    """Other content, committed to as if sharing itself had written it: only a check of the content
    can notice.
    """
    made.content.update(changes)
    return made.commit()


def with_record(made: Draft, **changes: Any) -> Draft:
    """Another record, with a leaf and proof of its own."""
    made.record.update(changes)
    return made


def test_a_right_package_is_proven() -> None:
    made = draft()
    verdict = verify_package(made.package(), me=ME, log=LOG.verifier)
    assert (verdict.standing, verdict.index, verdict.size, verdict.due, verdict.witnessed) == (
        "proven",
        3,
        7,
        None,
        False,
    )
    assert verdict.content == made.content
    assert verdict.record == made.record


@pytest.mark.parametrize(("others", "index"), [(0, 0), (1, 1), (255, 255), (300, 256), (300, 0)])
def test_it_is_proven_wherever_it_stands(others: int, index: int) -> None:
    made = replace(draft(), others=others, index=index)
    verdict = verify_package(made.package(), me=ME, log=LOG.verifier)
    assert (verdict.index, verdict.size) == (index, others + 1)


@pytest.mark.parametrize("kind", ["correction", "withdrawal", "notice"])
def test_every_kind_is_checked_alike(kind: str) -> None:
    assert (
        verify_package(with_content(draft(), kind=kind).package(), me=ME, log=LOG.verifier).content[
            "kind"
        ]
        == kind
    )


# 1. content and record are canonical


def test_1_content_in_another_spelling() -> None:
    made = draft()
    raw = canonical(made.content).replace(b'"v":1', b'"v": 1')
    assert refusal(made.package(content=b64u(raw))) == (1, "content-not-canonical")


@pytest.mark.parametrize("raw", [b"[]", b'"x"', b"1"], ids=["list", "text", "number"])
def test_1_content_that_is_no_object(raw: bytes) -> None:
    assert refusal(draft().package(content=b64u(raw))) == (1, "content-not-canonical")


@pytest.mark.parametrize(
    "text",
    ["", "!!", b64u(b"{"), b64u(b'{"a":1,"a":1}'), b64u(b"\xff")],
    ids=["none", "base64", "cut", "twice", "utf8"],
)
def test_1_content_that_cannot_be_read(text: str) -> None:
    assert refusal(draft().package(content=text)) == (1, "content-malformed")


def test_1_content_past_the_limit() -> None:
    assert refusal(with_content(draft(), necessity="x" * 200_001).package()) == (
        1,
        "content-malformed",
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda raw: raw.replace(b'"v":1', b'"v": 1'), "record-not-canonical"),
        (lambda raw: raw.replace(b'"v":1', b'"v":3'), "record-version-unknown"),
        (lambda raw: raw.replace(b'"op":"disclosure"', b'"op":"gossip"'), "record-word-unknown"),
        (lambda raw: raw.replace(b'"svc"', b'"who"'), "record-malformed"),
        (lambda raw: raw[:-1], "record-malformed"),
    ],
)
def test_1_a_record_that_is_none(change: Any, code: str) -> None:
    made = draft()
    assert refusal(made.package(record=b64u(change(canonical(made.record))))) == (1, code)


# 2. both name this delivery and me, nobody else


def test_2_a_package_for_somebody_else() -> None:
    assert refusal(draft(recipient="northmoor-housing").package()) == (2, "not-my-package")
    assert refusal(draft().package(), me="northmoor-housing") == (2, "not-my-package")


def test_2_content_for_me_under_a_record_for_another() -> None:
    assert refusal(with_record(draft(), rcp="northmoor-housing").package()) == (2, "not-my-package")


def test_2_content_for_another_under_a_record_for_me() -> None:
    assert refusal(with_content(draft(), recipient="northmoor-housing").package()) == (
        2,
        "not-my-package",
    )


OTHER_DELIVERY = "01932000-0000-8000-8000-0000000000d2"


def test_2_another_delivery() -> None:
    assert refusal(draft().package(delivery_id=OTHER_DELIVERY)) == (2, "delivery-mismatch")
    assert refusal(with_record(draft(), dl=OTHER_DELIVERY).package()) == (2, "delivery-mismatch")
    assert refusal(with_content(draft(), deliveryId=OTHER_DELIVERY).package()) == (
        2,
        "delivery-mismatch",
    )


def test_2_a_record_of_something_else() -> None:
    assert refusal(with_record(draft(), op="consultation").package()) == (2, "not-a-disclosure")


def test_2_a_record_that_withheld() -> None:
    assert refusal(with_record(draft(), out="withhold").package()) == (2, "not-a-disclosure")


def test_2_another_kind_outside_than_inside() -> None:
    assert refusal(draft().package(kind="withdrawal")) == (2, "not-a-disclosure")


def test_2_another_clause_than_the_record_says() -> None:
    assert refusal(with_record(draft(), cl="NM-9").package()) == (2, "clause-mismatch")


def test_2_another_agreement_than_the_record_says() -> None:
    assert refusal(with_record(draft(), ag=b64u(b"\x01" * 32)).package()) == (2, "clause-mismatch")


@pytest.mark.parametrize("clause", [None, "NM-2", {}], ids=["none", "text", "empty"])
def test_2_no_clause_at_all(clause: object) -> None:
    made = with_content(draft(), clause=clause)
    assert refusal(made.package()) == (2, "clause-mismatch")


@pytest.mark.parametrize(("member", "field"), [("id", "cl"), ("hash", "ag")])
def test_2_absent_on_both_sides_is_not_agreement(member: str, field: str) -> None:
    made = draft()
    made = with_content(
        made,
        clause={name: value for name, value in made.content["clause"].items() if name != member},
    )
    del made.record[field]
    assert refusal(made.package()) == (2, "clause-mismatch")


# 3. the record commits to exactly this content


def test_3_forged_content_under_a_true_record_and_proof() -> None:
    """Somebody with the hub's sealing path but without the log: everything fits but what was
    logged.
    """
    made = draft()
    forged = {**made.content, "necessity": "Because I say so."}
    assert refusal(made.package(content=b64u(canonical(forged)))) == (3, "content-not-committed")


def test_3_another_content_salt() -> None:
    assert refusal(draft().package(content_salt=b64u(bytes(32)))) == (3, "content-not-committed")


def test_3_a_record_that_commits_to_nothing() -> None:
    made = draft()
    del made.record["dc"]
    assert refusal(made.package()) == (3, "content-not-committed")


@pytest.mark.parametrize(
    "salt", ["", "!", b64u(bytes(31)), b64u(bytes(33))], ids=["none", "base64", "short", "long"]
)
def test_3_a_content_salt_that_is_none(salt: str) -> None:
    assert refusal(draft().package(content_salt=salt)) == (3, "salt-malformed")


def test_3_the_boundary_between_salt_and_content_cannot_move() -> None:
    """Without a fixed salt length, one commitment would fit a longer salt and a shorter content."""
    made = draft()
    raw = canonical(made.content)
    assert (
        refusal(made.package(content_salt=b64u(made.content_salt + raw[:1]), content=b64u(raw)))[0]
        == 3
    )


# 4. leaf or promise commits to exactly this record


def test_4_a_changed_record_beside_an_intact_leaf() -> None:
    """`te` is in no other check: only the record hash can notice."""
    made = draft()
    changed = b64u(canonical({**made.record, "te": made.record["te"] + 1}))
    assert refusal(made.package(record=changed)) == (4, "record-not-committed")


def test_4_another_record_salt() -> None:
    assert refusal(draft().package(record_salt=b64u(bytes(32)))) == (4, "record-not-committed")


@pytest.mark.parametrize(
    "salt", ["", "!", b64u(bytes(31)), b64u(bytes(33))], ids=["none", "base64", "short", "long"]
)
def test_4_a_record_salt_that_is_none(salt: str) -> None:
    assert refusal(draft().package(record_salt=salt)) == (4, "salt-malformed")
    assert refusal(draft().promised(record_salt=salt)) == (4, "salt-malformed")


def test_4_a_leaf_of_another_record_with_its_own_true_proof() -> None:
    made, other = draft(), draft()
    leaf = other.leaf().encode()
    assert refusal(made.package(leaf=b64u(leaf), proof=other.proof_of(leaf))) == (
        4,
        "record-not-committed",
    )


@pytest.mark.parametrize(
    "leaf", ["", "!", b64u(b"{}"), b64u(b"[]")], ids=["none", "base64", "empty", "list"]
)
def test_4_a_leaf_that_is_none(leaf: str) -> None:
    assert refusal(draft().package(leaf=leaf)) == (4, "leaf-malformed")


def test_4_a_leaf_in_another_spelling_with_a_true_proof() -> None:
    made = draft()
    spelled = made.leaf().encode().replace(b'"v":1', b'"v": 1')
    assert refusal(made.package(leaf=b64u(spelled), proof=made.proof_of(spelled))) == (
        4,
        "leaf-malformed",
    )


def test_4_a_promise_of_another_record() -> None:
    made = draft()
    other = draft().promised().promise
    assert refusal(made.promised(promise=other)) == (4, "record-not-committed")


def test_4_a_changed_record_under_a_promise() -> None:
    made = draft()
    changed = b64u(canonical({**made.record, "te": made.record["te"] + 1}))
    assert refusal(made.promised(record=changed)) == (4, "record-not-committed")


@pytest.mark.parametrize("both", [("leaf",), ("proof",), ("leaf", "proof")])
def test_4_a_promise_and_a_proof_at_once(both: tuple[str, ...]) -> None:
    """Never let a promise ride on a proof: it must be one or the other, so that nobody reads the
    better of the two.
    """
    made = draft()
    proven = made.package().model_dump()
    assert refusal(made.promised(**{name: proven[name] for name in both})) == (
        4,
        "proof-and-promise",
    )


def test_a_promise_is_never_more_than_promised() -> None:
    verdict = verify_package(draft().promised(), me=ME, log=LOG.verifier)
    assert (verdict.standing, verdict.index, verdict.size) == ("promised", None, None)
    assert verdict.due == datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def test_a_promise_goes_through_the_first_three_checks_too() -> None:
    made = draft()
    forged = b64u(canonical({**made.content, "necessity": "Because I say so."}))
    assert refusal(made.promised(content=forged)) == (3, "content-not-committed")
    assert refusal(made.promised(), me="northmoor-housing") == (2, "not-my-package")


# 5. the leaf is in the tree the log signed


def test_5_a_changed_leaf_that_still_commits_to_the_record() -> None:
    """The hash of the record stays; sequence and time do not. Only the tree knows them."""
    made = draft()
    leaf = made.leaf()
    moved = Leaf(leaf.src, leaf.ep, leaf.seq + 1, leaf.tr, leaf.h).encode()
    assert refusal(made.package(leaf=b64u(moved))) == (5, "root-differs")


def test_5_the_proof_of_another_leaf() -> None:
    made, other = draft(), draft()
    assert refusal(made.package(proof=other.package().proof)) == (5, "root-differs")


def test_5_a_head_signed_by_another_key_under_the_same_name() -> None:
    made = replace(draft(), log=Signer(ORIGIN, bytes(32)))
    assert refusal(made.package()) == (5, "no-known-signature")


def test_5_a_head_of_another_log() -> None:
    made = replace(draft(), log=Signer("log.test.example.org/other", bytes(range(32))))
    assert refusal(made.package()) == (5, "no-known-signature")


def test_5_another_place_in_the_tree() -> None:
    made = draft()
    right = Proof.parse(made.package().proof)
    assert refusal(made.package(proof=replace(right, index=2).format())) == (5, "root-differs")
    assert refusal(made.package(proof=replace(right, index=7).format())) == (
        5,
        "index-outside-tree",
    )


def test_5_a_path_with_a_hash_too_few() -> None:
    made = draft()
    right = Proof.parse(made.package().proof)
    assert refusal(made.package(proof=replace(right, path=right.path[:-1]).format())) == (
        5,
        "wrong-number-of-hashes",
    )


def test_5_a_head_whose_size_was_changed_after_signing() -> None:
    made = draft()
    proof = made.package().proof
    assert f"{ORIGIN}\n7\n" in proof
    assert refusal(made.package(proof=proof.replace(f"{ORIGIN}\n7\n", f"{ORIGIN}\n8\n")))[0] == 5


@pytest.mark.parametrize(
    "proof",
    ["", "not a proof", "c2sp.org/tlog-proof@v2\nindex 3\n\nx"],
    ids=["none", "text", "version"],
)
def test_5_a_proof_that_is_none(proof: str) -> None:
    assert refusal(draft().package(proof=proof)) == (5, "proof-malformed")


def test_a_refusal_never_shows_content() -> None:
    made = draft()
    forged = {**made.content, "necessity": "Marta Quillfeather"}
    with pytest.raises(PackageRefused) as caught:
        verify_package(made.package(content=b64u(canonical(forged))), me=ME, log=LOG.verifier)
    assert str(caught.value) == "content-not-committed"
    assert caught.value.__cause__ is None
    assert b"Marta" in unb64u(made.package().content), "the name was there to be shown"
