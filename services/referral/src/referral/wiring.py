"""Referral's composition root: the only file that knows every room."""

import logging
from importlib.resources import files

import httpx2

from common import topics
from common.access import Refusal
from common.bus import Bus
from common.keyring import Keyring
from common.sealed import SubjectKeys
from common.settings import Settings
from common.web.app import create_app
from common.web.frame import Frame, Subscription
from common.web.idempotency import Idempotency
from common.web.service import Service
from hubformats.canonical import CanonicalError, parse
from hubformats.clock import Clock
from referral import usecases
from referral.api import ROUTERS
from referral.consumers import OutcomeConsumer
from referral.domain.rules import RuleBook, read_rule_book
from referral.storage import SUBJECT_KEY, TABLES, ReferralStore, Sealing

_log = logging.getLogger("hub.referral")
_INTAKE_ROUTE = "/v1/referrals"
_STILL_COMING = "idempotency-in-flight"


async def build(
    settings: Settings, *, bus: Bus, clock: Clock, keyring: Keyring, http: httpx2.AsyncClient
) -> Service:
    """The referral service, not yet started."""
    frame = Frame(
        "referral", settings, bus=bus, clock=clock, keyring=keyring, http=http, tables=TABLES
    )
    sealing = Sealing(
        subject_keys=SubjectKeys(keyring, SUBJECT_KEY, clock),
        index_key=keyring.secret("blind-index"),
        outbox=frame.outbox,
        trail=frame.trail,
        idempotency=frame.idempotency,
    )
    store = ReferralStore(frame.database, sealing)
    desk = usecases.Desk(
        rules=rule_book(),
        clock=clock,
        reference_secret=keyring.secret("case-reference"),
        home_area=frame.bootstrap.area.id,
        agencies=frozenset(frame.bootstrap.agencies),
    )
    OutcomeConsumer(sealing).register(frame.inbox)
    frame.subscribe(
        Subscription("referral.sharing", (topics.SHARING,), senders=lambda _topic: ("svc:sharing",))
    )

    async def on_refusal(refusal: Refusal) -> None:
        await frame.record_refusal(refusal)
        await _alarm_the_desk(refusal, store, desk, frame.idempotency)

    app = create_app(
        "referral",
        settings,
        title="Referral service",
        description="Send referrals of danger to a person, and hear what became of them.",
        routers=ROUTERS,
        authenticator=frame.access,
        readiness=frame.readiness,
        on_refusal=on_refusal,
        tags={
            "referrals": "Send a referral and read what became of it.",
            "markings": "Vetoes on disclosure.",
            "lists": "Code lists, instruments, dated rules, and your refused intakes.",
            "release checks": "Between services: the last look before a release.",
        },
        clock=clock,
        state={
            "store": store,
            "desk": desk,
            "idempotency": frame.idempotency,
            "cursors": frame.cursors,
            "ready_to_read": frame.trail.ready,
        },
    )
    return Service("referral", app, parts=[frame], pausable=[frame])


def rule_book() -> RuleBook:
    """The dated rules and instruments shipped with this service."""
    folder = files("referral") / "rules"
    return read_rule_book(
        entry.read_text("utf-8") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


async def _alarm_the_desk(
    refusal: Refusal, store: ReferralStore, desk: usecases.Desk, idempotency: Idempotency
) -> None:
    """A refused intake of a known sender, for whatever reason, alarms its desk until that one is
    corrected (design section 13, rule 2).

    A dry run collects nothing, so nothing was refused; and what is still being handled has its own
    answer coming.
    """
    codes = refusal.reasons.keys() - {_STILL_COMING}
    if (
        refusal.principal is None
        or refusal.route != _INTAKE_ROUTE
        or refusal.operation != "collection"
        or not codes
    ):
        return
    agency, code, sent = refusal.principal.agency, min(codes), refusal.sent
    _log.warning(
        "an intake was refused", extra={"alarm": "intake-refused", "agency": agency, "code": code}
    )
    mark = (
        idempotency.name(refusal.principal, sent.idempotency_key)
        if sent is not None and sent.idempotency_key
        else None
    )
    reference = None if sent is None else reference_in(sent.body)
    many = await store.write(
        lambda tx: usecases.refuse_intake(
            tx, agency, code, desk, key_mark=mark, external_reference=reference
        )
    )
    if many:
        # If we crash before this line, the list still holds every one of them and says how many.
        _log.error(
            "a desk no longer keeps up with its refused intakes",
            extra={"alarm": "refused-intakes-many", "agency": agency},
        )


def reference_in(body: bytes) -> str | None:
    """The sender's own reference in a body that was refused, if that much of it can be read."""
    try:
        form = parse(body)
    except CanonicalError:
        return None
    reference = form.get("externalReference") if isinstance(form, dict) else None
    return reference if isinstance(reference, str) and reference.strip() else None
