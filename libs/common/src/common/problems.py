"""Refusals as RFC 9457 problems: one registry of codes, and an exception that can carry nothing a
caller typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

TYPE_BASE = "https://example.org/problems/"


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """One kind of refusal: its stable code, HTTP status, title, and what the caller can do about
    it.
    """

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
    """One faulty part of a request: where (RFC 6901 pointer within body, query, path or header) and
    a fixed sentence.
    """

    pointer: str
    detail: str
    where: Literal["body", "query", "path", "header"] = "body"

    def as_json(self) -> dict[str, str]:
        """The member of `errors`."""
        return {"in": self.where, "pointer": self.pointer, "detail": self.detail}


class Problem(Exception):
    """A refusal to be answered as problem+json.

    `detail` and `errors` are our own fixed sentences, never input.
    """

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
        self.detail = detail or self.kind.advice
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.members = dict(members or {})

    @property
    def code(self) -> str:
        """The registered code."""
        return self.kind.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.kind.status

    def body(self, correlation_id: str) -> dict[str, Any]:
        """The problem+json members (RFC 9457 section 3) with our `code`, `correlationId` and, if
        any, `errors`.
        """
        made: dict[str, Any] = {
            **self.members,
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": f"urn:uuid:{correlation_id}",
            "code": self.kind.code,
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
    """Every registered kind, ordered by status and code: the catalogue for documents."""
    return sorted(_REGISTRY.values(), key=lambda kind: (kind.status, kind.code))


for _row in (
    ("malformed-request", 400, "Request cannot be read", "Send a well-formed HTTP request."),
    (
        "malformed-json",
        400,
        "Body is not readable JSON",
        "Send one JSON object in UTF-8, without repeated names or NUL characters.",
    ),
    (
        "idempotency-key-missing",
        400,
        "Idempotency-Key is missing",
        "Send an Idempotency-Key header of 16 to 64 characters, new for each new thing.",
    ),
    (
        "invalid-cursor",
        400,
        "Cursor is not usable",
        "Start again without a cursor; use cursors exactly as they were given.",
    ),
    (
        "unauthorized",
        401,
        "Access token is missing or not usable",
        "Get a new access token and send it with a fresh DPoP proof.",
    ),
    (
        "dpop-proof-refused",
        401,
        "DPoP proof is not usable",
        "Sign a fresh proof for this method and URL with the key the token is bound to.",
    ),
    (
        "step-up-required",
        401,
        "A fresh sign-in is needed",
        "Ask the person to authenticate again, then repeat the request.",
    ),
    (
        "insufficient-scope",
        403,
        "The token does not carry the needed scope",
        "Ask for a token with the scope named in WWW-Authenticate.",
    ),
    (
        "forbidden",
        403,
        "This is not permitted",
        "Ask your agency's administrator whether you should have this right.",
    ),
    ("agency-suspended", 403, "The agency is suspended", "Contact the hub's operator."),
    ("not-found", 404, "Not found", "There is nothing here that you may see."),
    ("method-not-allowed", 405, "Method not allowed", "Use a method listed in the Allow header."),
    ("not-acceptable", 406, "Answer cannot be given in that form", "Accept application/json."),
    (
        "conflict",
        409,
        "Conflicts with the present state",
        "Read the resource again and decide afresh.",
    ),
    (
        "idempotency-in-flight",
        409,
        "The same request is still being handled",
        "Wait a moment, then repeat it with the same Idempotency-Key.",
    ),
    ("body-too-large", 413, "Body is too large", "Send at most 256 KiB."),
    ("unsupported-media-type", 415, "Body is of the wrong type", "Send application/json in UTF-8."),
    (
        "validation-failed",
        422,
        "Some fields are not acceptable",
        "Correct the fields named in errors.",
    ),
    (
        "idempotency-key-reused",
        422,
        "Idempotency-Key was used for something else",
        "Use a new key for a new request.",
    ),
    ("rate-limited", 429, "Too many requests", "Wait for the seconds given in Retry-After."),
    ("headers-too-large", 431, "Headers are too large", "Send fewer or shorter headers."),
    (
        "internal-error",
        500,
        "Something went wrong here",
        "Report the correlationId to the hub's operator; nothing is stored unless a retry says so.",
    ),
    ("upstream-failed", 502, "Another service gave no usable answer", "Try again later."),
    ("unavailable", 503, "The service cannot answer now", "Try again later."),
    ("paused", 503, "The service is paused by its operator", "Try again later."),
    (
        "directory-stale",
        503,
        "Agency state is out of date",
        "Access is denied until the directory answers again; try again shortly.",
    ),
    (
        "audit-backlog",
        503,
        "The audit log is too far behind",
        "Personal data is not shown until reads can be accounted for; try again later.",
    ),
    ("issuer-unreachable", 503, "Tokens cannot be checked now", "Try again shortly."),
):
    define(*_row)
