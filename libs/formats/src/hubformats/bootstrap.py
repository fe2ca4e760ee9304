"""The operator-signed bootstrap file: who may speak, with which keys, from the first moment (design
section 9, genesis).

Flattened JWS JSON (RFC 7515 section 7.2.2), ES256. The SHA-256 of its bytes is entry 0 of the audit
log.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from hubformats import jws
from hubformats.canonical import b64u, canonical, parse, unb64u
from hubformats.keys import (
    Jwk,
    KeyRefused,
    RecipientKey,
    SigningKey,
    VerificationKey,
    recipient_from_jwk,
    verification_from_jwk,
)

FILE_NAME: Final = "bootstrap.json"
OPERATOR_FILE: Final = "operator.jwk"
"""The operator's public key, beside the bootstrap file.

Production pins its thumbprint by setting instead.
"""

SERVICE_KEY: Final = "service"
"""Name of a service's own signing and opening keys in its keyring; owner of the keys is
``svc:<service>``.
"""

TOKEN_KEY: Final = "access-token"  # noqa: S105 - a key's name, not a secret
"""Name, in identity's keyring, of the key that signs access tokens and nothing else."""

LOG_SEED: Final = "log-ed25519"
"""Name, in audit's keyring, of the 32-byte secret that is the Ed25519 seed of the log's checkpoint
signer.
"""

SHARED_SECRETS: Final[dict[str, tuple[str, ...]]] = {
    "case-reference": ("referral", "sharing"),
    "audit-index": ("audit", "referral", "sharing", "identity", "portal"),
}
"""Keyring secrets that several services must hold alike → those services."""

BOOTSTRAP_TYPE: Final = "hub-bootstrap+jws"
KEY_SET_TYPE: Final = "hub-keyset+jws"
FILE_LIMIT: Final = 1_000_000
SERVICES: Final = ("referral", "sharing", "audit", "identity", "portal")
OPERATOR: Final = "operator"

ClientKind = Literal["system", "service", "portal", "operator", "auditor"]


class BootstrapRefused(ValueError):
    """The file is missing, malformed, or not signed by the pinned operator key.

    `code` names the defect.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class OperatorKeyRefused(BootstrapRefused):
    """The public key beside the file is missing or malformed: the file itself may be sound."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Area(_Entry):
    """The area (a sharing partnership) this hub serves."""

    id: str
    name: str


class Agency(_Entry):
    """One agency: its pinned root key, and its key set signed by that root (`read_key_set`)."""

    id: str
    name: str
    type: str
    area: str
    root: Jwk
    key_set: str
    custodial: bool = False


class Client(_Entry):
    """One OAuth client.

    `scopes` is its ceiling; `redirect_uris` may begin with ``{portal}``, resolved from settings.
    """

    id: str
    kind: ClientKind
    agency: str
    keys: tuple[Jwk, ...]
    scopes: tuple[str, ...]
    redirect_uris: tuple[str, ...] = ()


class Mandate(_Entry):
    """What lets a cross-agency auditor look beyond one agency: dated, by whom given.

    Both days are included.
    """

    granted_by: str
    begins: date
    ends: date


class Person(_Entry):
    """A practitioner.

    `id` is opaque. The name stays in this file and is never put in a token, an event or a log.
    """

    id: str
    name: str
    agency: str
    roles: tuple[str, ...]
    mandate: Mandate | None = None


class ServiceEntry(_Entry):
    """One service's public keys, vouched for by the operator's signature on this file."""

    name: str
    owner: str
    client_id: str
    signing: tuple[Jwk, ...]
    opening: tuple[Jwk, ...]


class LogIdentity(_Entry):
    """The transparency log's origin line and C2SP verifier key."""

    origin: str
    vkey: str


class _Payload(_Entry):
    v: Literal[1]
    demo: bool
    created: str
    operator: Jwk
    area: Area
    agencies: tuple[Agency, ...]
    clients: tuple[Client, ...]
    people: tuple[Person, ...]
    services: tuple[ServiceEntry, ...]
    log: LogIdentity


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """A verified bootstrap file. `digest` is the SHA-256 of its exact bytes: entry 0 of the log."""

    digest: bytes
    raw: bytes
    demo: bool
    created: datetime
    operator: VerificationKey
    area: Area
    agencies: Mapping[str, Agency]
    clients: Mapping[str, Client]
    people: Mapping[str, Person]
    services: Mapping[str, ServiceEntry]
    log: LogIdentity

    def public_keys(self) -> tuple[VerificationKey | RecipientKey, ...]:
        """Return every signing and sealing key the file vouches for, ready for a key source.

        Raises BootstrapRefused.
        """
        found: list[VerificationKey | RecipientKey] = [self.operator]
        for service in self.services.values():
            found += [verification_from_jwk(jwk, service.owner) for jwk in service.signing]
            found += [recipient_from_jwk(jwk, service.owner) for jwk in service.opening]
        for agency in self.agencies.values():
            found += read_key_set(agency.key_set, agency.id, agency.root).keys
        return tuple(found)


@dataclass(frozen=True, slots=True)
class KeySet:
    """One agency's keys as its root signed them; `issued` in Unix seconds, the later counts."""

    agency: str
    issued: int
    keys: tuple[VerificationKey | RecipientKey, ...]
    jwks: tuple[Jwk, ...]


def sign_bootstrap(payload: Mapping[str, Any], operator: SigningKey) -> bytes:
    """Make the file's bytes: canonical flattened JWS JSON over the canonical payload.

    Written out here: `hubformats.jws` knows the compact form, up to 8 kB; this file is larger.
    """
    protected = b64u(canonical({"alg": "ES256", "kid": operator.kid, "typ": BOOTSTRAP_TYPE}))
    body = b64u(canonical(payload))
    signature = operator.sign(f"{protected}.{body}".encode())
    return canonical({"payload": body, "protected": protected, "signature": b64u(signature)})


def read_bootstrap(path: Path, operator_kid: str | None = None) -> Bootstrap:
    """Read and verify the bootstrap file at `path`, or in it when `path` is a folder.

    Raises BootstrapRefused, and its OperatorKeyRefused for the key beside the file.

    `operator_kid` is the RFC 7638 thumbprint of the operator's key, pinned by setting. Without it
    the public key beside the file (`operator.jwk`) is trusted. That is for demonstrations, since
    whoever can write the folder can replace both.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        raw = file.read_bytes()
    except OSError:
        raise BootstrapRefused("bootstrap-unreadable") from None
    return verify_bootstrap(raw, operator_kid or _beside(file.parent / OPERATOR_FILE))


def _beside(file: Path) -> str:
    try:
        return verification_from_jwk(parse(file.read_bytes()), OPERATOR).kid
    except OSError:
        raise OperatorKeyRefused("operator-key-unreadable") from None
    except (ValueError, KeyRefused):
        raise OperatorKeyRefused("operator-key-malformed") from None


def verify_bootstrap(raw: bytes, operator_kid: str) -> Bootstrap:
    """Verify the file's bytes against the operator key with thumbprint `operator_kid`.

    Raises BootstrapRefused.
    """
    try:
        outer = parse(raw, max_bytes=FILE_LIMIT)
        if not isinstance(outer, dict) or set(outer) != {"payload", "protected", "signature"}:
            raise BootstrapRefused("bootstrap-malformed")
        header = parse(unb64u(outer["protected"]))
        payload = _Payload.model_validate(parse(unb64u(outer["payload"]), max_bytes=FILE_LIMIT))
        # The embedded key counts for nothing until its thumbprint equals the pinned one.
        operator = verification_from_jwk(payload.operator, OPERATOR)
    except BootstrapRefused:
        raise
    except (ValueError, TypeError, KeyRefused, ValidationError):
        raise BootstrapRefused("bootstrap-malformed") from None
    if operator.kid != operator_kid or header != {
        "alg": "ES256",
        "kid": operator_kid,
        "typ": BOOTSTRAP_TYPE,
    }:
        raise BootstrapRefused("operator-key-unknown")
    try:
        operator.verify(
            f"{outer['protected']}.{outer['payload']}".encode(), unb64u(outer["signature"])
        )
    except (ValueError, KeyRefused):
        raise BootstrapRefused("bootstrap-signature-wrong") from None
    return _indexed(raw, payload, operator)


def _indexed(raw: bytes, payload: _Payload, operator: VerificationKey) -> Bootstrap:
    agencies = {agency.id: agency for agency in payload.agencies}
    clients = {client.id: client for client in payload.clients}
    people = {person.id: person for person in payload.people}
    services = {service.name: service for service in payload.services}
    if (len(agencies), len(clients), len(people), len(services)) != (
        len(payload.agencies),
        len(payload.clients),
        len(payload.people),
        len(payload.services),
    ):
        raise BootstrapRefused("bootstrap-duplicate")
    known = agencies.keys() | {payload.area.id} | {service.owner for service in payload.services}
    if {client.agency for client in payload.clients} - known or {
        person.agency for person in payload.people
    } - known:
        raise BootstrapRefused("bootstrap-agency-unknown")
    for agency in payload.agencies:
        read_key_set(agency.key_set, agency.id, agency.root)
    return Bootstrap(
        digest=hashlib.sha256(raw).digest(),
        raw=raw,
        demo=payload.demo,
        created=_moment(payload.created),
        operator=operator,
        area=payload.area,
        agencies=agencies,
        clients=clients,
        people=people,
        services=services,
        log=payload.log,
    )


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BootstrapRefused("bootstrap-malformed") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def sign_key_set(agency: str, jwks: tuple[Jwk, ...], root: SigningKey, issued: int) -> str:
    """Sign an agency's key set as a compact JWS under its root key; `issued` in Unix seconds."""
    return jws.sign({"agency": agency, "iat": issued, "keys": list(jwks)}, root, typ=KEY_SET_TYPE)


def read_key_set(compact: str, agency: str, root: Mapping[str, str]) -> KeySet:
    """Verify an agency's key set against its pinned root (a public JWK).

    Raises BootstrapRefused, also for more than 8 kB, which is about thirty keys.
    """
    try:
        claims = jws.verify(compact, verification_from_jwk(root, agency), typ=KEY_SET_TYPE)
        if (
            set(claims) != {"agency", "iat", "keys"}
            or claims["agency"] != agency
            or type(claims["iat"]) is not int
        ):
            raise BootstrapRefused("key-set-malformed")
        keys = tuple(
            recipient_from_jwk(j, agency)
            if j.get("use") == "enc"
            else verification_from_jwk(j, agency)
            for j in claims["keys"]
        )
    except BootstrapRefused:
        raise
    except jws.JwsRefused as error:
        code = "key-set-root-unknown" if error.code == "header" else "key-set-malformed"
        raise BootstrapRefused(code) from None
    except (ValueError, TypeError, AttributeError, KeyError, KeyRefused):
        raise BootstrapRefused("key-set-malformed") from None
    return KeySet(agency=agency, issued=claims["iat"], keys=keys, jwks=tuple(claims["keys"]))
