"""Which process writes records: digests of its code and its settings, the same in all of them."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from common.settings import Settings
from hubformats.audit_record import Origin
from hubformats.canonical import b64u, canonical


def origin_of(service: str, settings: Settings) -> Origin:
    """Describe this process for its records: digests of its code and of its settings.

    Its clock is the machine's; how far that may be off nobody has said.
    """
    code = {**_digests("hubformats"), **_digests("common"), **_digests(service)}
    plain = {
        name: str(getattr(settings, name))
        for name, field in type(settings).model_fields.items()
        if field.repr  # what is kept out of `repr` is a secret
    }
    return Origin(service, _digest(code), _digest(plain), clock_source="system")


@lru_cache
def _digests(package: str) -> Mapping[str, str]:
    """Hash each file of an installed package with SHA-256; return the digests by path."""
    folder = Path(str(files(package)))
    return {
        f"{package}/{path.relative_to(folder)}": b64u(hashlib.sha256(path.read_bytes()).digest())
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def _digest(said: Mapping[str, str]) -> str:
    return b64u(hashlib.sha256(canonical(dict(said))).digest())
