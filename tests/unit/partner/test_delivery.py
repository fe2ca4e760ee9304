"""Only sharing may deliver, and a receipt signs for exactly the bytes that came."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from hubformats.agency_events import SavedReceipt
from hubformats.canonical import b64u, canonical, unb64u
from hubformats.envelope import EnvelopeRefused, digest
from hubformats.keys import KeyRefused, StaticKeys, generate_opening, generate_signing
from hubformats.package_proof import PackageRefused
from hubpartner.delivery import Delivery, envelope_of, open_delivery, saved_receipt
from sharing.inbox.model import check_receipt
from tests.support.packages import DELIVERY, LOG, ME, Parties, draft


def opened(parties: Parties, envelope: bytes, *more: StaticKeys) -> Delivery:
    keys = more[0] if more else StaticKeys(parties.hub.public())
    return open_delivery(
        envelope, me=ME, opening={parties.opening.kid: parties.opening}, keys=keys, log=LOG.verifier
    )


def test_a_right_delivery_opens() -> None:
    parties = Parties()
    envelope = parties.envelope(draft().package())
    delivery = opened(parties, envelope)
    assert (delivery.delivery_id, delivery.envelope_digest, delivery.verdict.standing) == (
        str(DELIVERY),
        digest(envelope),
        "proven",
    )
    assert delivery.statement.source == "svc:sharing"


def test_another_service_may_not_deliver() -> None:
    """Its signature is right and its key is known; it is only not the one that decides."""
    parties, other = Parties(), generate_signing("svc:referral")
    with pytest.raises(PackageRefused) as caught:
        opened(
            parties, parties.envelope(draft().package(), sender=other), StaticKeys(other.public())
        )
    assert (caught.value.step, caught.value.code) == (0, "not-from-sharing")


def test_a_sender_whose_key_is_not_pinned() -> None:
    parties = Parties()
    with pytest.raises(EnvelopeRefused) as caught:
        opened(parties, parties.envelope(draft().package(), sender=generate_signing("svc:sharing")))
    assert caught.value.code == "unknown-key"


def test_an_envelope_sealed_to_another() -> None:
    parties = Parties()
    with pytest.raises(EnvelopeRefused) as caught:
        opened(
            parties, parties.envelope(draft().package(), to=generate_opening("northmoor-housing"))
        )
    assert caught.value.code == "not-for-us"


def test_another_event_is_no_package() -> None:
    parties = Parties()
    with pytest.raises(PackageRefused) as caught:
        opened(parties, parties.envelope(SavedReceipt(receipt="x")))
    assert (caught.value.step, caught.value.code) == (0, "package-unknown")


def test_a_package_that_proves_nothing_is_refused_though_its_envelope_is_right() -> None:
    parties = Parties()
    with pytest.raises(PackageRefused) as caught:
        opened(parties, parties.envelope(draft().package(proof="")))
    assert caught.value.step == 5


def test_a_receipt_says_who_holds_what_and_where() -> None:
    parties = Parties()
    envelope = parties.envelope(draft().package())
    receipt = saved_receipt(opened(parties, envelope), signer=parties.signing, system="case-system")
    head, body, signature = receipt.split(".")
    assert json.loads(unb64u(head)) == {
        "alg": "ES256",
        "kid": parties.signing.kid,
        "typ": "hub-saved-receipt+jws",
    }
    claims = json.loads(unb64u(body))
    assert set(claims) == {"iss", "dl", "ed", "savedAt", "system", "iat", "jti"}
    assert (claims["iss"], claims["dl"], claims["ed"], claims["system"]) == (
        ME,
        str(DELIVERY),
        digest(envelope),
        "case-system",
    )
    saved_at = datetime.fromisoformat(claims["savedAt"])
    assert abs((datetime.now(UTC) - saved_at).total_seconds()) < 60
    assert abs(saved_at.timestamp() - claims["iat"]) < 5
    UUID(claims["jti"])
    parties.signing.public().verify(f"{head}.{body}".encode(), unb64u(signature))


def test_a_receipt_is_new_each_time_and_bound_to_its_words() -> None:
    parties = Parties()
    delivery = opened(parties, parties.envelope(draft().package()))
    one, two = (saved_receipt(delivery, signer=parties.signing, system="s") for _ in range(2))
    assert one != two
    head, body, signature = one.split(".")
    changed = b64u(canonical({**json.loads(unb64u(body)), "system": "another"}))
    with pytest.raises(KeyRefused):
        parties.signing.public().verify(f"{head}.{changed}".encode(), unb64u(signature))


def test_sharing_takes_the_receipt() -> None:
    """The two ends are written apart; this is where they meet."""
    parties = Parties()
    envelope = parties.envelope(draft().package())
    receipt = saved_receipt(opened(parties, envelope), signer=parties.signing, system="case-system")
    keys = StaticKeys(parties.signing.public())
    saved = check_receipt(
        receipt,
        agency=ME,
        delivery_id=DELIVERY,
        delivered={digest(envelope)},
        key=keys.verification,
    )
    assert (saved.agency, saved.delivery_id, saved.envelope_digest) == (
        ME,
        DELIVERY,
        digest(envelope),
    )


def test_an_item_must_be_what_its_digest_says() -> None:
    raw = b"an envelope"
    assert envelope_of({"envelopeBytes": b64u(raw), "digest": digest(raw)}) == raw
    with pytest.raises(ValueError, match="differs from its digest"):
        envelope_of({"envelopeBytes": b64u(raw + b"!"), "digest": digest(raw)})
