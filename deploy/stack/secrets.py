"""Passwords of Kafka principals and database roles, derived from one root secret per server and
handed out one file each."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path


def root_secret(path: Path) -> str:
    """Read the secret in `path`, made at first use; readable by its owner only."""
    if not path.exists():
        write(path, secrets.token_hex(16))
    return path.read_text()


def derived(root: str, kind: str, name: str) -> str:
    """Derive one user's password: the same after a restart, and no user can work out another's."""
    return hmac.new(root.encode(), f"{kind}:{name}".encode(), hashlib.sha256).hexdigest()[:32]


def write(path: Path, text: str) -> None:
    """Write a file nobody else can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    beside.replace(path)
