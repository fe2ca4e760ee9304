"""The portal's own tables, and the box that seals what lies in a row."""

import json
import secrets
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Column, LargeBinary, String, Table

from common.database import UtcDateTime, new_metadata
from common.web.frame import frame_tables

METADATA = new_metadata()
TABLES = frame_tables(METADATA)

VISIT = Table(
    "visit",
    METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("kind", String(10), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Column("created", UtcDateTime, nullable=False),
    Column("seen", UtcDateTime, nullable=False, index=True),
)
OPENED_DELIVERY = Table(
    "opened_delivery",
    METADATA,
    Column("id", LargeBinary, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("at", UtcDateTime, nullable=False),
)


class RowBox:
    """AES-256-GCM bound to the row it lies in."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESGCM(secret)

    def seal(self, name: bytes, body: Mapping[str, Any]) -> bytes:
        """Seal for the row of that name only."""
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, json.dumps(body).encode(), name)

    def open(self, name: bytes, sealed: bytes) -> dict[str, Any]:
        """Open what was sealed for the row of that name.

        Raises InvalidTag when it was changed or moved.
        """
        body: dict[str, Any] = json.loads(self._cipher.decrypt(sealed[:12], sealed[12:], name))
        return body
