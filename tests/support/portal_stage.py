"""A running standalone hub for browser tests, and what its partners do meanwhile; callable while
Playwright holds the event loop."""

import asyncio
import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.stack import processes
from hubpartner.client import HubClient
from tests.support.hubs import ROOT, StandaloneHub, as_agency

_NUMBERS = itertools.count(300_001)


@contextmanager
def running(folder: Path) -> Iterator[StandaloneHub]:
    """A hub that delivers at once."""
    hub = StandaloneHub(folder, processes.free_port(), extra={"HUB_DELIVERY_SPREAD_MS": "0"})
    hub.start()
    try:
        yield hub
    finally:
        hub.stop()


def example(name: str) -> dict[str, Any]:
    """One of the example referrals, under a reference of its own."""
    form: dict[str, Any] = json.loads((ROOT / f"examples/referral-{name}.json").read_text("utf-8"))
    return {**form, "externalReference": f"NP-2026-{next(_NUMBERS)}"}


def refer(hub: StandaloneHub, name: str = "full") -> dict[str, Any]:
    """Send an example referral as the police; the hub's answer."""
    return send(hub, example(name))


def send(hub: StandaloneHub, form: dict[str, Any]) -> dict[str, Any]:
    """Send this referral as the police; the hub's answer."""
    return _apart(hub, "northmoor-police", lambda client: client.submit_referral(form))


def outcome(hub: StandaloneHub, referral: str, recipient: str) -> str:
    """What the sender reads of one recipient."""
    found = read(hub, referral)["outcomes"]
    return str({one["recipient"]: one["state"] for one in found}.get(recipient, ""))


def forbid(hub: StandaloneHub, referral: str, agency: str, category: str = "*") -> None:
    """Set a must-not-disclose as the police; when it returns, it holds."""

    async def work(client: HubClient) -> dict[str, Any]:
        await client.forbid_disclosure(
            referral, agency=agency, category=category, reason="She asked for it."
        )
        return {}

    _apart(hub, "northmoor-police", work)


def read(hub: StandaloneHub, referral: str) -> dict[str, Any]:
    """A referral as the police read it."""
    return _apart(hub, "northmoor-police", lambda client: client.read_referral(referral))


def _apart(hub: StandaloneHub, agency: str, work: Any) -> dict[str, Any]:
    # Synchronous Playwright keeps a loop running in this thread, so ours runs in another.
    with ThreadPoolExecutor(1) as pool:
        found: dict[str, Any] = pool.submit(
            lambda: asyncio.run(as_agency(hub, agency, work))
        ).result(60)
    return found
