"""A closed loop of connections that costs little itself: requests are made before the clock starts,
answers are barely read."""

import asyncio
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import uvloop

from common.web.client import TokenSource
from hubformats.clock import SystemClock
from hubformats.dpop import make_proof
from hubformats.ids import opaque
from hubpartner.profile import Profile, read_profile

_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
_NUMBER: Final = itertools.count(100_000)
_CLOCK: Final = SystemClock()
LONGEST_S: Final = 30.0
"""A round ends then, however many are left: DPoP proofs made before it are good for a minute."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What one closed loop came to."""

    requests: int
    seconds: float
    statuses: Counter[int]


class Callers:
    """All agencies of a hub that may refer: rate limits are per caller, so a loop takes turns among
    them.
    """

    def __init__(self, profiles: Path) -> None:
        self._profiles = [read_profile(path) for path in sorted(profiles.glob("northmoor-*.toml"))]
        self._tokens: dict[str, str] = {}

    @property
    def url(self) -> str:
        """Where referrals go."""
        return f"{self._profiles[0].referral_url}/v1/referrals"

    async def renew(self) -> None:
        """Get every caller a token that lasts longer than a round."""
        async with httpx2.AsyncClient(timeout=30.0) as http:
            for profile in self._profiles:
                source = TokenSource(
                    profile.issuer,
                    profile.client_id,
                    signing=profile.signing,
                    dpop_key=profile.dpop,
                    http=http,
                    clock=_CLOCK,
                )
                self._tokens[profile.agency] = await source.token(
                    profile.referral_url, "referral.write"
                )

    def requests(self, form: dict[str, Any], count: int) -> list[bytes]:
        """Fresh requests: each with its own reference, idempotency key and DPoP proof.

        Proofs are good for a minute.
        """
        turns = itertools.cycle(self._profiles)
        return [self._request(next(turns), form) for _ in range(count)]

    def _request(self, profile: Profile, form: dict[str, Any]) -> bytes:
        token = self._tokens[profile.agency]
        proof = make_proof(profile.dpop, "POST", self.url, at=_CLOCK.now(), token=token)
        headers = {"Authorization": f"DPoP {token}", "DPoP": proof, "Idempotency-Key": opaque()}
        return request(self.url, numbered(form), headers)


def numbered(form: dict[str, Any]) -> bytes:
    """The form's bytes under a reference that was not used before."""
    return json.dumps(
        {**form, "externalReference": f"NP-2026-{next(_NUMBER)}"}, ensure_ascii=False
    ).encode()


def request(url: str, body: bytes, headers: dict[str, str]) -> bytes:
    """One POST as it goes over the wire."""
    place = urlsplit(url)
    given = {
        "Host": place.netloc,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **headers,
    }
    lines = [f"POST {place.path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def drive(url: str, requests: Sequence[bytes], connections: int) -> Driven:
    """Send over that many connections, each sending its next request when the last is answered, for
    at most LONGEST_S seconds.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_drive(url, requests, connections))


async def _drive(url: str, requests: Sequence[bytes], connections: int) -> Driven:
    place = urlsplit(url)
    assert place.hostname is not None
    pairs = [await asyncio.open_connection(place.hostname, place.port) for _ in range(connections)]
    began, statuses = time.perf_counter(), Counter[int]()
    queue = itertools.takewhile(lambda _: time.perf_counter() - began < LONGEST_S, requests)
    await asyncio.gather(*(_one(reader, writer, queue, statuses) for reader, writer in pairs))
    seconds = time.perf_counter() - began
    for _, writer in pairs:
        writer.close()
    return Driven(statuses.total(), seconds, statuses)


async def _one(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    queue: Iterator[bytes],
    statuses: Counter[int],
) -> None:
    for raw in queue:
        writer.write(raw)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        assert length is not None
        await reader.readexactly(int(length[1]))
        statuses[int(head[9:12])] += 1
