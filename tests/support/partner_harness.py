"""An agency's profile file, and a hub that answers `hubctl` from memory over a transport without a
socket."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2

from hubformats.canonical import b64u
from hubformats.envelope import digest
from identity.bootstrap.use_cases.profiles import ProfileKeys, write_profile
from tests.support.packages import DELIVERY, LOG, ME, Parties

BASE: Final = "http://hub.example.org"

_SET_ASIDE: Final[dict[str, Any]] = {
    "topic": "hub.case.v1",
    "digest": "A" * 43,
    "receivedAt": "2026-11-21T02:00:05Z",
    "reason": "agency-suspended",
    "holds": True,
    "sender": ME,
    "eventId": None,
}

_REFUSED: Final[dict[str, Any]] = {
    "id": "01932000-0000-7000-8000-0000000000f1",
    "at": "2026-11-21T02:00:05Z",
    "code": "malformed-json",
}


_SENT: Final[dict[str, Any]] = {
    "referralId": "01932000-0000-7000-8000-0000000000f2",
    "caseReference": "NM-1",
    "form": "urgent",
    "kind": "domestic_abuse",
    "state": "submitted",
    "version": 2,
    "receivedAt": "2026-11-21T02:00:05Z",
    "changedAt": "2026-11-21T03:00:05Z",
    "externalReference": "INC-1\u001b[2J",
}
_STUCK: Final[dict[str, Any]] = {
    "items": [
        {
            "state": "blocked",
            "reason": "audit-rejected",
            "count": 3,
            "oldest": "2026-11-21T02:00:05Z",
        }
    ],
    "withheldWhileSuspended": [
        {"recipient": "northmoor-housing", "count": 2, "oldest": "2026-11-21T01:00:05Z"}
    ],
    "promisesOverdue": 1,
}


def profile_file(folder: Path, parties: Parties) -> Path:
    """The profile of `parties`, written by the code that writes the demo's."""
    services = {
        f"{name}_url": f"{BASE}/{name}" for name in ("referral", "sharing", "audit", "identity")
    }
    about = {
        "agency": ME,
        "client_id": f"{ME}-system",
        "issuer": f"{BASE}/identity",
        **services,
        "portal_url": BASE,
        "log_origin": LOG.verifier.name,
        "log_vkey": LOG.verifier.format(),
    }
    path = folder / f"{ME}.toml"
    write_profile(
        path,
        about,
        ProfileKeys(parties.signing, parties.opening, parties.dpop, parties.hub.public().jwk()),
        kafka=None,
    )
    return path


@dataclass
class FakeHub:
    """Answers tokens, one inbox, and receipts.

    `down` refuses connections; `problem` is what every call answers instead, `answers` what some
    paths do.
    """

    envelope: bytes
    down: bool = False
    problem: tuple[int, dict[str, Any]] | None = None
    token_error: str = ""
    suspended: bool = False
    unavailable: str = ""
    answers: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    log_files: dict[str, str] = field(default_factory=dict)
    wrong_digest: bool = False
    unchecked: bool = False
    """Whether nobody can say which deliveries may be shown; withdrawals may."""
    deliveries: int = 1
    kind: str = "disclosure"
    answered_at: str = ""
    receipts: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    orders: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request."""
        if self.down:
            raise httpx2.ConnectError("refused")
        path = request.url.path
        self.asked.append(f"{request.method} {path}")
        if path == "/.well-known/oauth-authorization-server/identity":
            return _json({"issuer": f"{BASE}/identity", "token_endpoint": f"{BASE}/identity/token"})
        if path == "/identity/token":
            return self._token()
        if self.unavailable and path.startswith(self.unavailable):
            return _json({"code": "paused"}, 503)
        if self.problem is not None:
            return _json(self.problem[1], self.problem[0])
        if path in self.answers:
            return _json(self.answers[path][1], self.answers[path][0])
        if path in self.log_files:
            return httpx2.Response(200, text=self.log_files[path])
        if request.url.params.get("cursor") == "r-1":
            return _json(
                {"refused": [{**_REFUSED, "code": "rate-limited"}], "total": 2, "nextCursor": None}
            )
        if path.startswith("/identity/v1/agencies/northmoor-housing"):
            return self._standing(request.method, request.content)
        if (request.method, path) == ("GET", "/referral/v1/referrals"):
            return _json({"items": [_SENT], "nextCursor": None})
        if path == "/sharing/v1/inbox":
            return self._page(request.url.params)
        return self._answer(request.method, path, request.content)

    def _token(self) -> httpx2.Response:
        if self.token_error:
            return _json({"error": self.token_error}, 400)
        return _json({"access_token": "t", "token_type": "DPoP", "expires_in": 300})

    def _page(self, params: httpx2.QueryParams) -> httpx2.Response:
        """As the real route: one page behind the cursor, which is always given."""
        start, limit, wait = (
            int(params.get(name, "0").removeprefix("c-")) for name in ("cursor", "limit", "wait")
        )
        if self.unchecked and params.get("kind") != "withdrawal":
            return _json({"code": "deliveries-unchecked", "correlationId": "c"}, 503)
        if not 1 <= limit <= 100 or not 0 <= wait <= 30:
            return _json({"code": "validation-failed", "correlationId": "c"}, 422)
        end = min(start + limit, self.deliveries)
        return _json({"items": [self._item()] * (end - start), "nextCursor": f"c-{end}"})

    def _standing(self, method: str, content: bytes) -> httpx2.Response:
        if method != "GET":
            self.orders.append(json.loads(content) if content else {})
        return _json({"id": "northmoor-housing", "suspended": self.suspended})

    def _answer(self, method: str, path: str, content: bytes) -> httpx2.Response:
        if path == f"/sharing/v1/inbox/{DELIVERY}":
            return _json(self._item())
        if method == "POST" and path == f"/sharing/v1/disclosures/{DELIVERY}/receipt":
            self.receipts.append(json.loads(content)["receipt"])
            return _json({"state": "saved"})
        if path == "/referral/v1/referrals":
            return _json(
                {
                    "referralId": "r",
                    "caseReference": "NM-1",
                    "risk": {"level": "high", "rule": "VHR"},
                },
                201,
            )
        if path == "/sharing/openapi.json":
            return _json(
                {
                    "paths": {
                        "/v1/inbox/{delivery_id}": {
                            "get": {"security": [{"hub": ["disclosure.read"]}]}
                        }
                    }
                }
            )
        return self._operators(method, path, content)

    def _operators(self, method: str, path: str, content: bytes) -> httpx2.Response:
        if path == "/sharing/v1/disclosures/stuck":
            return _json(_STUCK)
        if path == "/sharing/v1/disclosures/decide-again":
            self.orders.append(json.loads(content))
            return _json({"cases": 2, "prepared": 3, "unchanged": 0, "failed": 0, "more": True})
        if path == "/referral/v1/refused-intakes":
            return _json({"refused": [_REFUSED], "total": 2, "nextCursor": "r-1"})
        if (
            method == "POST"
            and path == f"/referral/v1/refused-intakes/{_REFUSED['id']}/acknowledgement"
        ):
            self.orders.append(json.loads(content))
            return _json(_REFUSED)
        if path == "/sharing/v1/operator/quarantine":
            return _json(
                {
                    "items": [
                        _SET_ASIDE,
                        {**_SET_ASIDE, "reason": "bad-signature", "holds": False, "sender": None},
                    ]
                }
            )
        if path == "/sharing/v1/operator/quarantine/replay":
            self.orders.append(json.loads(content))
            return _json({"applied": 2, "known": 0, "stillAside": 1, "absent": 0})
        if path == "/sharing/v1/operator/quarantine/discard":
            self.orders.append(json.loads(content))
            return _json({"discarded": 2, "released": 1, "more": False})
        return _json(
            {"code": "not-found", "detail": "There is nothing here for you.", "correlationId": "c"},
            404,
        )

    def _item(self) -> dict[str, Any]:
        return {
            "deliveryId": str(DELIVERY),
            "kind": self.kind,
            "state": "delivered",
            "deliveredAt": "2026-11-21T02:00:05Z",
            "answeredAt": self.answered_at or None,
            "digest": digest(b"other" if self.wrong_digest else self.envelope),
            "envelopeBytes": b64u(self.envelope),
        }


def _json(value: dict[str, Any], status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=value)
