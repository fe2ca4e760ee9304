"""What the authorization server knows beforehand.

Who it is, its clients, people, resource servers and signing key.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hubformats.bootstrap import Bootstrap, Person
from hubformats.clock import Clock
from hubformats.keys import SigningKey
from identity.oauth.model import OAuthClient
from identity.oauth.ports import Authenticator


@dataclass(frozen=True, slots=True)
class Authority:
    """The authorization server's own facts, fixed for the life of the process.

    They come from the operator-signed bootstrap file and from settings.
    """

    issuer: str
    clients: Mapping[str, OAuthClient]
    people: Mapping[str, Person]
    resources: frozenset[str]
    """Base URLs a token may be for (RFC 8707)."""

    token_key: SigningKey
    area: str
    clock: Clock
    authenticator: Authenticator


def authority_from(
    bootstrap: Bootstrap,
    *,
    issuer: str,
    urls: Mapping[str, str],
    token_key: SigningKey,
    clock: Clock,
    authenticator: Authenticator,
) -> Authority:
    """Join the bootstrap file with this deployment's URLs.

    `urls` maps service names to base URLs; the portal may be absent.
    """
    homes = {entry.client_id: urls.get(name, "") for name, entry in bootstrap.services.items()}
    portal = urls.get("portal", "").rstrip("/")
    clients = {
        entry.id: OAuthClient(
            entry,
            tuple(
                uri.replace("{portal}", portal)
                for uri in entry.redirect_uris
                if portal or "{portal}" not in uri
            ),
            homes.get(entry.id, ""),
        )
        for entry in bootstrap.clients.values()
    }
    # The portal too: its pages know sessions alone, but the operator's switch on it asks for a
    # token as everywhere.
    resources = frozenset(url for url in urls.values() if url)
    return Authority(
        issuer,
        clients,
        bootstrap.people,
        resources,
        token_key,
        bootstrap.area.id,
        clock,
        authenticator,
    )
