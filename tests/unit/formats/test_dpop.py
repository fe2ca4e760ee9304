"""DPoP proofs against the letter of RFC 9449 section 4.3, with keys of every allowed kind."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from hubformats.canonical import canonical
from hubformats.dpop import DpopRefused, MemoryReplayGuard, check_proof, make_proof, token_hash
from hubformats.keys import generate_signing

NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
URL = "https://hub.example.org/referral/v1/referrals"
EC = ECKey.generate_key("P-256")


def crafted(
    key: Key,
    alg: str,
    *,
    head: Mapping[str, Any] | None = None,
    private: bool = False,
    **changes: Any,
) -> str:
    """A proof made by another JOSE library than ours; a change to None removes the claim."""
    claims = {"htm": "POST", "htu": URL, "iat": int(NOW.timestamp()), "jti": "j" * 22, **changes}
    header = {"typ": "dpop+jwt", "alg": alg, "jwk": key.as_dict(private=private), **(head or {})}
    header = {name: value for name, value in header.items() if value is not None}
    kept = {name: value for name, value in claims.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[alg], strict_check_header=False)
    return jws.serialize_compact(header, canonical(kept), key, registry=registry)


def refused(proof: str, **more: Any) -> str:
    """The rule a proof broke."""
    with pytest.raises(DpopRefused) as error:
        check_proof(proof, **{"method": "POST", "url": URL, "now": NOW, **more})
    return error.value.code


def test_our_own_proof_passes_and_names_the_key() -> None:
    key = generate_signing("client")
    proof = check_proof(
        make_proof(key, "POST", URL + "?x=1#y", at=NOW, token="t"),
        method="POST",
        url=URL,
        now=NOW,
        token="t",
    )
    assert proof.jkt == key.kid
    assert proof.expires_at == NOW + timedelta(seconds=120)


def test_a_header_seen_before_saves_nobody_the_signature() -> None:
    good = crafted(EC, "ES256")
    head, claims, signature = good.split(".")
    assert check_proof(good, method="POST", url=URL, now=NOW).jkt == EC.thumbprint()
    other = crafted(EC, "ES256", jti="k" * 22)
    assert other.startswith(f"{head}.")
    assert refused(f"{head}.{other.split('.')[1]}.{signature}") == "signature"
    assert refused(f"{head}.{claims}.{'A' * 86}") == "signature"
    assert check_proof(other, method="POST", url=URL, now=NOW).jti == "k" * 22


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (EC, "ES256"),
        (RSAKey.generate_key(2048), "PS256"),
        (OKPKey.generate_key("Ed25519"), "Ed25519"),
    ],
    ids=["EC", "RSA", "OKP"],
)
def test_each_allowed_kind_of_key_passes(key: Key, alg: str) -> None:
    assert check_proof(crafted(key, alg), method="POST", url=URL, now=NOW).jkt == key.thumbprint()


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (lambda: crafted(EC, "ES256", head={"typ": "JWT"}), "typ"),
        (lambda: crafted(EC, "ES256", head={"typ": None}), "typ"),
        (lambda: crafted(EC, "ES256", private=True), "jwk"),
        (lambda: crafted(EC, "ES256", head={"jwk": None}), "jwk"),
        (
            lambda: crafted(
                EC, "ES256", head={"jwk": ECKey.generate_key("P-256").as_dict(private=False)}
            ),
            "signature",
        ),
        (lambda: crafted(OctKey.generate_key(256), "HS256", private=True), "jwk"),
        (lambda: crafted(RSAKey.generate_key(2048), "RS256"), "alg"),
        (lambda: crafted(ECKey.generate_key("P-384"), "ES384"), "alg"),
        (lambda: crafted(EC, "ES256", htm="post"), "htm"),
        (lambda: crafted(EC, "ES256", htm=None), "htm"),
        (lambda: crafted(EC, "ES256", htu=None), "htu"),
        (lambda: crafted(EC, "ES256", htu=URL + "?q=1"), "htu"),
        (lambda: crafted(EC, "ES256", htu=URL + "/"), "htu"),
        (lambda: crafted(EC, "ES256", htu="https://[hub.example.org/"), "htu"),
        (lambda: crafted(EC, "ES256", htu=["x"]), "htu"),
        (lambda: crafted(EC, "ES256", iat=None), "iat"),
        (lambda: crafted(EC, "ES256", iat=True), "iat"),
        (lambda: crafted(EC, "ES256", iat=-1), "iat"),
        (lambda: crafted(EC, "ES256", iat=2**50), "iat"),
        (lambda: crafted(EC, "ES256", iat=int(NOW.timestamp()) - 61), "iat"),
        (lambda: crafted(EC, "ES256", iat=int(NOW.timestamp()) + 11), "iat"),
        (lambda: crafted(EC, "ES256", jti=None), "jti"),
        (lambda: crafted(EC, "ES256", jti=""), "jti"),
        (lambda: crafted(EC, "ES256", jti="x" * 257), "jti"),
        (lambda: crafted(EC, "ES256", padding="x" * 5000), "malformed"),
        (lambda: "a.b", "malformed"),
        (lambda: "a.b.c", "malformed"),
        (lambda: crafted(EC, "ES256")[:-4] + "AAAA", "signature"),
    ],
)
def test_each_rule_refuses_on_its_own(made: Any, code: str) -> None:
    assert refused(made()) == code


@pytest.mark.parametrize(
    "htu",
    [
        "HTTPS://HUB.example.org/referral/v1/referrals",
        "https://hub.example.org:443/referral/v1/referrals",
        "https://hub.example.org/referral/%761/referrals",
    ],
)
def test_the_same_place_in_another_spelling_passes(htu: str) -> None:
    check_proof(crafted(EC, "ES256", htu=htu), method="POST", url=URL, now=NOW)


def test_the_edges_of_the_time_window() -> None:
    for seconds in (-60, 10):
        check_proof(
            crafted(EC, "ES256", iat=int(NOW.timestamp()) + seconds),
            method="POST",
            url=URL,
            now=NOW,
        )


def floating(**changes: Any) -> str:
    """A proof with a number that our canonical form does not write."""
    claims = {"htm": "POST", "htu": URL, "jti": "j" * 22, **changes}
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": EC.as_dict(private=False)}
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    return jws.serialize_compact(header, json.dumps(claims), EC, registry=registry)


def test_an_iat_with_a_fraction_is_a_time_like_any_other() -> None:
    at = NOW.timestamp() - 1.25
    proof = check_proof(floating(iat=at), method="POST", url=URL, now=NOW)
    assert proof.issued_at == NOW - timedelta(seconds=1.25)
    for odd in (at - 60, at + 12, -0.5, 1e300, 2.0**36):
        assert refused(floating(iat=odd)) == "iat"


@pytest.mark.parametrize(
    ("skew", "said"),
    [
        (-75, "is 75 seconds behind the hub's clock"),
        (3600, "is 3600 seconds ahead of the hub's clock"),
        (-86_400 * 365, "is more than a day behind the hub's clock"),
    ],
)
def test_a_refusal_for_its_time_names_how_far_the_clock_is_off(skew: int, said: str) -> None:
    with pytest.raises(DpopRefused) as error:
        check_proof(
            crafted(EC, "ES256", iat=int(NOW.timestamp()) + skew), method="POST", url=URL, now=NOW
        )
    assert said in error.value.hint
    assert "60 seconds behind and 10 ahead are taken" in error.value.hint


def test_a_proof_is_bound_to_the_token() -> None:
    check_proof(
        crafted(EC, "ES256", ath=token_hash("t")), method="POST", url=URL, now=NOW, token="t"
    )
    assert refused(crafted(EC, "ES256", ath=token_hash("u")), token="t") == "ath"
    assert refused(crafted(EC, "ES256"), token="t") == "ath"


def test_rfc_9449_section_7_1_token_hash() -> None:
    token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
    assert token_hash(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


async def test_the_memory_guard_says_yes_once_per_key_and_jti() -> None:
    guard = MemoryReplayGuard()
    assert [
        await guard.first_use(*pair, NOW)
        for pair in (("k", "j"), ("k", "j"), ("k", "i"), ("l", "j"))
    ] == [True, False, True, True]
