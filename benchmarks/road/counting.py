"""What one referral to three recipients makes the hub do, counted on the running hub: signatures,
seals, commits, messages."""

import asyncio
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import cedarpy
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from benchmarks.road.arrivals import RECIPIENTS
from common import sealed, topics
from common.bus import Outgoing
from common.database.writer import Writer
from common.keyring import files
from common.web import idempotency
from hubformats import jwe
from hubformats import keyring_folder as key_folder
from hubformats.audit_record import parts
from hubformats.keys import SigningKey, VerificationKey
from standalone.bus import EmbeddedHandle
from tests.support.road import Road, example, road, until

_CIPHERS: Final = (jwe, files, key_folder, sealed, parts, idempotency)


@dataclass(frozen=True, slots=True)
class Counted:
    """Per referral: how often each unavoidable thing was done; the sizes of the bus messages; one
    policy call as it was made.
    """

    per_referral: dict[str, float]
    sizes: tuple[int, int, int, int]
    policy_call: tuple[Any, ...]


def count(referrals: int) -> Counted:
    """Run that many referrals through a hub in this process."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_count(Path(folder), referrals))


async def _count(folder: Path, referrals: int) -> Counted:
    async with road(folder) as hub:
        calls: list[tuple[Any, ...]] = []
        # The first decision of its kind asks Cedar about everything; what later ones ask is counted
        # below.
        with _watching(calls):
            await hub.refer(example("referral-full", externalReference="NP-2026-500000"))
            await _delivered(hub, 1)
        with _watching([]) as seen:
            await asyncio.sleep(1.0)
            idle = Counter(seen)
            for number in range(referrals):
                await hub.refer(
                    example("referral-full", externalReference=f"NP-2026-{500_001 + number}")
                )
                await _delivered(hub, number + 2)
            await asyncio.sleep(1.0)
        found = {
            name: max(0.0, (total - 2 * idle[name]) / referrals) for name, total in seen.items()
        }
        chain = (
            topics.CASE,
            topics.audit("sharing"),
            topics.AUDIT_RECEIPT,
            topics.disclosure(RECIPIENTS[0]),
        )
        sizes = [
            statistics.median_high([len(each.value) for each in await hub.bus.read(topic)])
            for topic in chain
        ]
        return Counted(
            dict(sorted(found.items())), (sizes[0], sizes[1], sizes[2], sizes[3]), calls[-1]
        )


async def _delivered(hub: Road, count: int) -> None:
    async def all_there() -> bool:
        return all(
            [len(await hub.bus.read(topics.disclosure(name))) >= count for name in RECIPIENTS]
        )

    await until(all_there, seconds=60)


@contextmanager
def _watching(calls: list[tuple[Any, ...]]) -> Iterator[Counter[str]]:
    seen: Counter[str] = Counter()
    with ExitStack() as stack:
        for owner, name, label in (
            (SigningKey, "sign", "ECDSA sign"),
            (VerificationKey, "verify", "ECDSA verify"),
            (jwe, "wrap", "recipient wrap"),
            (jwe, "_unwrap", "recipient unwrap"),
            (Writer, "_run_group", "commit"),
        ):
            stack.enter_context(
                patch.object(owner, name, _counted(getattr(owner, name), label, seen))
            )
        for module in _CIPHERS:
            stack.enter_context(patch.object(module, "AESGCM", _cipher(seen)))
        stack.enter_context(
            patch.object(EmbeddedHandle, "publish", _published(EmbeddedHandle.publish, seen))
        )
        stack.enter_context(
            patch.object(
                cedarpy, "is_authorized_batch", _asked(cedarpy.is_authorized_batch, seen, calls)
            )
        )
        yield seen


def _counted(call: Callable[..., Any], label: str, seen: Counter[str]) -> Callable[..., Any]:
    def counted(*args: Any, **named: Any) -> Any:
        seen[label] += 1
        return call(*args, **named)

    return counted


def _cipher(seen: Counter[str]) -> type:
    class Cipher:
        def __init__(self, key: bytes) -> None:
            self._cipher = AESGCM(key)

        def encrypt(self, *args: Any) -> bytes:
            seen["AES-GCM"] += 1
            return self._cipher.encrypt(*args)

        def decrypt(self, *args: Any) -> bytes:
            seen["AES-GCM"] += 1
            return self._cipher.decrypt(*args)

    return Cipher


def _published(call: Callable[..., Any], seen: Counter[str]) -> Callable[..., Any]:
    async def publish(self: EmbeddedHandle, messages: Sequence[Outgoing]) -> None:
        seen["bus message"] += len(messages)
        seen["bus publish"] += 1
        await call(self, messages)

    return publish


def _asked(
    call: Callable[..., Any], seen: Counter[str], calls: list[tuple[Any, ...]]
) -> Callable[..., Any]:
    def asked(*args: Any) -> Any:
        seen["policy batch"] += 1
        calls.append(args)
        return call(*args)

    return asked
