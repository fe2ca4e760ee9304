"""The referral service as its wiring builds it, on a database of the test's choice, not consuming."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx2

import referral.wiring
from common import topics
from common.keyring import FileKeyring
from common.web.frame import Frame
from common.web.service import Service
from hubformats.clock import SystemClock
from identity.bootstrap.model.northmoor import AGENCIES
from identity.bootstrap.use_cases.create import create
from referral.cases.ports import CaseStore
from referral.wiring import ReferralStore
from standalone.bus import EmbeddedBus
from tests.support.road import _urls, settings_for


@dataclass(frozen=True, slots=True)
class ReferralHarness:
    """The built service, its store and its database."""

    service: Service
    store: ReferralStore
    frame: Frame


@asynccontextmanager
async def referral_harness(
    folder: Path, database_url: str | None = None
) -> AsyncIterator[ReferralHarness]:
    """Build it in `folder`; the schema is there, nothing is consumed or sent."""
    create(folder, _urls())
    settings = settings_for("referral", folder, 0)
    settings.data_dir.mkdir(exist_ok=True)
    if database_url is not None:
        settings = settings.with_(database_url=database_url)
    clock = SystemClock()
    bus = EmbeddedBus(folder / "bus.db", topics.topics(tuple(AGENCIES)), clock=clock)
    keyring = FileKeyring(folder / "keyring" / "referral", passphrase=None, open_allowed=True)
    async with httpx2.AsyncClient() as http:
        service = await referral.wiring.build(
            settings, bus=bus.door("referral"), clock=clock, keyring=keyring, http=http
        )
        frame = next(part for part in service._parts if isinstance(part, Frame))
        await bus.start()
        await frame.open_database()
        await frame.trail.start()
        store = cast(ReferralStore, service.app.provisions.get(CaseStore))
        try:
            yield ReferralHarness(service, store, frame)
        finally:
            await frame.trail.stop()
            await frame.database.stop()
            await bus.stop()
