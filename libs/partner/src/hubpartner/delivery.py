"""A delivery as its recipient handles it: open, verify, and sign for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hubformats.agency_events import (
    CompromisedKeyUsed,
    DeliveryStopped,
    DisclosurePackage,
    EnvelopeSetAside,
    parse,
)
from hubformats.canonical import unb64u
from hubformats.clock import SystemClock
from hubformats.envelope import Opened, digest, open_envelope
from hubformats.event import Event, EventMalformed, EventUnknown
from hubformats.ids import uuid7
from hubformats.jws import sign
from hubformats.keys import KeySource, OpeningKey, SigningKey
from hubformats.package_proof import PackageRefused, Verdict, verify_package
from hubformats.tlog import Verifier

SENDER = "svc:sharing"
RECEIPT_TYPE = "hub-saved-receipt+jws"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One item of the inbox, opened and checked.

    `envelope_digest` binds a receipt to exactly these bytes.
    """

    delivery_id: str
    envelope_digest: str
    statement: Opened
    package: DisclosurePackage
    verdict: Verdict


def open_delivery(
    envelope: bytes, *, me: str, opening: Mapping[str, OpeningKey], keys: KeySource, log: Verifier
) -> Delivery:
    """Open an envelope sealed to `me` and check its sender and all the package claims.

    Raises EnvelopeRefused when it cannot be opened or its signature fails, PackageRefused when it
    proves nothing.
    """
    opened, event = _opened(envelope, me, opening, keys)
    if not isinstance(event, DisclosurePackage):
        raise PackageRefused(0, "package-unknown")
    verdict = verify_package(event, me=me, log=log)
    return Delivery(str(event.delivery_id), digest(envelope), opened, event, verdict)


def open_notice(
    envelope: bytes, *, me: str, opening: Mapping[str, OpeningKey], keys: KeySource
) -> EnvelopeSetAside | CompromisedKeyUsed:
    """Open a notice to the agency `me` about what it signed, and check its sender.

    It comes on the agency's topic, between deliveries.

    Raises EnvelopeRefused when it cannot be opened or its signature fails, PackageRefused when it
    is no such notice.
    """
    _, event = _opened(envelope, me, opening, keys)
    if not isinstance(event, EnvelopeSetAside | CompromisedKeyUsed):
        raise PackageRefused(0, "notice-unknown")
    return event


def open_stop(
    envelope: bytes, *, me: str, opening: Mapping[str, OpeningKey], keys: KeySource
) -> DeliveryStopped:
    """Open the word that a delivery was taken back before it left, and check its sender.

    It comes on the agency's topic, at the place of that delivery.

    Raises EnvelopeRefused when it cannot be opened or its signature fails, PackageRefused when it
    is no such word.
    """
    _, event = _opened(envelope, me, opening, keys)
    if not isinstance(event, DeliveryStopped):
        raise PackageRefused(0, "stop-unknown")
    return event


def _opened(
    envelope: bytes, me: str, opening: Mapping[str, OpeningKey], keys: KeySource
) -> tuple[Opened, Event]:
    opened = open_envelope(envelope, me=me, opening=opening, keys=keys)
    if opened.source != SENDER:
        raise PackageRefused(0, "not-from-sharing")
    try:
        return opened, parse(opened.type, opened.version, opened.data)
    except (EventUnknown, EventMalformed):
        raise PackageRefused(0, "package-unknown") from None


def saved_receipt(delivery: Delivery, *, signer: SigningKey, system: str) -> str:
    """Sign that `system`, the recipient's system of record, holds exactly this ciphertext.

    Design section 2, point 11.
    """
    now = SystemClock().now()
    claims = {
        "iss": signer.owner,
        "dl": delivery.delivery_id,
        "ed": delivery.envelope_digest,
        "savedAt": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "system": system,
        "iat": int(now.timestamp()),
        "jti": str(uuid7()),
    }
    return sign(claims, signer, typ=RECEIPT_TYPE)


def envelope_of(item: Mapping[str, Any]) -> bytes:
    """Return the exact envelope bytes of an inbox item.

    Raises ValueError when they are not what the item's digest says.
    """
    raw = unb64u(str(item["envelopeBytes"]))
    if digest(raw) != item["digest"]:
        raise ValueError("the envelope differs from its digest")
    return raw
