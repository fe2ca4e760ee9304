"""Tables of identity. No name of a person is stored here; secrets are kept as SHA-256 only."""

from typing import Final

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from common.database import JsonDocument, UtcDateTime, new_metadata
from common.web.frame import frame_tables

METADATA: Final = new_metadata()

SEEN: Final = Table(
    "seen_once",
    METADATA,
    Column("purpose", String(16), primary_key=True),
    Column("value", String(600), primary_key=True),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
)

PUSHED: Final = Table(
    "pushed_request",
    METADATA,
    Column("handle", String(43), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("parameters", JsonDocument, nullable=False),
    Column("jkt", String(43), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("completed", Boolean, nullable=False, default=False),
)

CODE: Final = Table(
    "authorization_code",
    METADATA,
    Column("digest", String(43), primary_key=True),
    Column("grant_id", String(43), nullable=False),
    Column("client_id", String(100), nullable=False),
    Column("redirect_uri", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("subject", String(100), nullable=False),
    Column("code_challenge", String(128), nullable=False),
    Column("jkt", String(43), nullable=False),
    Column("resource", Text, nullable=False),
    Column("acr", String(100), nullable=False),
    Column("auth_time", Integer, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("used", Boolean, nullable=False, default=False),
    Column("row_seal", LargeBinary, nullable=True),
)

FAMILY: Final = Table(
    "token_family",
    METADATA,
    Column("id", String(43), primary_key=True),
    Column("client_id", String(100), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("agency", String(100), nullable=False, index=True),
    Column("scope", Text, nullable=False),
    Column("jkt", String(43), nullable=False),
    Column("resource", Text, nullable=False),
    Column("acr", String(100), nullable=False),
    Column("auth_time", Integer, nullable=False),
    Column("refresh_digest", String(43), nullable=False, unique=True),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("revoked", Boolean, nullable=False, default=False),
    Column("row_seal", LargeBinary, nullable=True),
)

ISSUED: Final = Table(
    "access_token",
    METADATA,
    Column("jti", String(43), primary_key=True),
    Column("family_id", String(43), nullable=False, index=True),
    Column("client_id", String(100), nullable=False),
    Column("subject", String(100), nullable=False),
    Column("agency", String(100), nullable=False, index=True),
    Column("audience", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False, index=True),
    Column("revoked", Boolean, nullable=False, default=False),
)

AGENCY: Final = Table(
    "agency",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("type", String(64), nullable=False),
    Column("area", String(64), nullable=False),
    Column("root", JsonDocument, nullable=False),
    Column("key_set", Text, nullable=False),
    Column("custodial", Boolean, nullable=False),
    Column("suspended_at", UtcDateTime, nullable=True),
    Column("reason_code", String(64), nullable=False, default=""),
)

SERVICE_KEYS: Final = Table(
    "service_key_set",
    METADATA,
    Column("owner", String(100), primary_key=True),
    Column("key_set", Text, nullable=False),
)

EPOCH: Final = Table(
    "directory_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, nullable=False),
)

Index("ix_agency_suspended", AGENCY.c.suspended_at)

FRAME_TABLES: Final = frame_tables(METADATA)
