"""People's sign-in: show who asks, complete it once."""

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from hubformats.bootstrap import Person
from identity.oauth.model import Authenticated, Pushed, digest, grantable
from identity.oauth.ports import OAuthTx
from identity.oauth.use_cases import records
from identity.oauth.use_cases.authority import Authority
from identity.oauth.use_cases.exchange import Answer, Exchange
from identity.oauth.use_cases.pushing import URN
from identity.oauth.use_cases.server import AgencySuspended, Server
from identity.people.model import SignInGone, SignInRefused, Waiting, mandate_holds


def waiting(tx: OAuthTx, client_id: str, request_uri: str) -> Waiting:
    """Find the pushed request that the sign-in page is about.

    Reading it uses nothing up: back button and refresh must work.

    Raises SignInGone.
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


def complete(
    authority: Authority,
    tx: OAuthTx,
    *,
    client_id: str,
    request_uri: str,
    form: Mapping[str, str],
) -> Answer:
    """Complete the sign-in a person answered; return the redirect that carries the code.

    Raises SignInGone, SignInRefused.
    """
    if not authority.authenticator.acr_values:
        records.sign_in_refused(tx, records.NOBODY, "method-not-offered")
        raise SignInRefused
    pushed = _pushed(tx, client_id, request_uri)
    found = authority.authenticator.check(form)
    if found is None:
        raise SignInRefused
    if not tx.requests.complete(pushed.handle):
        raise SignInGone
    return _complete(authority, tx, pushed, found)


def cancel(authority: Authority, tx: OAuthTx, *, client_id: str, request_uri: str) -> Answer:
    """Cancel a sign-in, as the person chose. Raises SignInGone."""
    pushed = _pushed(tx, client_id, request_uri)
    if not tx.requests.complete(pushed.handle):
        raise SignInGone
    return _redirect(authority, pushed, {"error": "access_denied"})


def _complete(authority: Authority, tx: OAuthTx, pushed: Pushed, found: Authenticated) -> Answer:
    client, person, acr = authority.clients[pushed.client_id], found.person, found.acr
    server = Server(authority, tx)
    wanted = pushed.parameters.get("acr_values", "").split()
    if wanted and acr not in wanted:
        who = records.of_person(authority.issuer, person)
        records.sign_in_refused(tx, who, "acr-not-met")
        # RFC 9470 section 5: told to the client, which must not take a weaker sign-in for a
        # stronger.
        return _redirect(authority, pushed, {"error": "unmet_authentication_requirements"})
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
