"""Signed notes, checkpoints and tlog-proofs: round trips, the published example, and one refusal
per defect."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubformats.tlog import (
    EMPTY_ROOT,
    Checkpoint,
    Note,
    Proof,
    ProofRefused,
    SignatureLine,
    Signer,
    Verifier,
    format_proof,
    leaf_hash,
    node_hash,
    open_checkpoint,
    parse_note,
    verify_note,
    verify_proof,
)

SIGNER = Signer("log.example.org/audit", b"\x07" * 32)
OTHER = Signer("witness.example.org", b"\x08" * 32)


def two_entry_log() -> tuple[list[bytes], str]:
    entries = [b"first", b"second"]
    root = node_hash(leaf_hash(entries[0]), leaf_hash(entries[1]))
    return entries, SIGNER.sign(Checkpoint(SIGNER.verifier.name, 2, root).text())


def test_the_key_id_and_note_of_the_go_documentation_verify() -> None:
    # The example of golang.org/x/mod/sumdb/note, a published test vector.
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    note = (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your "
        "problem is.\n\n"
        "— PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    verifier = Verifier.parse(vkey)
    assert verifier.format() == vkey
    opened, signed = verify_note(note, [verifier])
    assert opened.format() == note
    assert signed == (verifier,)


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]) | st.just("\n"), max_size=200
    ),
    st.binary(min_size=32, max_size=32),
)
def test_what_was_signed_verifies_and_is_given_back_unchanged(body: str, seed: bytes) -> None:
    signer = Signer("somebody", seed)
    note, _ = verify_note(signer.sign(body + "\n"), [Verifier.parse(signer.verifier.format())])
    assert note.text == body + "\n"


def test_lines_of_unknown_keys_are_skipped_even_of_the_same_name() -> None:
    note = parse_note(SIGNER.sign("text\n"))
    stranger = SignatureLine(SIGNER.verifier.name, b"\x00\x00\x00\x01", b"\x06" * 2420)
    mixed = Note(
        note.text, (stranger, *note.signatures, *parse_note(OTHER.sign("text\n")).signatures)
    ).format()
    assert verify_note(mixed, [SIGNER.verifier])[1] == (SIGNER.verifier,)
    assert len(verify_note(mixed, [SIGNER.verifier, OTHER.verifier])[1]) == 2


def test_a_known_key_that_does_not_verify_spoils_a_note_that_another_key_signed() -> None:
    good, bad = (
        parse_note(SIGNER.sign("text\n")).signatures[0],
        parse_note(OTHER.sign("other\n")).signatures[0],
    )
    note = Note("text\n", (good, bad)).format()
    with pytest.raises(ProofRefused, match="signature-wrong"):
        verify_note(note, [SIGNER.verifier, OTHER.verifier])


def test_a_note_no_known_key_signed_is_refused() -> None:
    with pytest.raises(ProofRefused, match="no-known-signature"):
        verify_note(OTHER.sign("text\n"), [SIGNER.verifier])
    with pytest.raises(ProofRefused, match="no-known-signature"):
        verify_note(OTHER.sign("text\n"), [])


GOOD = SIGNER.sign("text\n")


@pytest.mark.parametrize(
    ("note", "code"),
    [
        ("", "note-malformed"),
        ("text\n", "note-malformed"),
        ("text\n\n", "signature-line-malformed|note-malformed"),
        (GOOD[:-1], "note-malformed"),
        (GOOD.replace("— ", "- "), "signature-line-malformed"),
        (GOOD.replace("text", "te\txt"), "note-control-character"),
        (GOOD.replace("\n", "\r\n"), "note-control-character"),
        (GOOD.replace("=\n", "\n"), "signature-line-malformed"),
        (GOOD + "\n", "note-malformed|signature-line-malformed"),
        (GOOD + GOOD.rsplit("\n\n", maxsplit=1)[-1] * 64, "note-too-many-signatures"),
        ("x" * 300_000 + GOOD, "note-too-large"),
        (GOOD.encode() + b"\xff", "note-not-utf8"),
        ("text\n\n— a+b " + base64.b64encode(b"x" * 68).decode() + "\n", "key-name-malformed"),
        ("text\n\n— a " + base64.b64encode(b"x" * 4).decode() + "\n", "signature-line-malformed"),
    ],
)
def test_a_malformed_note_is_refused_by_name(note: str | bytes, code: str) -> None:
    with pytest.raises(ProofRefused, match=code):
        parse_note(note)


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "name+00000000",
        "name+zzzzzzzz+" + base64.b64encode(b"\x01" + b"k" * 32).decode(),
        "name+00000000+" + base64.b64encode(b"\x01" + b"k" * 32).decode(),
        SIGNER.verifier.format().replace("log.", "lag."),
        "name+" + "00000000+" + base64.b64encode(b"\x06" + b"k" * 32).decode(),
        " " + SIGNER.verifier.format().replace("+", "++", 1),
    ],
)
def test_a_vkey_that_is_not_its_own_name_and_key_is_refused(vkey: str) -> None:
    with pytest.raises(ProofRefused):
        Verifier.parse(vkey)


def test_a_vkey_survives_a_plus_in_its_base64() -> None:
    found = [
        vkey
        for n in range(200)
        if (vkey := Signer("n", bytes([n]) * 32).verifier.format()).count("+") > 2
    ]
    assert found
    for vkey in found:
        assert Verifier.parse(vkey).format() == vkey


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n01\n" + base64.b64encode(b"r" * 32).decode() + "\n",
        "o\n-1\n" + base64.b64encode(b"r" * 32).decode() + "\n",
        "o\n1\n" + base64.b64encode(b"r" * 31).decode() + "\n",
        "o\n0\n" + base64.b64encode(b"r" * 32).decode() + "\n",
        "\n1\n" + base64.b64encode(b"r" * 32).decode() + "\n",
        "o\n9223372036854775808\n" + base64.b64encode(b"r" * 32).decode() + "\n",
        "o\n1\n" + base64.b64encode(b"r" * 32).decode() + "\n\nx\n",
        "o\n\u0661\n" + base64.b64encode(b"r" * 32).decode() + "\n",
    ],
)
def test_a_malformed_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ProofRefused):
        Checkpoint.parse(text)


def test_a_checkpoint_round_trips_with_its_extensions() -> None:
    checkpoint = Checkpoint("o", 0, EMPTY_ROOT, ("one", "two"))
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


def test_a_checkpoint_of_another_origin_is_refused_though_the_key_signed_it() -> None:
    note = SIGNER.sign(Checkpoint("another.example.org", 0, EMPTY_ROOT).text())
    with pytest.raises(ProofRefused, match="origin-differs"):
        open_checkpoint(note, SIGNER.verifier)


def test_a_proof_is_accepted_for_its_entry_only() -> None:
    entries, checkpoint = two_entry_log()
    proof = format_proof(1, [leaf_hash(entries[0])], checkpoint)
    proven = verify_proof(proof, entries[1], SIGNER.verifier.format())
    assert (proven.index, proven.size, proven.origin) == (1, 2, "log.example.org/audit")
    with pytest.raises(ProofRefused, match="root-differs"):
        verify_proof(proof, entries[0], SIGNER.verifier)
    with pytest.raises(ProofRefused, match="root-differs"):
        verify_proof(proof.replace("index 1", "index 0"), entries[1], SIGNER.verifier)
    with pytest.raises(ProofRefused, match="no-known-signature"):
        verify_proof(proof, entries[1], OTHER.verifier)


def test_extra_is_carried_but_never_authenticated() -> None:
    entries, checkpoint = two_entry_log()
    proof = Proof(0, (leaf_hash(entries[1]),), checkpoint, b"anything")
    assert Proof.parse(proof.format()) == proof
    assert verify_proof(proof.format(), entries[0], SIGNER.verifier).index == 0


_H = base64.b64encode(b"h" * 32).decode()


@pytest.mark.parametrize(
    "head",
    [
        "",
        "c2sp.org/tlog-proof@v2\nindex 0\n",
        "c2sp.org/tlog-proof@v1\n",
        "c2sp.org/tlog-proof@v1\nindex 00\n",
        "c2sp.org/tlog-proof@v1\nindex\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nextra QQ==\n",
        "c2sp.org/tlog-proof@v1\nextra QQ=\nindex 1\n",
        "c2sp.org/tlog-proof@v1\nindex 1\nnothash\n",
        "c2sp.org/tlog-proof@v1\nindex 1\n" + f"{_H}\n" * 64,
    ],
)
def test_a_malformed_proof_is_refused(head: str) -> None:
    _, checkpoint = two_entry_log()
    with pytest.raises(ProofRefused):
        Proof.parse(f"{head}\n{checkpoint}")


@given(st.binary(max_size=300))
def test_no_bytes_crash_a_parser(data: bytes) -> None:
    for read in (parse_note, Proof.parse):
        with pytest.raises(ProofRefused):
            read(data)
