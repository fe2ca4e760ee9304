"""What the use cases know of this installation, and how it names callers."""

import hmac
from dataclasses import dataclass, field
from hashlib import sha256

from common.access import Granted
from hubformats.audit_record import Actor


@dataclass(frozen=True, slots=True)
class Context:
    """One installation's audit: its area, the issuer of its tokens, and the key of its index."""

    area: str
    issuer: str
    index_secret: bytes = field(repr=False)

    def token(self, kind: str, value: str) -> bytes:
        """Make the search token that producers put beside a record.

        It is HMAC-SHA256(index secret, kind ‖ 0 ‖ value), cut to 16 bytes.
        """
        return hmac.digest(self.index_secret, f"{kind}\0{value}".encode(), sha256)[:16]


def actor_of(granted: Granted) -> Actor:
    """Name the caller as the audit trail does."""
    who = granted.principal
    role = "system" if who.kind == "system" else ",".join(sorted(who.roles)) or "person"
    return Actor(
        subject=f"{who.issuer}|{who.subject}", agency=who.agency, role=role, acr=who.acr or ""
    )
