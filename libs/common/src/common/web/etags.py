"""Strong ETags over (kind, id, version), and the If-Match a change must carry (RFC 9110 sections 8.8.3 and 13.1.1)."""

import hmac
import re
from hashlib import sha256
from typing import Final

from common.canonical import b64u
from common.problems import Problem

_ENTITY_TAG: Final = re.compile(r'"[A-Za-z0-9_-]{22}"')


def etag(kind: str, id_: object, version: int) -> str:
    """The tag of one version, quotes included. It does not show the version, so nobody can count changes they may not see."""
    named = "\0".join((kind, str(id_), str(version)))
    return f'"{b64u(sha256(named.encode()).digest()[:16])}"'


def demand(if_match: str | None) -> str:
    """The tag a caller sent. Raises Problem `precondition-required`, or `precondition-failed` for what cannot be one of ours."""
    if if_match is None or not if_match.strip():
        raise Problem("precondition-required")
    wanted = if_match.strip()
    # `*`, lists and weak tags say "whatever it is now": exactly the lost update this is against.
    if not _ENTITY_TAG.fullmatch(wanted):
        raise Problem("precondition-failed")
    return wanted


def check(wanted: str, current: str) -> None:
    """Raises Problem `precondition-failed` unless the caller saw the current version."""
    if not hmac.compare_digest(wanted.encode(), current.encode()):
        raise Problem("precondition-failed", headers={"ETag": current})
