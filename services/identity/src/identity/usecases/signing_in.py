"""People's sign-in: push the request (RFC 9126), show who asks, complete it once."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, UnauthorizedClientError

from common.bootstrap import Person
from identity.domain import ACR_DEMO, REQUEST_LIFE, Pushed, digest, mandate_holds
from identity.permissions import grantable
from identity.ports import Tx
from identity.usecases import accounts
from identity.usecases.authority import Authority
from identity.usecases.exchange import Answer, Exchange
from identity.usecases.oauth_server import AgencySuspended, InvalidTarget, Server

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
)
_THUMBPRINT_LENGTH: Final = 43


class SignInGone(Exception):
    """The pushed request is unknown, expired, completed or another client's.

    There is nowhere safe to redirect to.
    """


class SignInRefused(Exception):
    """This sign-in method is not offered here, or the person does not exist."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sign-in waiting for its person."""

    handle: str
    client_id: str
    return_to: str


def push(authority: Authority, tx: Tx, request: Exchange) -> Answer:
    """The pushed authorization request endpoint: everything is checked here, in the back
    channel.
    """
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
    tx.save_pushed(Pushed(digest(handle), client.id, kept, kept.get("dpop_jkt", ""), expires))
    return Answer(
        201, {"request_uri": URN + handle, "expires_in": int(REQUEST_LIFE.total_seconds())}
    )


def _bind_key(server: Server, request: Exchange) -> None:
    """RFC 9449 section 10.1: the key may be named by thumbprint, by a proof, or by both if they
    agree.
    """
    named = request.form.get("dpop_jkt", "")
    if named and len(named) != _THUMBPRINT_LENGTH:
        raise InvalidRequestError
    if request.proof is not None or request.proof_refused:
        server.spend_proof(request)
        if named not in ("", request.jkt):
            raise InvalidRequestError


def waiting(tx: Tx, client_id: str, request_uri: str) -> Waiting:
    """What the sign-in page is about.

    Reading it uses nothing up: back button and refresh must work. Raises SignInGone.
    """
    pushed = _pushed(tx, client_id, request_uri)
    return Waiting(pushed.handle, pushed.client_id, pushed.parameters["redirect_uri"])


def _pushed(tx: Tx, client_id: str, request_uri: str) -> Pushed:
    pushed = (
        tx.pushed(digest(request_uri.removeprefix(URN))) if request_uri.startswith(URN) else None
    )
    if pushed is None or pushed.client_id != client_id:
        raise SignInGone
    return pushed


def complete_demo(
    authority: Authority, tx: Tx, *, client_id: str, request_uri: str, person_id: str
) -> Answer:
    """A demo persona was clicked: answer the redirect that carries the code.

    Raises SignInGone, SignInRefused.
    """
    if not authority.demo:
        accounts.sign_in_refused(tx, accounts.NOBODY, "method-not-offered")
        raise SignInRefused
    pushed = _pushed(tx, client_id, request_uri)
    person = authority.people.get(person_id)
    if person is None:
        raise SignInRefused
    if not tx.complete_pushed(pushed.handle):
        raise SignInGone
    return _complete(authority, tx, pushed, person, ACR_DEMO)


def cancel(authority: Authority, tx: Tx, *, client_id: str, request_uri: str) -> Answer:
    """The person chose not to sign in. Raises SignInGone."""
    pushed = _pushed(tx, client_id, request_uri)
    if not tx.complete_pushed(pushed.handle):
        raise SignInGone
    return _redirect(authority, pushed, {"error": "access_denied"})


def _complete(authority: Authority, tx: Tx, pushed: Pushed, person: Person, acr: str) -> Answer:
    client = authority.clients[pushed.client_id]
    server = Server(authority, tx)
    refusal = _why_not(authority, server, person, pushed)
    if refusal:
        accounts.sign_in_refused(tx, accounts.of_person(authority.issuer, person), refusal)
        return _redirect(authority, pushed, {"error": "access_denied"})
    request = Exchange("GET", authority.issuer, "/authorize", {**pushed.parameters, "acr": acr})
    grant = server.get_consent_grant(request, person)
    answer: Answer = server.create_authorization_response(request, grant_user=person, grant=grant)
    accounts.signed_in(tx, accounts.of_person(authority.issuer, person, acr), client)
    # RFC 9207: Authlib's IssuerParameter expects a Flask response, so `iss` is added here.
    return Answer(303, location=_with_query(answer.location, {"iss": authority.issuer}))


def _why_not(authority: Authority, server: Server, person: Person, pushed: Pushed) -> str:
    try:
        server.check_agency(person.agency)
    except AgencySuspended:
        return "agency-suspended"
    if not mandate_holds(person, authority.clock.now()):
        return "mandate-not-in-force"
    return "" if grantable(person.roles, pushed.parameters["scope"]) else "no-scope-left"


def _redirect(authority: Authority, pushed: Pushed, parameters: Mapping[str, str]) -> Answer:
    state = {"state": pushed.parameters["state"]} if "state" in pushed.parameters else {}
    return Answer(
        303,
        location=_with_query(
            pushed.parameters["redirect_uri"], {**parameters, **state, "iss": authority.issuer}
        ),
    )


def _with_query(uri: str, parameters: Mapping[str, str]) -> str:
    parts = urlsplit(uri)
    return urlunsplit(
        parts._replace(query="&".join(filter(None, (parts.query, urlencode(parameters)))))
    )
