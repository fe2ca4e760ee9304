"""One OAuth request and its answer, free of any web framework.

The shapes are those that Authlib's core works with.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import OAuth2Payload

from identity.oauth.model import OAuthClient

MAX_PARAMETER = 16_384
"""Characters of one parameter: room for a long state (the conformance suite sends one), none for a
flood.
"""


class BadForm(ValueError):
    """A parameter is repeated or too long.

    Two readers of the same request could take different values.
    """


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. `body` is JSON, or None for a redirect, whose place is `location`."""

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    location: str = ""


@dataclass(frozen=True, slots=True)
class Presented:
    """A client assertion whose signature and claims hold.

    Its `jti` is yet to be spent in a transaction.
    """

    client: OAuthClient
    jti: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Proof:
    """A DPoP proof that verifies for this request.

    Its `jti` is yet to be spent in a transaction.
    """

    jkt: str
    jti: str
    expires_at: datetime


def form_of(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Read the parameters, each at most once (RFC 6749 section 3.1).

    Raises BadForm.

    Authlib's `form` would keep the last of two values and its `payload.data` the first. So one may
    be checked and the other used. A request with two is refused before it gets there.
    """
    form: dict[str, str] = {}
    seen: set[str] = set()
    for name, value in pairs:
        if name in seen or len(value) > MAX_PARAMETER or len(name) > 100:
            raise BadForm("a parameter is repeated or too long")
        seen.add(name)
        if value:  # RFC 6749 section 3.1: a parameter without a value counts as omitted
            form[name] = value
    return form


class _Payload(OAuth2Payload):
    def __init__(self, form: Mapping[str, str]) -> None:
        self._data = dict(form)

    @property
    def data(self) -> dict[str, str]:
        return self._data

    @property
    def datalist(self) -> defaultdict[str, list[str]]:
        return defaultdict(list, {name: [value] for name, value in self._data.items()})


class Exchange(OAuth2Request):
    """An OAuth request. Its URI comes from configuration, never from a Host header.

    Authlib judges transport by the URI's scheme. Whether TLS is ended in front of us is the
    deployment's business. So the scheme is always given as https; settings allow http on loopback
    only.
    """

    def __init__(self, method: str, issuer: str, path: str, form: Mapping[str, str]) -> None:
        super().__init__(method, "https://" + issuer.partition("://")[2] + path, headers={})
        self._given = (method, issuer, path)
        self._form = dict(form)
        self.payload = _Payload(form)
        self.presented: Presented | None = None
        self.proof: Proof | None = None
        self.proof_refused = False
        self.proof_hint = ""

    def again(self) -> "Exchange":
        """Give the same request as it arrived, for one attempt of a transaction.

        A transaction may run more than once.
        """
        fresh = Exchange(*self._given, self._form)
        fresh.presented, fresh.proof = self.presented, self.proof
        fresh.proof_refused, fresh.proof_hint = self.proof_refused, self.proof_hint
        return fresh

    @property
    def args(self) -> dict[str, str]:
        """No query parameters are ever read."""
        return {}

    @property
    def form(self) -> dict[str, str]:
        """The parameters."""
        return self._form

    @property
    def jkt(self) -> str:
        """Thumbprint of the key the proof was made with, or empty."""
        return self.proof.jkt if self.proof else ""
