"""The authorization server's back channel.

Token, pushed requests, introspection, revocation, metadata and keys.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749 import InvalidClientError
from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from common.access import SCOPES
from common.problems import Problem
from common.web.guard import anyone
from common.web.provided import provided
from common.web.rates import Budgets
from hubformats.dpop import ALGORITHMS, DpopRefused, check_proof
from identity.oauth.model import SIGNATURE_ALGORITHMS, digest
from identity.oauth.ports import OAuthStore, OAuthTx
from identity.oauth.use_cases.authority import Authority
from identity.oauth.use_cases.client_proof import ClientGate
from identity.oauth.use_cases.exchange import Answer, BadForm, Exchange, Proof, form_of
from identity.oauth.use_cases.pushing import push
from identity.oauth.use_cases.server import Server, refusal
from identity.oauth.use_cases.token_states import introspect, revoke

FORM: Final = "application/x-www-form-urlencoded"
_MAX_PARAMETERS: Final = 40
QUOTAS: Final = {"client": 600, "portal": 6000, "grant": 600, "sign-in": 60, "failures": 120}
"""Requests in a minute, by what is counted.

One client at one endpoint; the portal, which asks for everybody; one code or refresh token; one
pushed request; and what fails, from one peer address. Failures never count against who succeeds:
many people may share an address or a client.
"""
_LIMITED: Final = ("/token", "/par")
_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {"schema": {"type": "object", "additionalProperties": {"type": "string"}}}
        },
    }
}

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
}


def _refused(words: str) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": _ERROR}}}


_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: _refused("An error of RFC 6749 section 5.2, in the form that OAuth clients read."),
    401: _refused("The client did not authenticate (`invalid_client`)."),
    429: _refused("Too many requests (`temporarily_unavailable`); `Retry-After` says how long."),
}

Endpoint = Callable[[Authority, OAuthTx, Exchange], Answer]

StoreDep = Annotated[OAuthStore, Depends(provided(OAuthStore))]
AuthorityDep = Annotated[Authority, Depends(provided(Authority))]
BudgetsDep = Annotated[Budgets, Depends(provided(Budgets))]


@dataclass(frozen=True, slots=True)
class _BackChannel:
    """What the endpoints that clients call directly stand on."""

    authority: Authority
    store: OAuthStore
    gate: ClientGate
    budgets: Budgets

    async def answer(self, request: Request, path: str, endpoint: Endpoint) -> Response:
        """Check what needs no storage in a thread, then answer and record in one transaction."""
        try:
            form = form_of(_pairs(await request.body()))
        except BadForm:
            return await self._unknown_caller(request, refusal("invalid_request"))
        exchange = Exchange("POST", self.authority.issuer, path, form)
        try:
            await run_in_threadpool(self._check, exchange, path, request.headers.getlist("dpop"))
        except InvalidClientError:
            return await self._unknown_caller(request, refusal("invalid_client", 401))
        wait = await self._over_quota(path, exchange)
        if wait:
            await request.app.background.report(request, Problem("rate-limited"))
            return respond(too_many(wait))
        return respond(
            await self.store.write(lambda tx: endpoint(self.authority, tx, exchange.again()))
        )

    async def _over_quota(self, path: str, exchange: Exchange) -> int:
        """Count a request of a known client; the seconds to wait when there were too many."""
        if path not in _LIMITED or exchange.presented is None:
            return 0
        client, form = exchange.presented.client, exchange.form
        grant = form.get("refresh_token", "") or form.get("code", "")
        if client.interactive and grant:  # one person's, and nobody else's
            return await self.budgets.spend("grant", digest(grant))
        name = "portal" if client.interactive else "client"
        return await self.budgets.spend(name, f"{path} {client.id}")

    async def _unknown_caller(self, request: Request, answer: Answer) -> Response:
        """Refuse; from an address that failed too often, without saying what was wrong."""
        wait = await self.budgets.spend("failures", peer(request))
        await request.app.background.report(request, Problem("unauthorized"))
        return respond(too_many(wait) if wait else answer)

    def _check(self, exchange: Exchange, path: str, proofs: list[str]) -> None:
        exchange.presented = self.gate.check(exchange)
        if not proofs:
            return
        try:
            if len(proofs) != 1:
                raise DpopRefused("several")
            url, now = self.authority.issuer + path, self.authority.clock.now()
            found = check_proof(proofs[0], method="POST", url=url, now=now)
            exchange.proof = Proof(found.jkt, found.jti, found.expires_at)
        except DpopRefused as refused:
            # Refused inside the transaction, where the refusal gets the client's name.
            exchange.proof_refused, exchange.proof_hint = True, refused.hint


async def _back_channel(
    authority: AuthorityDep,
    store: StoreDep,
    gate: Annotated[ClientGate, Depends(provided(ClientGate))],
    budgets: BudgetsDep,
) -> _BackChannel:
    return _BackChannel(authority, store, gate, budgets)


BackChannelDep = Annotated[_BackChannel, Depends(_back_channel)]

router = APIRouter(
    tags=["oauth"], dependencies=[anyone("authenticates clients itself, by signed assertion")]
)


@router.post("/token", summary="Get an access token", openapi_extra=_BODY, responses=_REFUSALS)
async def issue_token(request: Request, channel: BackChannelDep) -> Response:
    """RFC 6749 section 3.2 with private_key_jwt (RFC 7523), DPoP (RFC 9449) and one `resource` (RFC
    8707).
    """
    return await channel.answer(
        request, "/token", lambda authority, tx, exchange: Server(authority, tx).token(exchange)
    )


@router.post(
    "/par",
    status_code=201,
    summary="Push an authorization request",
    openapi_extra=_BODY,
    responses=_REFUSALS,
)
async def push_authorization_request(request: Request, channel: BackChannelDep) -> Response:
    """RFC 9126. The only way to start a sign-in."""
    return await channel.answer(request, "/par", push)


@router.post(
    "/introspect", summary="Ask whether a token counts", openapi_extra=_BODY, responses=_REFUSALS
)
async def introspect_token(request: Request, channel: BackChannelDep) -> Response:
    """RFC 7662. A service may ask about tokens meant for it, any client about its own."""
    return await channel.answer(request, "/introspect", introspect)


@router.post("/revoke", summary="End a token", openapi_extra=_BODY, responses=_REFUSALS)
async def revoke_token(request: Request, channel: BackChannelDep) -> Response:
    """RFC 7009. A refresh token takes every access token of its sign-in with it."""
    return await channel.answer(request, "/revoke", revoke)


@router.get("/jwks", summary="Keys that sign access tokens")
async def token_keys(authority: AuthorityDep) -> Response:
    """RFC 7517 key set.

    Key ids are RFC 7638 thumbprints, so a new key never hides behind an old id.
    """
    return JSONResponse(
        {"keys": [authority.token_key.jwk()]}, headers={"Cache-Control": "public, max-age=300"}
    )


@router.get(
    "/.well-known/oauth-authorization-server", summary="Metadata of the authorization server"
)
async def server_metadata(authority: AuthorityDep) -> Response:
    """RFC 8414."""
    return JSONResponse(
        metadata(authority.issuer, authority.authenticator.acr_values),
        headers={"Cache-Control": "public, max-age=300"},
    )


@router.get("/.well-known/openid-configuration", include_in_schema=False)
async def server_metadata_for_openid(authority: AuthorityDep) -> Response:
    """The same where some clients look first (RFC 8414 section 5); no OpenID provider is
    claimed.
    """
    return await server_metadata(authority)


def metadata(issuer: str, acr_values: frozenset[str]) -> dict[str, Any]:
    """Make RFC 8414's metadata, with the members of RFC 9126, 9207, 9449 and 8707's plain use."""
    auth = {
        "_methods_supported": ["private_key_jwt"],
        "_signing_alg_values_supported": list(SIGNATURE_ALGORITHMS),
    }
    endpoints = {name: f"{name}_endpoint_auth" for name in ("token", "introspection", "revocation")}
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/par",
        "token_endpoint": f"{issuer}/token",
        "introspection_endpoint": f"{issuer}/introspect",
        "revocation_endpoint": f"{issuer}/revoke",
        "jwks_uri": f"{issuer}/jwks",
        "require_pushed_authorization_requests": True,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "client_credentials", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "scopes_supported": sorted(SCOPES),
        "acr_values_supported": sorted(acr_values),
        "prompt_values_supported": ["login"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_response_iss_parameter_supported": True,
        **{
            prefix + suffix: value
            for prefix in endpoints.values()
            for suffix, value in auth.items()
        },
    }


def too_many(wait: int) -> Answer:
    """Make an error in RFC 6749's form that says when to come again."""
    return replace(refusal("temporarily_unavailable", 429), headers={"Retry-After": str(wait)})


def peer(request: Request) -> str:
    """Return the address at the other end of the connection; a proxy's is that of all behind it."""
    return request.client.host if request.client else ""


def _pairs(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MAX_PARAMETERS,
            errors="strict",
        )
    except ValueError:
        raise BadForm("not a form") from None


def respond(answer: Answer) -> Response:
    """Make the HTTP response: redirects are 303, so that no browser repeats a POST elsewhere."""
    if answer.location:
        return Response(status_code=303, headers={"Location": answer.location})
    return JSONResponse(
        dict(answer.body or {}),
        answer.status,
        headers={"Cache-Control": "no-store", "Pragma": "no-cache", **answer.headers},
    )
