"""Strong ETags over (kind, id, version) (RFC 9110 section 8.8.3). Nothing asks for If-Match yet,
and why: docs/decisions/0011."""

from hashlib import sha256

from hubformats.canonical import b64u


def etag(kind: str, id_: object, version: int) -> str:
    """The tag of one version, quotes included.

    It does not show the version, so nobody can count changes they may not see.
    """
    named = "\0".join((kind, str(id_), str(version)))
    return f'"{b64u(sha256(named.encode()).digest()[:16])}"'
