"""hubctl headers: the two headers one request needs, so that any program, curl for one, can call the hub."""

import asyncio
from typing import Annotated

import httpx2
import typer

from common.clock import SystemClock
from common.dpop import make_proof
from common.web.client import TokenSource
from hubpartner.cli.session import profile_of, say
from hubpartner.profile import Profile, ProfileRefused


def headers(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="GET, POST …")],
    url: Annotated[str, typer.Argument(help="The whole URL of the request; a query string is left out of the proof")],
    scope: Annotated[str, typer.Option(help="Scope to ask for, such as referral.write")],
) -> None:
    """Print Authorization and DPoP headers for exactly one request; use with: curl -H @<(hubctl headers POST URL --scope S)."""
    profile = profile_of(context)
    token, proof = asyncio.run(_made(profile, method.upper(), url.partition("?")[0], scope))
    say(f"Authorization: DPoP {token}")
    say(f"DPoP: {proof}")


async def _made(profile: Profile, method: str, url: str, scope: str) -> tuple[str, str]:
    services = (profile.referral_url, profile.sharing_url, profile.audit_url, profile.identity_url)
    audience = next((base for base in services if url.startswith(base + "/")), None)
    if audience is None:
        raise ProfileRefused("this URL is not of a service it names")
    async with httpx2.AsyncClient(timeout=20.0) as http:
        clock = SystemClock()
        source = TokenSource(profile.issuer, profile.client_id, signing=profile.signing, dpop_key=profile.dpop, http=http, clock=clock)
        token = await source.token(audience, scope)
        return token, make_proof(profile.dpop, method, url, at=clock.now(), token=token)
