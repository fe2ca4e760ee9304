"""What identity writes into the audit trail, and how a token family begins."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from common.audit_record import Actor, AuditEntry
from common.bootstrap import Person
from identity.domain import SHIFT, Code, OAuthClient, TokenFamily, digest
from identity.ports import Tx

NOBODY = Actor(subject="anonymous", agency="none", role="none")


def begin_family(now: datetime, code: Code, person: Person, jkt: str, refresh: str) -> TokenFamily:
    """The family a code starts; ends with the shift whatever happens in between."""
    return TokenFamily(
        id=code.grant_id, client_id=code.client_id, subject=code.subject, agency=person.agency, scope=code.scope, jkt=jkt,
        resource=code.resource, acr=code.acr, auth_time=code.auth_time, refresh_digest=digest(refresh), expires_at=now + SHIFT,
    )  # fmt: skip


def token_issued(tx: Tx, client: OAuthClient, claims: Mapping[str, Any]) -> None:
    """An access token left us: for whom, with which ceiling. Its id is sealed, so that entries of one token cannot be joined."""
    actor = Actor(
        subject=claims["sub"], agency=claims["agency"], role=(claims["roles"] or [client.entry.kind])[0], acr=claims.get("acr", ""))  # fmt: skip
    tx.record(
        AuditEntry(
            operation="login", outcome="permit", actor=actor, resource_type="access-token", count=len(claims["scope"].split()),
            detail={"client": client.id, "scope": claims["scope"], "audience": claims["aud"], "jti": claims["jti"]},
        )
    )  # fmt: skip


def refused(tx: Tx, client: OAuthClient | None, error: str, actor: Actor | None = None) -> None:
    """A refusal. Refusals of unknown callers are counted by the caller's edge instead, one record a minute."""
    if client is not None:
        actor = actor or Actor(subject=client.id, agency=client.entry.agency, role=client.entry.kind)
    if actor is not None:
        tx.record(
            AuditEntry(
                operation="denied", outcome="refused", actor=actor, resource_type="access-token", reason_code=error.replace("_", "-")
            )
        )


def code_replayed(tx: Tx, client: OAuthClient) -> None:
    """A code came twice; its token family was ended."""
    actor = Actor(subject=client.id, agency=client.entry.agency, role=client.entry.kind)
    tx.record(
        AuditEntry(operation="denied", outcome="refused", actor=actor, resource_type="authorization-code", reason_code="code-replayed")
    )


def signed_in(tx: Tx, person: Person, client: OAuthClient, acr: str) -> None:
    """A person signed in."""
    actor = Actor(subject=person.id, agency=person.agency, role=person.roles[0] if person.roles else "none", acr=acr, name=person.name)
    tx.record(AuditEntry(operation="login", outcome="done", actor=actor, resource_type="sign-in", detail={"client": client.id}))


def sign_in_refused(tx: Tx, person: Person | None, reason: str) -> None:
    """A sign-in that did not happen."""
    actor = NOBODY if person is None else Actor(
        subject=person.id, agency=person.agency, role=person.roles[0] if person.roles else "none", name=person.name)  # fmt: skip
    tx.record(AuditEntry(operation="login_failed", outcome="refused", actor=actor, resource_type="sign-in", reason_code=reason))
