"""Granted: made by guards only, and only for a scope the caller holds."""

from datetime import UTC, datetime

import pytest

from common.access import SCOPES, Granted, Principal, grant, own_work

NOW = datetime(2026, 11, 21, tzinfo=UTC)
POLICE = Principal(
    "i", "rms", "rms", "system", "northmoor-police", scopes=frozenset({"referral.write"})
)


def test_a_granted_cannot_be_made_by_hand() -> None:
    with pytest.raises(TypeError):
        Granted(POLICE, "referral.write", "collection", NOW, object())
    with pytest.raises(TypeError):
        Granted(POLICE, "referral.write", "collection", NOW, None)


def test_a_grant_needs_a_scope_of_the_hub_that_the_caller_holds() -> None:
    made = grant(POLICE, scope="referral.write", operation="collection", at=NOW)
    assert (made.principal, made.scope, made.operation, made.at) == (
        POLICE,
        "referral.write",
        "collection",
        NOW,
    )
    with pytest.raises(ValueError, match="does not hold"):
        grant(POLICE, scope="case.read", operation="consultation", at=NOW)
    greedy = Principal("i", "rms", "rms", "system", "a", scopes=frozenset({"everything"}))
    with pytest.raises(ValueError, match="does not hold"):
        grant(greedy, scope="everything", operation="collection", at=NOW)


def test_a_services_own_work_is_named_as_the_services() -> None:
    made = own_work("sharing", issuer="i", scope="case.read", operation="disclosure", at=NOW)
    assert (made.principal.agency, made.principal.kind, made.principal.client_id) == (
        "svc:sharing",
        "system",
        "svc-sharing",
    )
    assert made.principal.scopes == {"case.read"}


def test_the_seal_is_not_shown_and_scopes_are_dotted_words() -> None:
    assert "object at" not in repr(
        grant(POLICE, scope="referral.write", operation="collection", at=NOW)
    )
    assert all(scope.count(".") == 1 and scope.islower() for scope in SCOPES)
