"""Pushed authorization requests (RFC 9126): the only way to start a sign-in."""

import re
import secrets
from collections.abc import Mapping
from typing import Final

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, UnauthorizedClientError

from identity.oauth.model import REQUEST_LIFE, Pushed, digest
from identity.oauth.ports import OAuthTx
from identity.oauth.use_cases.authority import Authority
from identity.oauth.use_cases.exchange import Answer, Exchange
from identity.oauth.use_cases.server import InvalidTarget, Server

URN: Final = "urn:ietf:params:oauth:request_uri:"
_KEPT: Final[tuple[str, ...]] = (
    "client_id",
    "response_type",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "dpop_jkt",
    "resource",
    "acr_values",
)
_THUMBPRINT_LENGTH: Final = 43
_SECONDS: Final = re.compile(r"\d{1,9}")


class LoginRequired(OAuth2Error):
    """Nobody is ever signed in here beforehand, so nothing can be granted without a page."""

    error = "login_required"


def push(authority: Authority, tx: OAuthTx, request: Exchange) -> Answer:
    """Answer a pushed authorization request; everything is checked here, in the back channel."""
    server = Server(authority, tx)
    try:
        client = server.spend_assertion(request)
        form = request.form
        if (
            "request_uri" in form
            or "request" in form
            or form.get("client_id", client.id) != client.id
        ):
            raise InvalidRequestError
        if not client.check_redirect_uri(form.get("redirect_uri", "")):
            raise InvalidRequestError if client.interactive else UnauthorizedClientError
        if form.get("resource", "") and form["resource"] not in authority.resources:
            raise InvalidTarget
        _check_freshness(form)
        _bind_key(server, request)
        kept: dict[str, str] = {name: form[name] for name in _KEPT if name in form} | {
            "client_id": client.id
        }
        if request.jkt:
            kept["dpop_jkt"] = request.jkt
        server.get_consent_grant(Exchange("GET", authority.issuer, "/authorize", kept))
    except OAuth2Error as error:
        answer: Answer = server.handle_error_response(request, error)
        return answer
    handle = secrets.token_urlsafe(32)
    expires = authority.clock.now() + REQUEST_LIFE
    tx.requests.save(Pushed(digest(handle), client.id, kept, kept.get("dpop_jkt", ""), expires))
    return Answer(
        201, {"request_uri": URN + handle, "expires_in": int(REQUEST_LIFE.total_seconds())}
    )


def _check_freshness(form: Mapping[str, str]) -> None:
    """Check `prompt` and `max_age` (OpenID Connect Core 3.1.2.1), as RFC 9470 section 4 uses them.

    Each sign-in here is a new one, so whatever age is asked for is met.

    Raises LoginRequired for a sign-in without a page, InvalidRequestError for what is no age.
    """
    prompts = form.get("prompt", "").split()
    if "none" in prompts:
        raise LoginRequired if prompts == ["none"] else InvalidRequestError
    if "max_age" in form and not _SECONDS.fullmatch(form["max_age"]):
        raise InvalidRequestError


def _bind_key(server: Server, request: Exchange) -> None:
    """Bind the request to a key, named by thumbprint, by a proof, or by both if they agree.

    RFC 9449 section 10.1.
    """
    named = request.form.get("dpop_jkt", "")
    if named and len(named) != _THUMBPRINT_LENGTH:
        raise InvalidRequestError
    if request.proof is not None or request.proof_refused:
        server.spend_proof(request)
        if named not in ("", request.jkt):
            raise InvalidRequestError
