"""The portal's pages by its own wiring, with other services in memory; nobody signs in by OAuth."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from common import topics
from common.settings import Settings
from common.testing import ManualClock
from common.web.frame import Frame
from common.web.service import Service
from hubformats.clock import Clock
from identity.bootstrap.model.northmoor import AGENCIES
from portal.auditing.ports import AuditingPorts
from portal.emergency.ports import EmergencyPorts
from portal.second_look.ports import SecondLookPorts
from portal.shell.model import Grantings, Person, Session
from portal.shell.ports import ShellPorts
from portal.sign_in.ports import SignInPorts
from portal.vetoes.ports import VetoPorts
from portal.wiring import Adapters, build
from portal.work.model.delivery import Waiting
from portal.work.ports import WorkPorts
from standalone.bus import EmbeddedBus
from tests.support.portal_fakes import (
    MemoryAgencyKeys,
    MemoryAuditLog,
    MemoryAuthorization,
    MemoryDeliveries,
    MemoryDeliverySummaries,
    MemoryPeople,
    MemoryRecorder,
    MemoryReleases,
    MemorySessions,
)
from tests.support.portal_packages import BASE, DELIVERY, ME, SERVICES, keyring, keys
from tests.support.portal_veto_fakes import MemoryLooks, MemoryVetoes

COOKIE = "visit"


@dataclass
class PortalHarness:
    """The pages, who is signed in, and what stands behind the ports."""

    client: httpx2.AsyncClient
    clock: ManualClock
    session: Session
    done: list[str]
    sessions: MemorySessions
    authorization: MemoryAuthorization
    deliveries: MemoryDeliveries
    summaries: MemoryDeliverySummaries
    recorder: MemoryRecorder
    log: MemoryAuditLog
    releases: MemoryReleases
    looks: MemoryLooks
    vetoes: MemoryVetoes

    async def get(self, path: str) -> httpx2.Response:
        """A page as the signed-in person gets it."""
        return await self.client.get(path)

    async def post(self, path: str, **form: str) -> httpx2.Response:
        """A form of our own page."""
        return await self.client.post(
            path,
            data={"csrf": self.session.csrf, **form},
            headers={"Sec-Fetch-Site": "same-origin"},
        )


def signed_in(
    clock: Clock,
    *,
    agency: str = ME,
    roles: tuple[str, ...] = ("idva",),
    scope: str = "disclosure.read disclosure.acknowledge",
    signed_in_for: float = 60.0,
    name: str = "Amina Yusuf",
) -> Session:
    """A visit that began now."""
    grantings = Grantings(
        "refresh",
        scope,
        "http://identity.example.org",
        "urn:hub:acr:demo",
        int(clock.now().timestamp() - signed_in_for),
    )
    person = Person("p-1", name, agency, roles)
    return Session(b"", person, grantings, {}, "csrf-of-this-visit", clock.now(), clock.now())


@asynccontextmanager
async def portal_harness(value: bytes, folder: Path, **who: Any) -> AsyncIterator[PortalHarness]:
    """Pages over one delivery whose envelope is `value`."""
    clock, done = ManualClock(), list[str]()
    session = signed_in(clock, **who)
    item = Waiting(str(DELIVERY), "disclosure", "delivered", "2026-11-21T02:05:00Z", value)
    async with httpx2.AsyncClient(base_url=BASE, cookies={"hub": COOKIE}) as client:
        harness = PortalHarness(
            client,
            clock,
            session,
            done,
            MemorySessions(),
            MemoryAuthorization(),
            MemoryDeliveries([item], done),
            MemoryDeliverySummaries(),
            MemoryRecorder(done),
            MemoryAuditLog(done),
            MemoryReleases(done),
            MemoryLooks(done),
            MemoryVetoes(done),
        )
        await harness.sessions.put(COOKIE, session)
        service = await _service(folder, harness)
        client._transport = httpx2.ASGITransport(app=service.app, raise_app_exceptions=False)
        yield harness


async def _service(folder: Path, harness: PortalHarness) -> Service:
    """The portal as wiring builds it, not started: nothing here needs its database or the bus."""

    def adapters(_frame: Frame) -> Adapters:
        people = MemoryPeople(harness.session.person)
        return Adapters(
            ShellPorts(harness.sessions, harness.authorization),
            SignInPorts(harness.authorization, lambda _: people),
            WorkPorts(
                lambda _: harness.deliveries,
                harness.summaries,
                MemoryAgencyKeys(),
                harness.recorder,
            ),
            AuditingPorts(lambda _: harness.log),
            EmergencyPorts(lambda _: harness.releases),
            SecondLookPorts(lambda _: harness.looks),
            VetoPorts(lambda _: harness.vetoes),
        )

    bus = EmbeddedBus(folder / "bus.db", topics.topics(tuple(AGENCIES)), clock=harness.clock)
    return await build(
        settings_for(folder),
        bus=bus.door("portal"),
        clock=harness.clock,
        keyring=keyring(keys().folder, "portal"),
        http=httpx2.AsyncClient(transport=httpx2.MockTransport(_nobody_answers)),
        adapters=adapters,
    )


def _nobody_answers(_request: httpx2.Request) -> httpx2.Response:
    return httpx2.Response(503)


def settings_for(folder: Path) -> Settings:
    """The portal's settings, with its database in `folder`."""
    urls: Mapping[str, Any] = {f"{name}_url": f"http://{name}.example.org" for name in SERVICES}
    return Settings(
        service_url=BASE,
        issuer=urls["identity_url"],
        database_url=f"sqlite:///{folder}/portal.db",
        keyring_dir=keys().folder / "keyring" / "portal",
        bootstrap_file=keys().folder,
        data_dir=folder,
        demo=True,
        **urls,
    )
