"""The portal's composition root: the only file that knows every folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import httpx2
from jinja2 import Environment

from common.access import Granted
from common.bus import Bus
from common.keyring import KeyAbsent, Keyring
from common.settings import Settings
from common.web.app import Api, create_app
from common.web.frame import Frame, Host
from common.web.idempotency import Idempotency
from common.web.rates import Budgets
from common.web.service import Service
from hubformats.audit_record import AuditEntry
from hubformats.bootstrap import SERVICE_KEY
from hubformats.clock import Clock
from hubformats.keys import OpeningKey, SigningKey
from hubformats.tlog import Verifier
from portal.auditing import routes as auditing_routes
from portal.auditing.client import ServiceAuditLog
from portal.auditing.ports import AuditingPorts
from portal.context import Context
from portal.emergency import routes as emergency_routes
from portal.emergency.client import SharingReleases
from portal.emergency.ports import EmergencyPorts
from portal.second_look import routes as second_look_routes
from portal.second_look.client import SharingLooks
from portal.second_look.ports import SecondLookPorts
from portal.shell.client import PersonCalls
from portal.shell.model import Session
from portal.shell.ports import ShellPorts
from portal.shell.repository import SqlSessions
from portal.shell.routes import assets, screens
from portal.shell.routes.failures import error_page, register
from portal.shell.routes.layout import Pages, assets_version, environment
from portal.sign_in import routes as sign_in_routes
from portal.sign_in.client import Authorizer, IdentityPeople, PersonTokens
from portal.sign_in.ports import SignInPorts
from portal.tables import TABLES
from portal.vetoes import routes as veto_routes
from portal.vetoes.client import ReferralVetoes
from portal.vetoes.ports import VetoPorts
from portal.work import routes as work_routes
from portal.work.client import SharingDeliveries
from portal.work.ports import WorkPorts
from portal.work.repository import SqlDeliverySummaries

_FORMS: Final = frozenset({"application/x-www-form-urlencoded", "application/json"})
"""What may be posted: our forms, and the operator's JSON."""
_CSP: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src "
    "'self'; connect-src 'self'; "
    "form-action 'self'{identity}; frame-ancestors 'none'; base-uri 'none'; manifest-src 'self'"
)


@dataclass(frozen=True, slots=True)
class Adapters:
    """What stands behind the ports of every folder."""

    shell: ShellPorts
    sign_in: SignInPorts
    work: WorkPorts
    auditing: AuditingPorts
    emergency: EmergencyPorts
    second_look: SecondLookPorts
    vetoes: VetoPorts


async def build(
    settings: Settings,
    *,
    bus: Bus,
    clock: Clock,
    keyring: Keyring,
    http: httpx2.AsyncClient,
    adapters: Callable[[Frame], Adapters] | None = None,
) -> Service:
    """Build the portal, not yet started. Tests put other `adapters` behind its ports."""
    frame = Frame("portal", Host(settings, bus, clock, keyring, http), TABLES)
    context = Context(
        base_url=settings.portal_url,
        clock=clock,
        log=Verifier.parse(frame.bootstrap.log.vkey),
        keys=frame.keys,
        agencies={agency.id: agency.name for agency in frame.bootstrap.agencies.values()},
        demo=settings.demo,
    )
    behind = (adapters or real_adapters)(frame)
    provides: Mapping[type, object] = {
        Context: context,
        Pages: Pages(_templates(), context, assets_version()),
        Budgets: Budgets(sign_in_routes.QUOTAS),
        Idempotency: frame.idempotency,
        ShellPorts: behind.shell,
        SignInPorts: behind.sign_in,
        WorkPorts: behind.work,
        AuditingPorts: behind.auditing,
        EmergencyPorts: behind.emergency,
        SecondLookPorts: behind.second_look,
        VetoPorts: behind.vetoes,
    }
    app = create_app(_api(settings), frame.runtime, provides=provides, answers=work_routes.PROBLEMS)
    register(app)
    return Service("portal", app, parts=[frame], pausable=[frame])


def _api(settings: Settings) -> Api:
    return Api(
        "portal",
        "Portal",
        "Web screens for advisers and auditors.",
        (
            sign_in_routes.router,
            screens.router,
            work_routes.router,
            emergency_routes.router,
            second_look_routes.router,
            veto_routes.router,
            auditing_routes.router,
            assets.router,
        ),
        media_types=_FORMS,
        headers={"content-security-policy": content_policy(settings)},
        error_page=error_page,
    )


def real_adapters(frame: Frame) -> Adapters:
    """Stand the ports on the portal's database and keyring, and on the other services."""
    settings, keyring = frame.settings, frame.keyring
    authorizer = Authorizer(
        settings.issuer,
        f"{settings.portal_url}/sign-in/callback",
        settings.identity_url,
        signing=keyring.signing_key(SERVICE_KEY),
        http=frame.http,
        clock=frame.clock,
    )
    urls = {
        "referral": settings.referral_url,
        "sharing": settings.sharing_url,
        "audit": settings.audit_url,
        "identity": settings.identity_url,
    }

    def calls(session: Session) -> PersonCalls:
        tokens = PersonTokens(authorizer, session, frame.clock)
        return PersonCalls(urls, tokens, http=frame.http, clock=frame.clock)

    return Adapters(
        ShellPorts(
            SqlSessions(frame.database, keyring.secret("portal-session")), revocation=authorizer
        ),
        SignInPorts(authorizer, lambda session: IdentityPeople(calls(session))),
        WorkPorts(
            lambda session: SharingDeliveries(calls(session)),
            SqlDeliverySummaries(frame.database, keyring.secret("portal-shelf")),
            KeyringAgencyKeys(keyring),
            TrailRecorder(frame),
        ),
        AuditingPorts(lambda session: ServiceAuditLog(calls(session))),
        EmergencyPorts(lambda session: SharingReleases(calls(session))),
        SecondLookPorts(lambda session: SharingLooks(calls(session))),
        VetoPorts(lambda session: ReferralVetoes(calls(session))),
    )


class KeyringAgencyKeys:
    """Fulfils `portal.work.ports.AgencyKeys` from the portal's own keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def opening(self, granted: Granted) -> Mapping[str, OpeningKey]:
        """Return the opening keys of the agency of the person the grant is for."""
        if granted.principal.kind != "person":
            return {}
        return self._keyring.opening_keys(granted.principal.agency)

    def signing(self, granted: Granted) -> SigningKey | None:
        """Return the signing key of that agency."""
        if granted.principal.kind != "person":
            return None
        try:
            return self._keyring.signing_key(granted.principal.agency)
        except KeyAbsent:
            return None


class TrailRecorder:
    """Fulfils `portal.work.ports.Recorder` through the frame's audit trail."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    async def record(self, entry: AuditEntry) -> None:
        """Record durably."""
        await self._frame.database.write(lambda unit: self._frame.trail.record(unit, entry))

    def ready(self) -> bool:
        """Tell whether reads can be accounted for."""
        return self._frame.trail.ready()


def content_policy(settings: Settings) -> str:
    """Write the content security policy of our pages.

    They load our own files only. Their forms may end at the issuer's sign-in page.
    """
    # Chromium applies form-action to the redirect after a post, so the issuer's origin is named
    # when it is another one.
    origin, own = ("/".join(url.split("/")[:3]) for url in (settings.issuer, settings.portal_url))
    return _CSP.format(identity="" if origin == own else f" {origin}")


@cache
def _templates() -> Environment:
    """Load the templates once in a process: the design system's macros take a second."""
    return environment(auditing_routes.FILTERS)
