"""People's sign-in: show who asks, complete it once."""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from hubformats.bootstrap import Person
from identity.oauth.model import ACR_DEMO, Pushed, digest, grantable
from identity.oauth.ports import OAuthTx
from identity.oauth.use_cases import records
from identity.oauth.use_cases.authority import Authority
from identity.oauth.use_cases.exchange import Answer, Exchange
from identity.oauth.use_cases.pushing import URN
from identity.oauth.use_cases.server import AgencySuspended, Server
from identity.people.model import SignInGone, SignInRefused, Waiting, mandate_holds


def waiting(tx: OAuthTx, client_id: str, request_uri: str) -> Waiting:
    """What the sign-in page is about.

    Reading it uses nothing up: back button and refresh must work. Raises SignInGone.
    """
    pushed = _pushed(tx, client_id, request_uri)
    return Waiting(pushed.handle, pushed.client_id, pushed.parameters["redirect_uri"])


def _pushed(tx: OAuthTx, client_id: str, request_uri: str) -> Pushed:
    pushed = (
        tx.requests.find(digest(request_uri.removeprefix(URN)))
        if request_uri.startswith(URN)
        else None
    )
    if pushed is None or pushed.client_id != client_id:
        raise SignInGone
    return pushed


def complete_demo(
    authority: Authority, tx: OAuthTx, *, client_id: str, request_uri: str, person_id: str
) -> Answer:
    """A demo persona was clicked: answer the redirect that carries the code.

    Raises SignInGone, SignInRefused.
    """
    if not authority.demo:
        records.sign_in_refused(tx, records.NOBODY, "method-not-offered")
        raise SignInRefused
    pushed = _pushed(tx, client_id, request_uri)
    person = authority.people.get(person_id)
    if person is None:
        raise SignInRefused
    if not tx.requests.complete(pushed.handle):
        raise SignInGone
    return _complete(authority, tx, pushed, person, ACR_DEMO)


def cancel(authority: Authority, tx: OAuthTx, *, client_id: str, request_uri: str) -> Answer:
    """The person chose not to sign in. Raises SignInGone."""
    pushed = _pushed(tx, client_id, request_uri)
    if not tx.requests.complete(pushed.handle):
        raise SignInGone
    return _redirect(authority, pushed, {"error": "access_denied"})


def _complete(
    authority: Authority, tx: OAuthTx, pushed: Pushed, person: Person, acr: str
) -> Answer:
    client = authority.clients[pushed.client_id]
    server = Server(authority, tx)
    refusal = _why_not(authority, server, person, pushed)
    if refusal:
        records.sign_in_refused(tx, records.of_person(authority.issuer, person), refusal)
        return _redirect(authority, pushed, {"error": "access_denied"})
    request = Exchange("GET", authority.issuer, "/authorize", {**pushed.parameters, "acr": acr})
    grant = server.get_consent_grant(request, person)
    answer: Answer = server.create_authorization_response(request, grant_user=person, grant=grant)
    records.signed_in(tx, records.of_person(authority.issuer, person, acr), client)
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
