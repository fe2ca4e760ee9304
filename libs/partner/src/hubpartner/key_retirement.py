"""An agency retires its signing key: the set that its root signs anew, and the profile's next
key."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from hubformats.bootstrap import BootstrapRefused, read_key_set, sign_key_set
from hubformats.canonical import canonical, parse
from hubformats.keys import (
    Jwk,
    KeyRefused,
    SigningKey,
    generate_signing,
    retired_jwk,
    signing_from_jwk,
)
from hubpartner.calls import Call
from hubpartner.client import HubClient
from hubpartner.profile import ProfileRefused

_SIGNING: Final = re.compile(r"(?m)^signing_jwk = \{.*\}$")


class RootRefused(Exception):
    """The root key cannot be used, or the hub serves a set that it did not sign."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be retired, from when, and what takes its place if nothing else does.

    `profile` is the file beside which the successor is kept.
    """

    kid: str
    retired_at: datetime
    compromised_since: datetime | None
    successor: SigningKey
    profile: Path


def read_root(path: Path, agency: str) -> SigningKey:
    """Read the agency's private root key: a JWK, or a file with the member `root`.

    Raises RootRefused.
    """
    try:
        found = parse(path.read_bytes())
        return signing_from_jwk(found.get("root", found), agency)
    except (OSError, ValueError, KeyRefused, AttributeError):
        raise RootRefused("the root key cannot be read from that file") from None


def next_key(profile: Path, agency: str) -> SigningKey:
    """Make the signing key that will take the retired one's place, or find that of an earlier try.

    Nothing is written: `retire` does, once the root has proved right.
    """
    place = _beside(profile)
    if not place.exists():
        return generate_signing(agency)
    return signing_from_jwk(parse(place.read_bytes()), agency)


def adopt(profile: Path, key: SigningKey | None) -> None:
    """Let the profile sign with `key`, or with what it has; a crash leaves either profile whole.

    Raises ProfileRefused when the profile has no line of its own for its signing key.
    """
    if key is None:
        _beside(profile).unlink(missing_ok=True)
        return
    members = (f"{name} = {json.dumps(value)}" for name, value in key.jwk(private=True).items())
    line = f"signing_jwk = {{ {', '.join(members)} }}"
    text, count = _SIGNING.subn(lambda _: line, profile.read_text("utf-8"))
    if count != 1:
        raise ProfileRefused("it has no line of its own for the signing key; the new key is kept")
    _write(profile, text.encode())
    _beside(profile).unlink()


async def retire(client: HubClient, root: SigningKey, wanted: Wanted) -> bool:
    """Have the hub serve a set in which the key is retired.

    Returns whether the successor was added: it is, unless another living key is there. It is on
    the disk before the hub hears of it.

    Raises RootRefused, ProblemAnswer, CallFailed, TokenRefused.
    """
    profile, identity = client.profile, client.service("identity")
    served = await identity.send(Call("GET", "/v1/directory/keys", scope="directory.read"))
    try:
        old = read_key_set(str(served["keySets"][profile.agency]), profile.agency, root.jwk())
    except (BootstrapRefused, KeyError):
        raise RootRefused("the hub serves no key set of this agency under this root") from None
    if any(jwk.get("kid") == wanted.successor.kid for jwk in old.jwks):
        return True  # an earlier try was done, and its answer or the profile's change was lost
    jwks, added = _changed(old.jwks, wanted)
    issued = max(int(wanted.retired_at.timestamp()), old.issued + 1)
    body: dict[str, Any] = {
        "keySet": sign_key_set(profile.agency, jwks, root, issued),
        "keyId": wanted.kid,
        "retiredAt": wanted.retired_at.isoformat(),
    }
    if wanted.compromised_since is not None:
        body["compromisedSince"] = wanted.compromised_since.isoformat()
    if added:
        _write(_beside(wanted.profile), canonical(wanted.successor.jwk(private=True)))
    path = f"/v1/agencies/{profile.agency}/key-retirements"
    await identity.send(Call("POST", path, scope="key.manage", json=body))
    return added


def _changed(jwks: tuple[Mapping[str, Any], ...], wanted: Wanted) -> tuple[tuple[Jwk, ...], bool]:
    since, changed = wanted.compromised_since, list[Jwk]()
    for jwk in jwks:
        plain = {name: value for name, value in jwk.items() if name != "revoked"}
        retired = retired_jwk(plain, since or wanted.retired_at, compromised=since is not None)
        changed.append(retired if jwk.get("kid") == wanted.kid else dict(jwk))
    alone = not any(jwk.get("use") == "sig" and "revoked" not in jwk for jwk in changed)
    return (*changed, *([wanted.successor.jwk()] if alone else [])), alone


def _beside(profile: Path) -> Path:
    return profile.with_name(f"{profile.name}.next-key")


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
