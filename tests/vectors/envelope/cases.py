"""The golden cases of hub-event+jwe v1: two that open and one per defect, each with the code it
must be refused with."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hubformats.canonical import b64u, canonical, unb64u
from tests.vectors.envelope import craft


@dataclass(frozen=True)
class Case:
    """One golden file: who opens it, what must come of it, and what is wrong with it."""

    name: str
    build: Callable[[str], bytes]
    expect: str
    defect: str
    me: str = "northmoor-idva"


def _broker(change: Callable[[dict[str, Any]], object]) -> Callable[[str], bytes]:
    return lambda name: craft.edited(craft.sealed(name), change)


def _liar(**changed: Any) -> Callable[[str], bytes]:
    return lambda name: craft.packed(name, craft.signed(name), **changed)


def _signer(**changed: Any) -> Callable[[str], bytes]:
    def build(name: str) -> bytes:
        jws = craft.resigned(craft.signed(name), **changed)
        return craft.packed(
            name, jws, clear=craft.clear_of(craft.signed(name)) | {"pd": craft.clear_of(jws)["pd"]}
        )

    return build


def _first(found: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = found["recipients"][0]
    return entry


def _insider(name: str) -> bytes:
    head, payload, signature = craft.signed(name).decode().split(".")
    claims = json.loads(unb64u(payload))
    claims["data"]["items"][1]["value"] = 3
    changed = f"{head}.{b64u(canonical(claims))}.{signature}".encode()
    return craft.packed(name, changed)


def _swapped_text(name: str) -> bytes:
    other = craft.signed(name + "|other", data={"kind": "another text"})
    return craft.packed(name, other, clear={"pd": craft.clear_of(craft.signed(name))["pd"]})


def _two_different_audiences(name: str) -> bytes:
    recipients = [craft.HOUSING.public(), craft.IDVA.public()]
    return craft.packed(
        name,
        craft.signed(name),
        clear={"to": ["northmoor-housing", "northmoor-idva"]},
        recipients=recipients,
    )


def _two_with_one_epk(name: str) -> bytes:
    recipients = [craft.IDVA.public(), craft.HOUSING.public()]
    jws = craft.signed(name, aud=["northmoor-housing", "northmoor-idva"])
    return craft.packed(name, jws, recipients=recipients, protect={"epk": False})


def _aad_edit(name: str) -> bytes:
    def change(found: dict[str, Any]) -> None:
        clear = json.loads(unb64u(found["aad"]))
        found["aad"] = b64u(canonical({**clear, "seq": 8}))

    return craft.edited(craft.sealed(name), change)


def _recipient_twice(name: str) -> bytes:
    twice = [craft.IDVA.public(), craft.IDVA.public()]
    return craft.packed(
        name,
        craft.signed(name),
        clear={"to": ["northmoor-housing", "northmoor-idva"]},
        recipients=twice,
    )


CASES = (
    Case("sealed_to_one", craft.sealed, "opened", "nothing"),
    Case(
        "sealed_to_three",
        lambda name: craft.sealed(name, craft.IDVA, craft.HOUSING, craft.HEALTH),
        "opened",
        "nothing",
        me="northmoor-health",
    ),
    Case(
        "sealed_in_second_bucket",
        lambda name: craft.sealed(name, data={"text": "x" * 3000}),
        "opened",
        "nothing; the statement is 16 KiB",
    ),
    Case(
        "epk_protected",
        _liar(protect={"epk": False}),
        "opened",
        "nothing; a lone recipient's epk is protected, as npm jose does it",
    ),
    Case(
        "all_protected",
        _liar(protect=dict.fromkeys(("alg", "epk", "kid"), False)),
        "opened",
        "nothing; a lone recipient's whole header is protected",
    ),
    # What the broker, who has no key, can do
    Case(
        "truncated_json",
        lambda name: craft.sealed(name)[:-9],
        "malformed",
        "the last bytes are missing",
    ),
    Case(
        "duplicate_json_key",
        lambda name: craft.sealed(name).replace(b'{"aad":', b'{"aad":"e30","aad":', 1),
        "malformed",
        "a member appears twice; readers differ on which counts",
    ),
    Case(
        "unknown_member",
        _broker(lambda found: found.update(unprotected={})),
        "malformed",
        "a member v1 does not have",
    ),
    Case(
        "padded_base64url",
        _broker(lambda found: found.update(tag=found["tag"] + "==")),
        "malformed",
        "base64 padding",
    ),
    Case(
        "alg_swapped",
        _broker(lambda found: _first(found)["header"].update(alg="ECDH-ES+A128KW")),
        "wrong-algorithm",
        "the message tries to choose the algorithm",
    ),
    Case(
        "epk_off_curve",
        _broker(lambda found: _first(found)["header"].update(epk=craft.off_curve())),
        "malformed",
        "invalid-curve point",
    ),
    Case(
        "flipped_encrypted_key",
        _broker(
            lambda found: _first(found).update(
                encrypted_key=craft.flipped(_first(found)["encrypted_key"])
            )
        ),
        "not-decryptable",
        "one bit of the wrapped key",
    ),
    Case(
        "flipped_ciphertext",
        _broker(lambda found: found.update(ciphertext=craft.flipped(found["ciphertext"], 2000))),
        "not-decryptable",
        "one bit of the ciphertext",
    ),
    Case(
        "flipped_tag",
        _broker(lambda found: found.update(tag=craft.flipped(found["tag"]))),
        "not-decryptable",
        "one bit of the tag",
    ),
    Case(
        "changed_metadata",
        _aad_edit,
        "not-decryptable",
        "the clear sequence number was changed after sealing",
    ),
    Case(
        "not_for_us",
        lambda name: craft.sealed(name, craft.HOUSING),
        "not-for-us",
        "sealed to another agency only",
    ),
    # What somebody with the format but not the sender's key can do
    Case(
        "forged_signature",
        lambda name: craft.packed(
            name,
            craft.resigned(
                craft.signed(name), sender=craft.STRANGER, header={"kid": craft.HUB.kid}
            ),
        ),
        "bad-signature",
        "another key's signature under the sender's key id",
    ),
    Case(
        "unknown_kid",
        _signer(sender=craft.STRANGER),
        "unknown-key",
        "signed by a key no directory has heard of",
    ),
    Case(
        "revoked_kid",
        lambda name: craft.sealed(name, sender=craft.REVOKED, iss=craft.REVOKED.owner),
        "bad-signature",
        "the key was compromised",
    ),
    Case(
        "issuer_not_owner",
        _signer(sender=craft.HOUSING_SIGNING),
        "claims-mismatch",
        "housing signs in the hub's name with its own, known key",
    ),
    Case("unsigned", _signer(header={"alg": "none"}), "wrong-algorithm", "alg none inside"),
    Case(
        "reencrypted_by_insider",
        _insider,
        "bad-signature",
        "a recipient changed the text and sealed it again",
    ),
    Case(
        "swapped_text",
        _swapped_text,
        "digest-mismatch",
        "an authentic text under the digest of another one",
    ),
    Case(
        "wrong_recipient",
        lambda name: craft.packed(name, craft.signed(name), recipients=[craft.HOUSING.public()]),
        "wrong-recipient",
        "the IDVA service's statement, forwarded to housing as if meant for it",
        me="northmoor-housing",
    ),
    Case(
        "recipient_missing",
        _liar(clear={"to": ["northmoor-housing", "northmoor-idva"]}),
        "malformed",
        "fewer entries than recipients",
    ),
    Case("recipient_twice", _recipient_twice, "malformed", "two entries for one key"),
    # What a signer who lies between inside and outside can do
    Case(
        "aud_mismatch",
        _two_different_audiences,
        "claims-mismatch",
        "clear recipients differ from the signed audience",
    ),
    Case(
        "wrong_seq",
        _liar(clear={"seq": 8}),
        "claims-mismatch",
        "clear sequence number differs from the signed one",
    ),
    Case(
        "wrong_stream",
        _liar(clear={"stream": "another"}),
        "claims-mismatch",
        "clear stream differs from the signed one",
    ),
    Case(
        "wrong_id",
        _liar(clear={"id": "0192f0c1-7e2b-7cc3-9f10-2b7f6c1d0aff"}),
        "claims-mismatch",
        "clear id differs from the signed one",
    ),
    Case(
        "wrong_source",
        _liar(clear={"source": "svc:referral"}),
        "claims-mismatch",
        "clear source differs from the issuer",
    ),
    Case(
        "enc_swapped",
        _liar(header={"cty": "hub-event+jws", "enc": "A128GCM", "typ": "hub-event+jwe"}),
        "wrong-algorithm",
        "another content cipher",
    ),
    Case(
        "compressed",
        _liar(
            header={"cty": "hub-event+jws", "enc": "A256GCM", "typ": "hub-event+jwe", "zip": "DEF"}
        ),
        "malformed",
        "a protected header v1 does not have",
    ),
    Case(
        "wrong_envelope_type",
        _liar(header={"cty": "hub-event+jws", "enc": "A256GCM", "typ": "JWT"}),
        "malformed",
        "another kind of object in place of an envelope",
    ),
    Case(
        "epk_twice",
        _liar(protect={"epk": True}),
        "malformed",
        "a header member both protected and not",
    ),
    Case(
        "epk_protected_for_two",
        _two_with_one_epk,
        "malformed",
        "a protected epk that would count for two recipients",
    ),
    Case("unknown_claim", _signer(exp=1), "malformed", "a claim v1 does not have"),
    Case("missing_claim", _signer(salt=None), "malformed", "no salt"),
    Case(
        "short_salt",
        _signer(salt=b64u(bytes(15))),
        "malformed",
        "a salt that a guesser could run through",
    ),
    Case(
        "fractional_seq",
        _signer(seq="7"),
        "malformed",
        "a sequence number that is not a whole number",
    ),
    Case(
        "wrong_statement_type",
        _signer(header={"typ": "JWT"}),
        "malformed",
        "a token in place of a statement",
    ),
)


def files() -> dict[str, bytes]:
    """Every file of the folder by name."""
    made = {f"{case.name}.json": case.build(case.name) for case in CASES}
    listing = [
        {"file": f"{case.name}.json", "me": case.me, "expect": case.expect, "defect": case.defect}
        for case in CASES
    ]
    made["cases.json"] = json.dumps(listing, indent=2).encode() + b"\n"
    made["keys.json"] = craft.keys_file()
    made["opened.json"] = json.dumps(craft.claims(), indent=2, ensure_ascii=False).encode() + b"\n"
    return made
