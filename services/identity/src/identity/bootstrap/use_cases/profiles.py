"""Files that hold private keys: written whole or not at all, readable by their owner only."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hubformats.keys import OpeningKey, SigningKey


@dataclass(frozen=True, slots=True)
class ProfileKeys:
    """The keys in a profile.

    `hub` is the public key by which sharing signs what it delivers. It is pinned so that a package
    can be checked offline.
    """

    signing: SigningKey
    opening: OpeningKey | None
    dpop: SigningKey
    hub: Mapping[str, str]


def write_private(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write `data` so that a crash leaves the old file or the new one, never half of one.

    Folders are made 0700.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_profile(
    path: Path,
    about: Mapping[str, str],
    keys: ProfileKeys,
    *,
    kafka: Mapping[str, str] | None,
) -> None:
    """Write a `hubctl` profile: who the agency is, where the hub is, and its private keys inline.

    `kafka` is its account there, if it has one.
    """
    lines = [
        (
            "# Made by identity.bootstrap for a demonstration. Holds private keys: keep it 0600 "
            "and out of version control."
        )
    ]
    lines += [f"{name} = {_text(value)}" for name, value in about.items()]
    opening = keys.opening
    lines += ["", "[keys]", f"signing_jwk = {_table(keys.signing.jwk(private=True))}"]
    lines += [f"opening_jwks = [{_table(opening.jwk(private=True)) if opening else ''}]"]
    lines += [f"dpop_jwk = {_table(keys.dpop.jwk(private=True))}"]
    lines += [f"hub_signing_jwk = {_table(keys.hub)}"]
    if kafka is not None:
        lines += ["", "[kafka]", *(f"{name} = {_text(value)}" for name, value in kafka.items())]
    content = ("\n".join(lines) + "\n").encode()
    if not path.exists() or path.read_bytes() != content:
        write_private(path, content)


def _text(value: str) -> str:
    # A JSON string without escapes of surrogates is a TOML basic string (TOML 1.0, "String").
    return json.dumps(value, ensure_ascii=False)


def _table(jwk: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f"{name} = {_text(value)}" for name, value in jwk.items()) + " }"
