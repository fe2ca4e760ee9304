"""A partner's profile: who it is, where the hub is, and its private keys, read from one 0600 TOML
file."""

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hubformats.keys import (
    KeyRefused,
    OpeningKey,
    SigningKey,
    VerificationKey,
    opening_from_jwk,
    signing_from_jwk,
    verification_from_jwk,
)
from hubformats.tlog import ProofRefused, Verifier


class ProfileRefused(Exception):
    """The profile cannot be used.

    The message says what is wrong with the file and never shows what it holds.
    """


@dataclass(frozen=True, slots=True)
class KafkaAccount:
    """Where an agency's own topic is. The password is kept out of `repr`."""

    bootstrap: str
    user: str
    topic: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Profile:
    """Everything `hubctl` needs to act for one agency, auditor or operator."""

    agency: str
    client_id: str
    issuer: str
    referral_url: str
    sharing_url: str
    audit_url: str
    identity_url: str
    portal_url: str
    log: Verifier
    signing: SigningKey
    dpop: SigningKey
    opening: Mapping[str, OpeningKey]
    hub: VerificationKey
    kafka: KafkaAccount | None = None


def read_profile(path: Path) -> Profile:
    """Read the profile in `path`.

    Raises ProfileRefused when it is missing, readable by others, or incomplete.
    """
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        raw = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ProfileRefused(
            "there is no such profile file; a demo hub writes them to the folder demo/ of its "
            "HUB_DIR"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        raise ProfileRefused("the profile file cannot be read as TOML") from None
    if mode & 0o077:
        raise ProfileRefused(
            "the profile holds private keys but others may read it; run: chmod 600 on it"
        )
    try:
        return _profile(raw)
    except (KeyError, TypeError):
        raise ProfileRefused(
            "the profile lacks a needed entry; compare it with docs/partners.md"
        ) from None
    except (KeyRefused, ProofRefused, ValueError):
        raise ProfileRefused("a key in the profile is not usable") from None


def _profile(raw: Mapping[str, Any]) -> Profile:
    agency, keys = str(raw["agency"]), raw["keys"]
    opening = [opening_from_jwk(jwk, agency) for jwk in keys["opening_jwks"]]
    kafka = raw.get("kafka")
    return Profile(
        agency=agency,
        client_id=str(raw["client_id"]),
        issuer=str(raw["issuer"]),
        referral_url=str(raw["referral_url"]),
        sharing_url=str(raw["sharing_url"]),
        audit_url=str(raw["audit_url"]),
        identity_url=str(raw["identity_url"]),
        portal_url=str(raw["portal_url"]),
        log=Verifier.parse(str(raw["log_vkey"])),
        signing=signing_from_jwk(keys["signing_jwk"], agency),
        dpop=signing_from_jwk(keys["dpop_jwk"], agency),
        opening={key.kid: key for key in opening},
        hub=verification_from_jwk(keys["hub_signing_jwk"], "svc:sharing"),
        kafka=None
        if kafka is None
        else KafkaAccount(kafka["bootstrap"], kafka["user"], kafka["topic"], kafka["password"]),
    )
