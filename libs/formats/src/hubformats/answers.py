"""What a call of the hub can end in, other than the answer that was asked for."""

from collections.abc import Mapping
from typing import Any

from hubformats.canonical import CanonicalError, parse


class CallFailed(Exception):
    """No usable answer came: the call may or may not have taken effect.

    The text holds no URL and no content.
    """


class ProblemAnswer(Exception):
    """The service refused (RFC 9457). `code` is the problem's; `errors` its faulty places."""

    def __init__(
        self, status: int, body: Mapping[str, Any], retry_after: float | None = None
    ) -> None:
        """`body` is the problem+json, or empty if it was not one; `retry_after` in seconds."""
        self.status = status
        self.body = dict(body)
        self.code = str(body.get("code", "unknown"))
        self.detail = str(body.get("detail", ""))
        self.correlation_id = str(body.get("correlationId", ""))
        self.retry_after = retry_after
        errors = body.get("errors")
        self.errors: list[dict[str, Any]] = errors if isinstance(errors, list) else []
        super().__init__(f"{status} {self.code}")


class TokenRefused(Exception):
    """The issuer gave no token. `code` is OAuth's error word."""

    def __init__(self, code: str) -> None:
        """`code` is one word of RFC 6749 section 5.2, or `unreachable`."""
        super().__init__(code)
        self.code = code


def json_object(content: bytes) -> dict[str, Any]:
    """Read the JSON object a body holds, or an empty one if it holds none."""
    try:
        value = parse(content)
    except CanonicalError:
        return {}
    return value if isinstance(value, dict) else {}
