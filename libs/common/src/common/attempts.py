"""An idempotent request and its answer, as use cases see them: no framework, no storage."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of a creating request.

    `id` names (caller, key), `request` what was asked; both are keyed hashes.
    """

    id: bytes
    request: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a use case answers: status, JSON body and headers.

    The same request gets the same answer again.
    """

    status: int
    body: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    replayed: bool = False
