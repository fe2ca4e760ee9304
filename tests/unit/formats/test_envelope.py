"""The envelope from outside: what opens, what is refused, and what its length and clear part give
away."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwe import GeneralJSONEncryption, encrypt_json
from joserfc.jwk import ECKey

from hubformats.canonical import CanonicalError, b64u, canonical, unb64u
from hubformats.envelope import (
    MAX_BYTES,
    EnvelopeRefused,
    EnvelopeTooLarge,
    Message,
    Opened,
    digest,
    headers_agree,
    open_envelope,
    peek,
    routing_headers,
    seal,
    verify_statement,
)
from hubformats.ids import uuid7
from hubformats.jwe import decrypt, read
from hubformats.keys import RecipientKey, SigningKey, StaticKeys, generate_opening, generate_signing
from hubformats.statement import _encoded_padded

POLICE = generate_signing("northmoor-police")
SHARING = generate_opening("svc:sharing")
AUDIT = generate_opening("svc:audit")
KEYS = StaticKeys(POLICE, SHARING, AUDIT)
ID = uuid7()


def sealed(
    data: dict[str, Any] | None = None,
    *,
    recipients: list[RecipientKey] | None = None,
    sender: SigningKey = POLICE,
    **said: Any,
) -> bytes:
    """A small envelope from the police to sharing, or as asked; `said` replaces its parts."""
    message = Message(
        type="hub.referral.made",
        version=1,
        data={"reference": "A1"} if data is None else data,
        stream="northmoor-police/svc:sharing",
        seq=3,
        id=ID,
        issued_at=datetime(2026, 11, 20, 9, 30, tzinfo=UTC),
    )
    return seal(
        replace(message, **said),
        sender=sender,
        recipients=[SHARING.public()] if recipients is None else recipients,
    )


def opened(value: bytes) -> Opened:
    """Open as sharing."""
    return open_envelope(value, me="svc:sharing", opening={SHARING.kid: SHARING}, keys=KEYS)


def code_of(value: bytes, **changed: Any) -> str:
    """The code an envelope is refused with."""
    arguments = {"me": "svc:sharing", "opening": {SHARING.kid: SHARING}, "keys": KEYS, **changed}
    with pytest.raises(EnvelopeRefused) as refused:
        open_envelope(value, **arguments)
    return refused.value.code


def test_what_was_sealed_comes_out() -> None:
    value = sealed(
        {"text": "Ünïcode 名", "list": [1, None, {"a": True}]},
        recipients=[SHARING.public(), AUDIT.public()],
    )
    found = opened(value)
    assert found.data == {"text": "Ünïcode 名", "list": [1, None, {"a": True}]}
    assert (found.id, found.source, found.to) == (
        ID,
        "northmoor-police",
        ("svc:audit", "svc:sharing"),
    )
    assert (found.stream, found.seq, found.type, found.version) == (
        "northmoor-police/svc:sharing",
        3,
        "hub.referral.made",
        1,
    )
    assert found.issued_at == datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
    assert found.digest == digest(value)


def test_the_kept_statement_verifies_alone() -> None:
    found = opened(sealed())
    said = verify_statement(found.jws, KEYS)
    assert all(getattr(said, field.name) == getattr(found, field.name) for field in fields(said))
    with pytest.raises(EnvelopeRefused):
        verify_statement(found.jws[:-2] + ("AA" if found.jws[-2:] != "AA" else "BA"), KEYS)


@pytest.mark.parametrize("jws", ["", "a.b", "a.b.c.d", "..", "é.é.é", "e30.e30.AA", "A" * 262144])
def test_a_statement_that_is_none_is_refused(jws: str) -> None:
    with pytest.raises(EnvelopeRefused) as refused:
        verify_statement(jws, KEYS)
    assert refused.value.code == "malformed"
    with pytest.raises(EnvelopeRefused) as refused:
        verify_statement("A" * 262145, KEYS)
    assert refused.value.code == "too-large"


def test_nothing_of_the_content_is_in_the_clear() -> None:
    clear = json.loads(unb64u(json.loads(sealed({"name": "Nadia Example"}))["aad"]))
    assert set(clear) == {"id", "type", "source", "to", "stream", "seq", "pd"}
    assert clear["type"] == "hub.sealed.v1"
    assert b"Nadia" not in sealed({"name": "Nadia Example"})


def test_two_sealings_of_one_text_share_no_digest_and_no_key() -> None:
    one, two = json.loads(sealed()), json.loads(sealed())
    assert peek(sealed()).pd != peek(sealed()).pd
    for member in ("iv", "ciphertext", "recipients"):
        assert one[member] != two[member]


@pytest.mark.parametrize("characters", [0, 1, 2, 3, 4, 5, 6, 7, 100, 1000, 2500])
def test_small_events_all_have_one_length(characters: int) -> None:
    assert len(json.loads(sealed({"t": "x" * characters}))["ciphertext"]) == len(
        json.loads(sealed({}))["ciphertext"]
    )
    assert 4095 <= len(opened(sealed({"t": "x" * characters})).jws) <= 4096


def test_there_are_four_lengths() -> None:
    lengths = {len(opened(sealed({"t": "x" * count})).jws) for count in range(0, 190_000, 1_500)}
    assert len(lengths) == 4
    assert all(
        bucket - 1 <= length <= bucket
        for bucket, length in zip((4096, 16384, 65536, 262144), sorted(lengths), strict=True)
    )


def test_what_does_not_fit_is_not_sealed() -> None:
    sealed({"t": "x" * 196_000})
    with pytest.raises(EnvelopeTooLarge):
        sealed({"t": "x" * 200_000})


def test_the_largest_envelope_stays_under_the_limit() -> None:
    crowd = [
        replace(generate_opening("x").public(), owner=f"agency-{number:02d}")
        for number in range(64)
    ]
    assert len(sealed({"t": "x" * 190_000}, recipients=crowd)) < MAX_BYTES


@pytest.mark.parametrize(
    "arguments",
    [
        {"recipients": []},
        {"recipients": [SHARING.public(), SHARING.public()]},
        {"issued_at": datetime(2026, 11, 20, 9, 30)},  # noqa: DTZ001 - the defect under test
        {"issued_at": datetime(1960, 1, 1, tzinfo=UTC)},
        {"stream": "with space"},
        {"stream": ""},
        {"stream": "ünïcode"},
        {"seq": -1},
        {"seq": 2**53},
        {"version": -1},
        {"type": ""},
        {"data": {"weight": 1.5}},
        {"data": {"name": "\ud800"}},
    ],
    ids="".join,
)
def test_nothing_is_sealed_that_no_recipient_would_accept(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        sealed(**arguments)


def test_data_that_json_cannot_carry_exactly_is_named_so() -> None:
    with pytest.raises(CanonicalError):
        sealed({"weight": 1.5})


def test_a_recipient_by_key_alone_cannot_open() -> None:
    value = sealed()
    assert code_of(value, me="svc:audit") == "not-for-us"
    assert code_of(value, opening={AUDIT.kid: AUDIT}) == "not-for-us"
    assert code_of(value, opening={}) == "not-for-us"
    assert (
        code_of(value, opening={SHARING.kid: replace(AUDIT, owner="svc:sharing")})
        == "not-decryptable"
    )


def test_an_unknown_signer_is_told_apart_from_a_forger() -> None:
    assert code_of(sealed(), keys=StaticKeys()) == "unknown-key"
    forger = SigningKey(POLICE.kid, POLICE.owner, generate_signing("x").private)
    assert code_of(sealed(sender=forger)) == "bad-signature"


def test_a_known_signer_cannot_speak_for_another() -> None:
    housing = generate_signing("northmoor-housing")
    assert (
        code_of(sealed(sender=replace(housing, owner="northmoor-police")), keys=StaticKeys(housing))
        == "claims-mismatch"
    )


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"", "malformed"),
        (b"{}", "malformed"),
        (b"[]", "malformed"),
        (b"null", "malformed"),
        (b"\xff", "malformed"),
        (b" " * (MAX_BYTES + 1), "too-large"),
    ],
)
def test_rubbish_is_refused(value: bytes, code: str) -> None:
    assert code_of(value) == code
    with pytest.raises(EnvelopeRefused):
        peek(value)


@pytest.mark.parametrize("member", ["protected", "aad", "iv", "ciphertext", "tag", "recipients"])
@pytest.mark.parametrize(
    "instead",
    [None, 1, "", "A", "e30", [], {}, [{}], [{"header": {}, "encrypted_key": ""}], True, "ü"],
)
def test_every_member_of_every_wrong_kind_is_refused(member: str, instead: object) -> None:
    changed = {**json.loads(sealed()), member: instead}
    assert code_of(canonical(changed)) in {
        "malformed",
        "wrong-algorithm",
        "not-decryptable",
        "not-for-us",
    }
    without = {name: value for name, value in changed.items() if name != member}
    assert code_of(canonical(without)) == "malformed"


def test_another_order_and_spacing_of_the_outer_json_opens() -> None:
    # A sender in another language need not write canonical JSON around what is authenticated.
    spaced = json.dumps(dict(reversed(json.loads(sealed()).items())), indent=1).encode()
    assert opened(spaced).data == {"reference": "A1"}


def test_the_negated_ephemeral_point_changes_the_digest_and_nothing_else() -> None:
    # ECDH uses x only, so (x, -y) unwraps too. Identity is (source, id); only the digest names
    # exact bytes.
    value = sealed()
    found = json.loads(value)
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    epk = found["recipients"][0]["header"]["epk"]
    epk["y"] = b64u((prime - int.from_bytes(unb64u(epk["y"]))).to_bytes(32))
    mirrored = canonical(found)
    assert replace(opened(mirrored), digest="") == replace(opened(value), digest="")
    assert opened(mirrored).digest != opened(value).digest


def test_peek_reads_what_opening_confirms() -> None:
    value = sealed()
    clear, found = peek(value), opened(value)
    assert (clear.id, clear.source, clear.to, clear.stream, clear.seq) == (
        found.id,
        found.source,
        found.to,
        found.stream,
        found.seq,
    )


@pytest.mark.parametrize("place", ["recipient", "protected"])
def test_an_envelope_with_apu_and_apv_of_another_library_is_opened(place: str) -> None:
    """The two names go into the wrapping key (RFC 7518 section 4.6.2) and nowhere else."""
    ours = read(sealed())
    statement = decrypt(ours, "svc:sharing", {SHARING.kid: SHARING})
    parties = {"apu": b64u(b"northmoor-police"), "apv": b64u(b"svc:sharing")}
    entry = {"alg": SHARING.alg, "kid": SHARING.kid}
    shared = {"cty": "hub-event+jws", "enc": "A256GCM", "typ": "hub-event+jwe"}
    (entry if place == "recipient" else shared).update(parties)
    made = GeneralJSONEncryption(shared, statement, aad=unb64u(ours["aad"]))
    made.add_recipient(entry, ECKey.import_key(dict(SHARING.public().jwk())))
    value = canonical(encrypt_json(made, None, algorithms=[SHARING.alg, "A256GCM"]))
    assert replace(opened(value), digest="") == replace(opened(canonical(ours)), digest="")

    theirs = json.loads(value)
    if place == "recipient":
        theirs["recipients"][0]["header"]["apu"] = b64u(b"someone-else")
        with pytest.raises(EnvelopeRefused, match="not-decryptable"):
            opened(canonical(theirs))
    for odd in (7, "=", "A" * 513):
        theirs = json.loads(canonical(ours))
        theirs["recipients"][0]["header"]["apv"] = odd
        with pytest.raises(EnvelopeRefused, match="malformed"):
            opened(canonical(theirs))


def test_headers_repeat_the_clear_metadata_and_nothing_more() -> None:
    clear = peek(sealed())
    headers = routing_headers(clear)
    assert dict(headers) == {
        "ce_id": str(ID).encode(),
        "ce_type": b"hub.sealed.v1",
        "ce_source": b"northmoor-police",
        "content-type": b"application/jose+json",
        "ce_specversion": b"1.0",
    }
    assert headers_agree([*reversed(headers), ("traceparent", b"00-1-1-01")], clear)
    assert not headers_agree(headers[1:], clear)
    assert not headers_agree([*headers, ("subject", b"x")], clear)
    assert not headers_agree([*headers[:2], ("ce_source", b"svc:audit"), headers[3]], clear)


def test_a_refusal_says_its_code_and_holds_nothing_else() -> None:
    with pytest.raises(EnvelopeRefused) as refused:
        opened(sealed({"name": "Nadia Example"}).replace(b'"tag":"', b'"tag":"A'))
    assert str(refused.value) == refused.value.code == "malformed"
    assert refused.value.args == ("malformed",)


@pytest.mark.parametrize("before", range(5))
@pytest.mark.parametrize("zeros", range(8))
@pytest.mark.parametrize("after", range(4))
def test_padding_is_encoded_as_if_it_were_written_out(before: int, zeros: int, after: int) -> None:
    head, tail = b"{\xff?>~"[:before], b'",}'[:after]
    assert _encoded_padded(head, zeros, tail) == b64u(head + b"0" * zeros + tail)
