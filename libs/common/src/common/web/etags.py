"""Strong ETags over (kind, id, version) (RFC 9110 section 8.8.3). Nothing asks for If-Match yet,
and why: docs/decisions/0011."""

from hashlib import sha256

from hubformats.canonical import b64u


def etag(kind: str, id_: object, version: int) -> str:
    """Return the tag of one version, in quotes. It hides how many changes there were."""
    named = "\0".join((kind, str(id_), str(version)))
    return f'"{b64u(sha256(named.encode()).digest()[:16])}"'
