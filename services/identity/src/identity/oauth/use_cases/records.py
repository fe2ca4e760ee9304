"""What identity writes into the audit trail, and how a token family begins."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from hubformats.audit_record import Actor, AuditEntry
from hubformats.bootstrap import Person
from identity.oauth.model import SHIFT, Code, Issued, OAuthClient, TokenFamily, digest
from identity.oauth.ports import OAuthTx

NOBODY = Actor(subject="anonymous", agency="none", role="anonymous")


def of_client(issuer: str, client: OAuthClient) -> Actor:
    """Name a client for the audit trail, the same way every service names its callers."""
    return Actor(subject=f"{issuer}|{client.id}", agency=client.entry.agency, role="system")


def of_person(issuer: str, person: Person, acr: str = "") -> Actor:
    """Name a person for the audit trail."""
    return Actor(
        subject=f"{issuer}|{person.id}",
        agency=person.agency,
        role=",".join(sorted(person.roles)) or "person",
        acr=acr,
        name=person.name,
    )


def begin_family(now: datetime, code: Code, person: Person, jkt: str, refresh: str) -> TokenFamily:
    """Make the family a code starts; it ends with the shift whatever happens in between."""
    return TokenFamily(
        id=code.grant_id,
        client_id=code.client_id,
        subject=code.subject,
        agency=person.agency,
        scope=code.scope,
        jkt=jkt,
        resource=code.resource,
        acr=code.acr,
        auth_time=code.auth_time,
        refresh_digest=digest(refresh),
        expires_at=now + SHIFT,
    )


def token_issued(tx: OAuthTx, actor: Actor, claims: Mapping[str, Any]) -> None:
    """Record that an access token left us: for whom, with which ceiling.

    Its id is sealed, so that entries of one token cannot be joined.
    """
    means = {
        "client": claims["client_id"],
        "scope": claims["scope"],
        "audience": claims["aud"],
        "jti": claims["jti"],
    }
    tx.record(
        AuditEntry(
            operation="login",
            outcome="permit",
            actor=replace(actor, means=means),
            resource_type="access-token",
            count=len(claims["scope"].split()),
        )
    )


def refused(tx: OAuthTx, actor: Actor, error: str) -> None:
    """Record a refusal of a client that proved who it is.

    Those of unknown callers are counted at the edge, one record a minute.
    """
    tx.record(
        AuditEntry(
            operation="denied",
            outcome="refused",
            actor=actor,
            resource_type="access-token",
            reason_code=error.replace("_", "-"),
        )
    )


def code_replayed(tx: OAuthTx, actor: Actor) -> None:
    """Record that a code came twice; its token family was ended."""
    tx.record(
        AuditEntry(
            operation="denied",
            outcome="refused",
            actor=actor,
            resource_type="authorization-code",
            reason_code="code-replayed",
        )
    )


def refresh_token_reused(tx: OAuthTx, actor: Actor) -> None:
    """Record that a refresh token came from other hands; its token family was ended."""
    tx.record(
        AuditEntry(
            operation="denied",
            outcome="refused",
            actor=actor,
            resource_type="token-family",
            reason_code="refresh-token-reused",
        )
    )


def signed_in(tx: OAuthTx, actor: Actor, client: OAuthClient) -> None:
    """Record that a person signed in."""
    tx.record(
        AuditEntry(
            operation="login",
            outcome="done",
            actor=replace(actor, means={"client": client.id}),
            resource_type="sign-in",
        )
    )


def sign_in_refused(tx: OAuthTx, actor: Actor, reason: str) -> None:
    """Record a sign-in that did not happen."""
    tx.record(
        AuditEntry(
            operation="login_failed",
            outcome="refused",
            actor=actor,
            resource_type="sign-in",
            reason_code=reason,
        )
    )


def token_revoked(tx: OAuthTx, actor: Actor, token: Issued | TokenFamily) -> None:
    """Record that a client ended a token it had."""
    kind = "access-token" if isinstance(token, Issued) else "token-family"
    tx.record(
        AuditEntry(
            operation="permission_change",
            outcome="done",
            actor=actor,
            resource_type=kind,
            reason_code="revoked-by-client",
        )
    )
