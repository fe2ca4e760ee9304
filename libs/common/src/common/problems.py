"""Refusals as RFC 9457 problems, which can carry nothing that a caller typed.

One registry of codes; those that every service knows stand in problems.toml."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

TYPE_BASE = "https://example.org/problems/"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One kind of refusal: its stable code, HTTP status, title, and what the caller can do."""

    code: str
    status: int
    title: str
    advice: str

    @property
    def type(self) -> str:
        """The `type` URI of RFC 9457 section 3.1.1."""
        return TYPE_BASE + self.code


@dataclass(frozen=True, slots=True)
class Fault:
    """One faulty part of a request: a fixed sentence, and an RFC 6901 pointer to the place."""

    pointer: str
    detail: str
    where: Literal["body", "query", "path", "header"] = "body"

    def as_json(self) -> dict[str, str]:
        """Return the member of `errors`."""
        return {"in": self.where, "pointer": self.pointer, "detail": self.detail}


class Problem(Exception):
    """A refusal to be answered as problem+json. `detail` and `errors` are our own sentences."""

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        errors: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        """Take a code of the registry; `members` are extension members of the body.

        Raises KeyError for a code that is not in the registry.
        """
        super().__init__(code)
        self.kind = _REGISTRY[code]
        self.code, self.status = code, self.kind.status
        self.detail = detail or self.kind.advice
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    def body(self, correlation_id: str) -> dict[str, Any]:
        """Return the members of RFC 9457 section 3, with our own and, if any, `errors`."""
        made: dict[str, Any] = {
            **self.members,
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            "instance": f"urn:uuid:{correlation_id}",
            "code": self.code,
            "correlationId": correlation_id,
        }
        if self.errors:
            made["errors"] = [fault.as_json() for fault in self.errors]
        return made


_REGISTRY: dict[str, ProblemKind] = {}


def define(code: str, status: int, title: str, advice: str) -> ProblemKind:
    """Add a kind to the registry. Raises ValueError if the code already means something else."""
    kind = ProblemKind(code, status, title, advice)
    if _REGISTRY.setdefault(code, kind) != kind:
        raise ValueError(f"problem code {code} is defined twice")
    return kind


def kinds() -> list[ProblemKind]:
    """Return every registered kind, ordered by status and code: the catalogue for documents."""
    return sorted(_REGISTRY.values(), key=lambda kind: (kind.status, kind.code))


for _code, _kind in tomllib.loads(
    files("common").joinpath("problems.toml").read_text("utf-8")
).items():
    define(_code, **_kind)
