"""Keys: thumbprints of RFC 7638, signatures that interoperate, and no key in a place meant for
another."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.jwk import ECKey

from hubformats.canonical import b64u
from hubformats.keys import (
    KeyRefused,
    SigningKey,
    StaticKeys,
    VerificationKey,
    generate_opening,
    generate_signing,
    opening_from_jwk,
    point_of,
    recipient_from_jwk,
    signing_from_jwk,
    thumbprint,
    verification_from_jwk,
)

# RFC 6979 A.2.5: P-256, SHA-256, message "sample"
RFC6979_KEY = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC6979_SIGNATURE = bytes.fromhex(
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)


def test_signs_as_rfc_6979_says() -> None:
    private = ec.derive_private_key(RFC6979_KEY, ec.SECP256R1())
    assert (
        SigningKey(thumbprint(private.public_key()), "svc:test", private).sign(b"sample")
        == RFC6979_SIGNATURE
    )


def test_thumbprint_is_that_of_another_library() -> None:
    key = generate_signing("svc:test")
    assert ECKey.import_key(key.public().public).thumbprint() == key.kid


def test_another_library_verifies_our_signature() -> None:
    key = generate_signing("svc:test")
    header = b64u(b'{"alg":"ES256"}')
    signed = f"{header}.{b64u(b'text')}"
    found = jws.deserialize_compact(
        f"{signed}.{b64u(key.sign(signed.encode()))}", ECKey.import_key(key.public().public)
    )
    assert found.payload == b"text"


def test_a_verification_key_accepts_its_own_signature_only() -> None:
    key, other = generate_signing("svc:test"), generate_signing("svc:test")
    signature = key.sign(b"text")
    key.public().verify(b"text", signature)
    for data, wrong in [
        (b"texT", signature),
        (b"text", other.sign(b"text")),
        (b"text", signature[:63]),
        (b"text", signature[:32] + b"\0" + signature[32:]),
        (b"text", bytes(64)),
        (b"text", b""),
    ]:
        with pytest.raises(KeyRefused):
            key.public().verify(data, wrong)


def test_a_revoked_key_verifies_nothing_and_a_retired_one_still_does() -> None:
    key = generate_signing("svc:test")
    signature = key.sign(b"text")
    VerificationKey(key.kid, key.owner, key.public().public, "retired").verify(b"text", signature)
    with pytest.raises(KeyRefused):
        VerificationKey(key.kid, key.owner, key.public().public, "revoked").verify(
            b"text", signature
        )


def test_jwk_round_trips() -> None:
    signing, opening = generate_signing("a"), generate_opening("b")
    assert signing_from_jwk(signing.jwk(private=True), "a").sign(b"x") == signing.sign(b"x")
    assert opening_from_jwk(opening.jwk(private=True), "b").kid == opening.kid
    assert verification_from_jwk(signing.jwk(), "a") == signing.public()
    assert recipient_from_jwk(opening.jwk(), "b") == opening.public()
    assert "d" not in signing.jwk()
    assert "d" not in opening.jwk()


def test_repr_shows_no_private_part() -> None:
    for key in (generate_signing("a"), generate_opening("a")):
        assert key.jwk(private=True)["d"] not in repr(key)
        assert str(key.private.private_numbers().private_value) not in repr(key)


def changed(**members: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A change to a JWK; None removes the member."""
    return lambda jwk: {
        name: value for name, value in {**jwk, **members}.items() if value is not None
    }


@pytest.mark.parametrize(
    "change",
    [
        changed(use="enc"),
        changed(alg="ES384"),
        changed(kty="OKP"),
        changed(crv="P-384"),
        changed(x=None),
        changed(x=5),
        changed(x="AA"),
        changed(x=b64u(bytes(32))),
        changed(kid=b64u(hashlib.sha256(b"another").digest())),
        changed(y="A" * 44),
    ],
)
def test_refuses_a_key_for_another_purpose_or_off_the_curve(
    change: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    jwk = generate_signing("a").jwk()
    with pytest.raises(KeyRefused):
        verification_from_jwk(change(dict(jwk)), "a")


def test_refuses_a_private_key_where_a_public_one_belongs() -> None:
    with pytest.raises(KeyRefused):
        verification_from_jwk(generate_signing("a").jwk(private=True), "a")
    with pytest.raises(KeyRefused):
        recipient_from_jwk(generate_opening("a").jwk(private=True), "a")


def test_refuses_private_and_public_parts_of_two_keys() -> None:
    one, two = generate_signing("a").jwk(private=True), generate_signing("a").jwk(private=True)
    with pytest.raises(KeyRefused):
        signing_from_jwk(
            {**{name: one[name] for name in ("kty", "crv", "x", "y")}, "d": two["d"]}, "a"
        )
    with pytest.raises(KeyRefused):
        signing_from_jwk({**one, "d": b64u(bytes(32))}, "a")
    with pytest.raises(KeyRefused):
        signing_from_jwk(generate_signing("a").jwk(), "a")


@pytest.mark.parametrize("jwk", [None, [], "text", {}])
def test_a_point_is_read_from_an_object_only(jwk: object) -> None:
    with pytest.raises(KeyRefused):
        point_of(jwk)


async def test_static_keys_answer_what_they_were_given() -> None:
    signing, old, new = generate_signing("a"), generate_opening("a"), generate_opening("a")
    keys = StaticKeys(signing, old.public(), new)
    await keys.refresh()
    assert keys.verification(signing.kid) == signing.public()
    assert keys.recipient("a") == new.public()
    assert keys.verification("unheard of") is None
    assert keys.recipient("unheard of") is None
