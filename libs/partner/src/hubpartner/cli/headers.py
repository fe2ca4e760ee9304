"""hubctl headers: the two headers one request needs, so that any program, curl for one, can call
the hub."""

import asyncio
import re
from typing import Any

import click
import httpx2

from hubformats.clock import SystemClock
from hubpartner.cli.session import CommandFailed, profile_of, say
from hubpartner.profile import Profile, ProfileRefused
from hubpartner.tokens import TokenSource


@click.command()
@click.argument("method")
@click.argument("url")
@click.option("--scope", required=True, help="Scope to ask for, such as referral.write")
@click.pass_context
def headers(context: click.Context, method: str, url: str, scope: str) -> None:
    """Print Authorization and DPoP headers for exactly one request.

    METHOD is GET, POST and so on, URL the whole URL of the request. A query string is left out of
    the proof. Use with: curl -H @<(hubctl headers POST URL --scope S)
    """
    profile = profile_of(context)
    token, proof, needed = asyncio.run(_made(profile, method.upper(), url.partition("?")[0], scope))
    if needed and scope not in needed:
        raise CommandFailed(
            2,
            "scope-wrong",
            f"This request needs the scope {' or '.join(needed)}; with {scope} the hub would "
            "refuse it. No headers were printed.",
        )
    say(f"Authorization: DPoP {token}")
    say(f"DPoP: {proof}")


async def _made(profile: Profile, method: str, url: str, scope: str) -> tuple[str, str, list[str]]:
    services = (profile.referral_url, profile.sharing_url, profile.audit_url, profile.identity_url)
    audience = next((base for base in services if url.startswith(base + "/")), None)
    if audience is None:
        raise ProfileRefused("this URL is not of a service it names")
    async with httpx2.AsyncClient(timeout=20.0) as http:
        source = TokenSource(profile, http, SystemClock())
        token = await source.token(audience, scope)
        needed = await _scopes(http, audience, method.lower(), url.removeprefix(audience))
        return token, source.proof(method, url, token), needed


async def _scopes(http: httpx2.AsyncClient, base: str, method: str, path: str) -> list[str]:
    """Read in the service's OpenAPI document which scopes this request needs.

    Returns nothing when it cannot be asked or does not know the path.
    """
    try:
        paths: dict[str, Any] = (await http.get(f"{base}/openapi.json")).json()["paths"]
    except (httpx2.HTTPError, ValueError, KeyError):
        return []
    for template, operations in paths.items():
        if method in operations and re.fullmatch(
            re.sub(r"\\{[^/]*\\}", "[^/]+", re.escape(template)), path
        ):
            return [
                scope
                for way in operations[method].get("security", [])
                for scopes in way.values()
                for scope in scopes
            ]
    return []
