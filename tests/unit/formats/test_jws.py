"""One way to sign and verify a compact JWS, whatever a forger writes into its header."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from joserfc import jws as other
from joserfc.jwk import ECKey, OctKey

from hubformats.canonical import b64u, canonical
from hubformats.jws import JwsRefused, claims_of, key_id, sign, verify
from hubformats.keys import SigningKey, VerificationKey, generate_signing

KEY = generate_signing("northmoor-idva")
TYP = "hub-test+jws"
CLAIMS = {"iss": "northmoor-idva", "jti": "j", "text": "Zoë"}
GOOD = {"alg": "ES256", "kid": KEY.kid, "typ": TYP}


def crafted(header: Mapping[str, Any], claims: bytes | None = None, key: SigningKey = KEY) -> str:
    """A compact JWS of any header, its signature right."""
    body = canonical(CLAIMS) if claims is None else claims
    signed = f"{b64u(json.dumps(header).encode())}.{b64u(body)}"
    return f"{signed}.{b64u(key.sign(signed.encode()))}"


def refused(text: str, key: VerificationKey | None = None) -> str:
    with pytest.raises(JwsRefused) as caught:
        verify(text, key or KEY.public(), typ=TYP)
    assert caught.value.__cause__ is None
    return caught.value.code


def test_what_was_signed_is_read_back_and_another_library_agrees() -> None:
    text = sign(CLAIMS, KEY, typ=TYP)
    assert verify(text, KEY.public(), typ=TYP) == CLAIMS == claims_of(text)
    assert key_id(text, typ=TYP) == KEY.kid
    found = other.deserialize_compact(text, ECKey.import_key(KEY.public().public))
    assert json.loads(found.payload) == CLAIMS


def test_the_bytes_are_those_of_canonical_json_signed_by_rfc_6979() -> None:
    """Every release makes the same text of the same claims."""
    signed = f"{b64u(canonical(GOOD))}.{b64u(canonical(CLAIMS))}"
    assert sign(CLAIMS, KEY, typ=TYP) == f"{signed}.{b64u(KEY.sign(signed.encode()))}"


def test_a_proof_shows_its_key_and_no_private_part() -> None:
    text = sign(CLAIMS, KEY, typ="dpop+jwt", show_key=True)
    header = other.extract_compact(text.encode()).headers()
    assert list(header) == ["alg", "jwk", "typ"]
    assert set(header["jwk"]) == {"crv", "kty", "x", "y"}


@pytest.mark.parametrize(
    "header",
    [
        {**GOOD, "alg": "none"},
        {**GOOD, "alg": "HS256"},
        {**GOOD, "alg": "es256"},
        {**GOOD, "alg": ["ES256"]},
        {**GOOD, "typ": "JWT"},
        {**GOOD, "kid": generate_signing("northmoor-idva").kid},
        {**GOOD, "kid": None},
        {**GOOD, "b64": False},
        {**GOOD, "b64": True},
        {**GOOD, "b64": False, "crit": ["b64"]},
        {**GOOD, "crit": []},
        {**GOOD, "crit": ["exp"], "exp": 1},
        {**GOOD, "cty": "JWT"},
        {**GOOD, "jwk": KEY.public().jwk()},
        {**GOOD, "jku": "https://mallory.example/keys"},
        {"kid": KEY.kid, "typ": TYP},
        {"alg": "ES256", "typ": TYP},
        {"alg": "ES256", "kid": KEY.kid},
    ],
    ids=str.split(
        "none HS256 lower-case list typ kid no-kid b64-off b64-on b64-crit no-crit exp cty jwk jku "
        "without-alg without-kid without-typ"
    ),
)
def test_no_other_header_counts_though_it_is_signed(header: Mapping[str, Any]) -> None:
    assert refused(crafted(header)) == "header"


def test_a_public_key_is_no_shared_secret() -> None:
    secret = OctKey.import_key(json.dumps(KEY.public().jwk()))
    text = other.serialize_compact({**GOOD, "alg": "HS256"}, canonical(CLAIMS), secret)
    assert refused(text) == "header"


def test_an_unsigned_text_is_refused() -> None:
    head, body, _ = crafted({**GOOD, "alg": "none"}).split(".")
    assert refused(f"{head}.{body}.") == "header"
    head, body, signature = sign(CLAIMS, KEY, typ=TYP).split(".")
    assert refused(f"{head}.{body}.") == "signature"
    assert refused(f"{head}..{signature}") == "signature"


def test_another_serialisation_is_refused() -> None:
    head, body, signature = sign(CLAIMS, KEY, typ=TYP).split(".")
    flat = {"payload": body, "protected": head, "signature": signature}
    general = {"payload": body, "signatures": [{"protected": head, "signature": signature}]}
    for shape in (flat, general, [flat]):
        assert refused(json.dumps(shape)) == "malformed"
    assert refused(f"{head}.{body}.{signature}.x") == "malformed"
    assert refused(f"{head}.{body}") == "malformed"


@pytest.mark.parametrize(
    "claims",
    [b"[]", b'"text"', b"", b'{"a":1,"a":2}', b'{"a":NaN}', sign(CLAIMS, KEY, typ=TYP).encode()],
    ids=["list", "text", "empty", "twice", "nan", "jws"],
)
def test_claims_are_one_json_object_read_strictly(claims: bytes) -> None:
    """A JWS inside a JWS is no object either."""
    assert refused(crafted(GOOD, claims)) == "malformed"


def test_a_changed_text_and_another_key_are_refused() -> None:
    head, body, signature = sign(CLAIMS, KEY, typ=TYP).split(".")
    changed = b64u(canonical({**CLAIMS, "iss": "mallory"}))
    assert refused(f"{head}.{changed}.{signature}") == "signature"
    assert refused(f"{head}.{body}.{signature[:-2]}") == "signature"
    assert refused(f"{head}.{body}.{signature}=") == "signature"
    other_key = generate_signing("mallory")
    assert refused(crafted(GOOD, key=other_key)) == "signature"
    assert refused(f"{head}.{body}=.{signature}") == "signature"
    assert refused(f"{head}=.{body}.{signature}") == "malformed"


def test_a_revoked_key_verifies_nothing() -> None:
    public = KEY.public()
    revoked = VerificationKey(public.kid, public.owner, public.public, "revoked")
    assert refused(sign(CLAIMS, KEY, typ=TYP), revoked) == "signature"


def test_size_is_asked_before_anything_is_parsed() -> None:
    assert refused("x" * 9000) == "malformed"
    assert refused(crafted({**GOOD, "pad": "x" * 7000}, b'{"a":"' + b"y" * 3000 + b'"}')) == (
        "malformed"
    )
