"""Strong ETags over (kind, id, version) (RFC 9110 section 8.8.3). Nothing asks for If-Match yet,
and why: docs/decisions/0011."""

import re
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from pydantic import BaseModel

from hubformats.canonical import b64u

_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def etag(kind: str, id_: object, version: int) -> str:
    """Return the tag of one version, in quotes. It hides how many changes there were."""
    named = "\0".join((kind, str(id_), str(version)))
    return f'"{b64u(sha256(named.encode()).digest()[:16])}"'


def shown(what: BaseModel) -> str:
    """Return the tag of an answer as it is shown: whatever of it changes, the tag does."""
    return f'"{b64u(sha256(what.model_dump_json(by_alias=True).encode()).digest()[:16])}"'


def unchanged(
    asked: Sequence[tuple[bytes, bytes]], status: int, answered: Sequence[tuple[bytes, bytes]]
) -> bool:
    """Tell whether the caller has this answer already (RFC 9110 section 13.1.2).

    `asked` and `answered` are headers. The answer was made, guarded and recorded all the same: only
    its body is spared.
    """
    wanted = b",".join(value for name, value in asked if name == b"if-none-match").decode("latin-1")
    tag = next((v.decode("latin-1") for k, v in answered if k.lower() == b"etag"), None)
    if status != 200 or tag is None or not wanted:
        return False
    return wanted.strip() == "*" or tag.removeprefix("W/") in _TAG.findall(wanted)
