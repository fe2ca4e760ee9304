"""Where an OAuth issuer publishes its metadata."""

from urllib.parse import urlsplit


def metadata_places(issuer: str) -> tuple[str, ...]:
    """List the URLs to ask for metadata, best first, none twice.

    RFC 8414 section 3.1, then the forms of its section 5 and of OpenID Connect Discovery.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    well_known = "/.well-known/oauth-authorization-server"
    found = (
        f"{origin}{well_known}{path}",
        f"{origin}{path}{well_known}",
        f"{origin}{path}/.well-known/openid-configuration",
    )
    return tuple(dict.fromkeys(found))
