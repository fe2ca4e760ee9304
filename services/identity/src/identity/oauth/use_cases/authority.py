"""What the authorization server knows beforehand.

Who it is, its clients, people, resource servers and signing key.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from hubformats.bootstrap import Bootstrap, BootstrapRefused, Client, Person, read_key_set
from hubformats.clock import Clock
from hubformats.keys import Jwk, SigningKey
from identity.agencies.model import AgencyState
from identity.oauth.model import OAuthClient
from identity.oauth.ports import Authenticator


class ClientKeys:
    """With which keys clients prove themselves now.

    Those of the bootstrap file. For an agency's own system also the signing keys its root has
    signed since, and never one that it retired.
    """

    def __init__(self) -> None:
        self._sets: dict[str, tuple[Jwk, ...]] = {}

    def update(self, agencies: Iterable[AgencyState]) -> None:
        """Take in the key sets of now; one that its root did not sign leaves the earlier one."""
        for agency in agencies:
            with suppress(BootstrapRefused):
                self._sets[agency.id] = read_key_set(agency.key_set, agency.id, agency.root).jwks

    def of(self, client: Client) -> list[Jwk]:
        """List the public keys that count for a client."""
        jwks = self._sets.get(client.agency, ()) if client.kind == "system" else ()
        retired = {jwk["kid"] for jwk in jwks if "revoked" in jwk}
        living = [jwk for jwk in jwks if jwk.get("use") == "sig" and "revoked" not in jwk]
        known = {jwk["kid"]: jwk for jwk in (*client.keys, *living)}
        return [jwk for kid, jwk in known.items() if kid not in retired]


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
    client_keys: ClientKeys = field(default_factory=ClientKeys)


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
