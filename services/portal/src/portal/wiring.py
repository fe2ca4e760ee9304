"""The portal's composition root: the only file that knows every room."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import httpx2

from common.access import Granted
from common.bootstrap import SERVICE_KEY
from common.bus import Bus
from common.keyring import KeyAbsent, Keyring
from common.settings import Settings
from common.web.app import create_app
from common.web.frame import Frame
from common.web.service import Service
from hubformats.audit_record import AuditEntry
from hubformats.clock import Clock
from hubformats.keys import OpeningKey, SigningKey
from hubformats.tlog import Verifier
from portal.api import ROUTERS
from portal.api.failures import error_page, register
from portal.api.pages import environment
from portal.clients.hub import PersonsHub
from portal.clients.sign_in import Authorizer
from portal.domain.visit import Session
from portal.storage import TABLES, SqlSessions, SqlShelf
from portal.usecases import PortalDesk

_STATIC: Final = Path(__file__).parent / "static"
FORMS: Final = frozenset({"application/x-www-form-urlencoded", "application/json"})
"""What may be posted: our forms, and the operator's JSON."""
_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src "
    "'self'; connect-src 'self'; "
    "form-action 'self'{identity}; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'"
)


async def build(
    settings: Settings, *, bus: Bus, clock: Clock, keyring: Keyring, http: httpx2.AsyncClient
) -> Service:
    """The portal, not yet started."""
    frame = Frame(
        "portal", settings, bus=bus, clock=clock, keyring=keyring, http=http, tables=TABLES
    )
    callback = f"{settings.portal_url}/sign-in/callback"
    authorizer = Authorizer(
        settings.issuer,
        callback,
        settings.identity_url,
        signing=keyring.signing_key(SERVICE_KEY),
        http=http,
        clock=clock,
    )
    urls = {
        "sharing": settings.sharing_url,
        "audit": settings.audit_url,
        "identity": settings.identity_url,
        "referral": settings.referral_url,
    }

    def hub_for(session: Session) -> PersonsHub:
        return PersonsHub(session, authorizer, urls, http=http, clock=clock)

    desk = PortalDesk(
        base_url=settings.portal_url,
        issuer=settings.issuer,
        clock=clock,
        log=Verifier.parse(frame.bootstrap.log.vkey),
        keys=frame.keys,
        custody=KeyringCustody(keyring),
        recorder=TrailRecorder(frame),
        hub_for=hub_for,
        shelf=SqlShelf(frame.database, keyring.secret("portal-shelf")),
        agencies={agency.id: agency.name for agency in frame.bootstrap.agencies.values()},
    )
    app = create_app(
        "portal",
        settings,
        title="Portal",
        description="Web screens for advocates and auditors.",
        routers=ROUTERS,
        authenticator=frame.access,
        readiness=frame.readiness,
        on_refusal=frame.record_refusal,
        clock=clock,
        media_types=FORMS,
        headers={"content-security-policy": content_policy(settings)},
        error_page=error_page,
        state={
            "desk": desk,
            "sessions": SqlSessions(frame.database, keyring.secret("portal-session")),
            "authorization": authorizer,
            "pages": environment(),
            "assets_version": _assets_version(),
            "neutral_place": "/hidden",
            "idempotency": frame.idempotency,
        },
    )
    register(app)
    return Service("portal", app, parts=[frame], pausable=[frame])


class KeyringCustody:
    """Custodial keys from the portal's own keyring, by the agency of the person the grant is for
    (design section 6).
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def opening(self, granted: Granted) -> Mapping[str, OpeningKey]:
        """The agency's opening keys."""
        return (
            self._keyring.opening_keys(granted.principal.agency)
            if granted.principal.kind == "person"
            else {}
        )

    def signing(self, granted: Granted) -> SigningKey | None:
        """The agency's signing key."""
        try:
            return self._keyring.signing_key(granted.principal.agency)
        except KeyAbsent:
            return None


class TrailRecorder:
    """Records through the frame's audit trail."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def record(self, entry: AuditEntry) -> None:
        """Durable when it returns."""
        await self._frame.database.write(lambda unit: self._frame.trail.record(unit, entry))

    def ready(self) -> bool:
        """Whether reads can be accounted for."""
        return self._frame.trail.ready()


def content_policy(settings: Settings) -> str:
    """The pages' content security policy: our own files only, and forms that may end at the
    issuer's sign-in page.
    """
    # Chromium applies form-action to the redirect after a post, so the issuer's origin is named
    # when it is another one.
    origin, own = ("/".join(url.split("/")[:3]) for url in (settings.issuer, settings.portal_url))
    return _CSP.format(identity="" if origin == own else f" {origin}")


def _assets_version() -> str:
    files = sorted(path for folder in ("vendor", "own") for path in (_STATIC / folder).iterdir())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:12]
