"""What a call of the hub can end in, other than the answer that was asked for."""

from collections.abc import Mapping
from typing import Any, Final

import httpx2

from hubformats import answers
from hubformats.answers import CallFailed, TokenRefused, json_object

__all__ = ["CallFailed", "ProblemAnswer", "TokenRefused", "problem_of"]

_STANDARD: Final = frozenset(
    {"type", "title", "status", "detail", "instance", "code", "correlationId", "errors"}
)
_BY_THE_WAY: Final = frozenset({429, 500, 502, 503, 504})
"""Statuses of an answer that a try after a lost answer may get too."""


class ProblemAnswer(answers.ProblemAnswer):
    """The service refused. `code` is the problem's; `errors` its faulty places.

    `extensions` are the problem's further members, such as `referralId` (RFC 9457 section 3.2).
    """

    def __init__(
        self, status: int, body: Mapping[str, Any], retry_after: float | None = None
    ) -> None:
        """`body` is the problem+json, or empty if it was not one; `retry_after` in seconds."""
        super().__init__(status, body, retry_after)
        self.extensions = {name: body[name] for name in body if name not in _STANDARD}

    @property
    def referral_id(self) -> str:
        """The referral that stands already (409), or empty."""
        return str(self.extensions.get("referralId", ""))

    @property
    def leaves_open(self) -> bool:
        """Whether the same call, or an earlier try of it, may have taken effect all the same."""
        return self.status in _BY_THE_WAY or self.code == "idempotency-in-flight"


def problem_of(answer: httpx2.Response) -> ProblemAnswer:
    """Turn an answer of 400 or above into the refusal it is."""
    wait = answer.headers.get("retry-after", "")
    # A date (RFC 9110 section 10.2.3) is not understood: the hub sends seconds.
    return ProblemAnswer(
        answer.status_code, json_object(answer.content), float(wait) if wait.isdecimal() else None
    )
