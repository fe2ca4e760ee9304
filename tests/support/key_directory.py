"""An area's signed keys, and the hub's copy of them over an identity that answers whatever a test
wants."""

import asyncio
from pathlib import Path
from typing import Any, Final

import httpx2

from common.directory import DirectoryKeys
from common.testing import ManualClock
from hubformats.bootstrap import sign_bootstrap, sign_key_set, verify_bootstrap
from hubformats.keys import OpeningKey, SigningKey, generate_opening, generate_signing

POLICE: Final = "northmoor-police"


class Area:
    """One agency and one service in an operator-signed bootstrap, with the private keys behind
    them.
    """

    def __init__(self) -> None:
        self.root, self.first, self.opening = (
            generate_signing(POLICE),
            generate_signing(POLICE),
            generate_opening(POLICE),
        )
        self.operator, self.service = generate_signing("operator"), generate_signing("svc:sharing")
        agency = {
            "id": POLICE,
            "name": "Northmoor Police",
            "type": "police",
            "area": "northmoor",
            "root": self.root.public().jwk(),
            "key_set": self.key_set(100, self.first, self.opening),
        }
        service = {
            "name": "sharing",
            "owner": "svc:sharing",
            "client_id": "svc-sharing",
            "signing": [self.service.public().jwk()],
            "opening": [],
        }
        payload = {
            "v": 1,
            "demo": True,
            "created": "2026-11-21",
            "operator": self.operator.public().jwk(),
            "clients": [],
            "people": [],
            "area": {"id": "northmoor", "name": "Northmoor"},
            "agencies": [agency],
            "services": [service],
            "log": {"origin": "example.org/log", "vkey": "x"},
        }
        self.bootstrap = verify_bootstrap(sign_bootstrap(payload, self.operator), self.operator.kid)

    def key_set(
        self,
        issued: int,
        *keys: SigningKey | OpeningKey,
        root: SigningKey | None = None,
        agency: str = POLICE,
    ) -> str:
        """A key set, signed by the agency's root unless told otherwise."""
        return sign_key_set(
            agency, tuple(key.public().jwk() for key in keys), root or self.root, issued
        )


class Directory:
    """A key source on that area, and an identity that serves whatever it is told to, is away, or
    takes its seconds to answer.
    """

    def __init__(self) -> None:
        self.area = Area()
        self.clock = ManualClock()
        self.served: Any = {"keySets": {}}
        self.asked = 0
        self.away = False
        self.takes = 0.0
        self.reached = asyncio.Event()
        self.http = httpx2.AsyncClient(transport=httpx2.MockTransport(self._answer))
        self.keys = DirectoryKeys(
            self.area.bootstrap, "http://identity.example.org", self.http, self.clock
        )

    def restarted(self, kept: Path | None = None) -> DirectoryKeys:
        """What a new process begins with."""
        return DirectoryKeys(
            self.area.bootstrap, "http://identity.example.org", self.http, self.clock, kept
        )

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.asked += 1
        self.reached.set()
        if self.away:
            raise httpx2.ConnectError("refused")
        assert request.url.path == "/v1/directory/keys"
        await asyncio.sleep(0)
        self.clock.advance(self.takes)
        return (
            self.served
            if isinstance(self.served, httpx2.Response)
            else httpx2.Response(200, json=self.served)
        )

    async def serve(self, key_set: object) -> None:
        """Serve this set for the agency and refresh."""
        self.served = {"keySets": {POLICE: key_set}}
        self.clock.advance(11)
        await self.keys.refresh()
