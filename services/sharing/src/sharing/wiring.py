"""Sharing's composition root: the only file that knows every room."""

import logging
from collections.abc import Collection
from datetime import date
from pathlib import Path

import httpx2

from common import topics
from common.bootstrap import OPERATOR, SERVICE_KEY
from common.bus import Bus
from common.keyring import Keyring
from common.sealed import SubjectKeys
from common.settings import Settings
from common.web.app import create_app
from common.web.client import ServiceClient, TokenSource
from common.web.frame import Frame, Subscription
from common.web.service import Service
from hubformats.canonical import parse
from hubformats.clock import Clock
from hubformats.keys import generate_signing, signing_from_jwk
from hubformats.tlog import Verifier
from sharing.api import ROUTERS
from sharing.api.arrivals import Arrivals
from sharing.clients import HubDirectory, ReferralChecks
from sharing.consumers.events import EventConsumer
from sharing.consumers.releases import Releases
from sharing.storage.agreements import Bundle, CedarRules, load, read_bundle, sign_bundle
from sharing.storage.repository import Sealing, SharingStore
from sharing.storage.tables import SUBJECT_KEY, TABLES
from sharing.usecases.desk import Desk

_log = logging.getLogger("hub.sharing")
_OWNER = "svc:sharing"


async def build(
    settings: Settings, *, bus: Bus, clock: Clock, keyring: Keyring, http: httpx2.AsyncClient
) -> Service:
    """The sharing service, not yet started.

    Raises AgreementRefused when its area's agreement is not one.
    """
    frame = Frame(
        "sharing", settings, bus=bus, clock=clock, keyring=keyring, http=http, tables=TABLES
    )
    area = frame.bootstrap.area.id
    bundle = read_bundle(area)
    rules = agreement(bundle, settings, frame, clock.now().date())
    desk = Desk(
        rules={area: rules},
        directory=HubDirectory(frame.bootstrap, frame.directory, frame.keys),
        log=Verifier.parse(frame.bootstrap.log.vkey),
        clock=clock,
        issuer=settings.issuer,
        reference_secret=keyring.secret("case-reference"),
        delivery_secret=keyring.secret("delivery-id"),
        spread_ms=settings.delivery_spread_ms,
    )
    arrivals = Arrivals(clock)
    checks = ReferralChecks(_referral(settings, keyring, http, clock), clock)

    def left(agency: str) -> None:
        arrivals.arrived(agency) if agency else releases.wake()

    sealing = Sealing(
        SubjectKeys(keyring, SUBJECT_KEY, clock),
        frame.outbox,
        frame.inbox,
        frame.trail,
        clock,
        left,
    )
    store = SharingStore(frame.database, sealing)
    releases = Releases(store, desk, checks, frame.keys.refresh)
    frame.keys.watch(releases.keys_moved)
    EventConsumer(desk, sealing).register(frame.inbox, frame.trail)
    for subscription in subscriptions(list(frame.bootstrap.agencies)):
        frame.subscribe(subscription)
    app = create_app(
        "sharing",
        settings,
        title="Sharing service",
        description="Decides, under a sharing agreement, what each agency may know, and delivers "
        "exactly that with proof.",
        routers=ROUTERS,
        authenticator=frame.access,
        readiness=frame.readiness,
        on_refusal=frame.record_refusal,
        tags={
            "inbox": "Your agency's sealed deliveries, receipts and acknowledgements.",
            "agreements": "The agreements that decide, and previews of what they would let leave.",
            "releases": "Where disclosures stand, and the emergency path.",
        },
        clock=clock,
        state={
            "store": store,
            "desk": desk,
            "checks": checks,
            "trail": frame.trail,
            "arrivals": arrivals,
            "cursors": frame.cursors,
            "ready_to_read": frame.trail.ready,
            "refresh_keys": frame.keys.refresh,
            "rule_texts": {area: _texts(bundle)},
        },
    )
    return Service("sharing", app, parts=[frame, releases], pausable=[frame, releases])


def subscriptions(agencies: list[str]) -> tuple[Subscription, ...]:
    """Cases from referral alone; each agency's own topic from that agency alone, so that none can
    speak for another.
    """
    own = {topics.inbound(agency): agency for agency in agencies}

    def speakers(topic: str) -> Collection[str]:
        return (own[topic],) if topic in own else ("svc:referral",)

    return (
        Subscription("sharing.case", (topics.CASE,), (topics.CASE_BULK,), speakers),
        Subscription("sharing.inbound", tuple(own), (), speakers),
    )


def agreement(bundle: Bundle, settings: Settings, frame: Frame, on: date) -> CedarRules:
    """The area's agreement, verified against the operator's signature beside the bootstrap file.

    Raises AgreementRefused.
    """
    place = signature_path(settings.bootstrap_file, frame.bootstrap.area.id)
    signature = place.read_text("utf-8") if place.is_file() else None
    demo = settings.demo and frame.bootstrap.demo
    rules, notice = load(
        bundle, on=on, signature=signature, operator=frame.bootstrap.operator, unsigned_allowed=demo
    )
    if notice:
        _log.warning(
            "agreement needs its owner",
            extra={"alarm": notice, "agreement": rules.agreement.terms.id},
        )
    return rules


def signature_path(bootstrap_file: Path, area: str) -> Path:
    """Where the operator's signature over an area's agreement lies: ``agreements/<area>.jws``
    beside the bootstrap file.
    """
    folder = bootstrap_file if bootstrap_file.is_dir() else bootstrap_file.parent
    return folder / "agreements" / f"{area}.jws"


def sign_agreement(folder: Path, area: str) -> None:
    """Sign the shipped agreement of an area with the operator's key in a hub folder, where
    `agreement` looks for it.

    For hubs whose operator key lies beside them (demonstrations, the stack); elsewhere the operator
    signs away from the hub.
    """
    bundle = read_bundle(area)
    operator = signing_from_jwk(
        parse((folder / "keyring" / OPERATOR / "operator.json").read_bytes()), OPERATOR
    )
    place = signature_path(folder, area)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.write_text(sign_bundle(bundle, operator) + "\n", "utf-8")


def _referral(
    settings: Settings, keyring: Keyring, http: httpx2.AsyncClient, clock: Clock
) -> ServiceClient:
    tokens = TokenSource(
        settings.issuer,
        "svc-sharing",
        signing=keyring.signing_key(SERVICE_KEY),
        dpop_key=generate_signing(_OWNER),
        http=http,
        clock=clock,
    )
    return ServiceClient(settings.referral_url, tokens, http=http, clock=clock)


def _texts(bundle: Bundle) -> dict[str, str]:
    return {part: bundle.parts[part].decode() for part in ("clauses.cedar", "vetoes.cedar")}
