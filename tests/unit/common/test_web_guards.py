"""The table of actions: read by guards alone, refused when it is wrong, asked in full."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from common.access import Permission, Principal
from common.problems import Problem
from common.web.guard import Guards

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SYSTEM = Principal("i", "rms", "rms", "system", "northmoor-police", scopes=frozenset({"case.read"}))
PERSON = Principal(
    "i",
    "p1",
    "portal",
    "person",
    "northmoor-idva",
    roles=frozenset({"idva"}),
    scopes=frozenset({"case.read"}),
    acr="passkey",
    auth_time=int(NOW.timestamp()) - 60,
)
READ = Permission("case.read", "consultation")


def test_a_table_with_an_unknown_scope_is_refused() -> None:
    with pytest.raises(ValueError, match=r"case\.everything is not a scope"):
        Guards({"read": Permission("case.everything", "consultation")})


def test_a_guard_for_an_action_outside_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="write is not an action"):
        Guards({"read": READ}).action("write")
    with pytest.raises(ValueError, match="write is not an action"):
        Guards({"read": READ}).permit("write", SYSTEM, at=NOW)


def test_a_change_to_the_table_afterwards_changes_no_guard() -> None:
    table = {"read": READ}
    guards = Guards(table)
    table["write"] = READ
    with pytest.raises(ValueError, match="write is not an action"):
        guards.action("write")


def test_the_proof_names_the_action() -> None:
    granted = Guards({"read": READ}).permit("read", SYSTEM, at=NOW)
    assert (granted.action, granted.scope, granted.operation, granted.at) == (
        "read",
        "case.read",
        "consultation",
        NOW,
    )
    assert granted.principal == SYSTEM


@pytest.mark.parametrize(
    ("permission", "caller", "code"),
    [
        (Permission("case.write", "alteration"), SYSTEM, "insufficient-scope"),
        (replace(READ, person=True), SYSTEM, "forbidden"),
        (replace(READ, roles=frozenset({"idva_manager"})), PERSON, "forbidden"),
        (
            replace(READ, roles=frozenset({"idva"})),
            replace(SYSTEM, roles=PERSON.roles),
            "forbidden",
        ),
        (replace(READ, acr=frozenset({"totp"})), PERSON, "step-up-required"),
        (replace(READ, acr=frozenset({"passkey"})), replace(SYSTEM, acr="passkey"), "forbidden"),
        (replace(READ, clients=frozenset({"svc-sharing"})), SYSTEM, "forbidden"),
        (replace(READ, clients=frozenset({"portal"})), PERSON, "forbidden"),
        (replace(READ, step_up=timedelta(seconds=59)), PERSON, "step-up-required"),
        (replace(READ, step_up=timedelta(days=1)), SYSTEM, "step-up-required"),
    ],
)
def test_each_column_of_the_table_is_asked(
    permission: Permission, caller: Principal, code: str
) -> None:
    with pytest.raises(Problem) as refused:
        Guards({"act": permission}).permit("act", caller, at=NOW)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("permission", "caller"),
    [
        (replace(READ, person=True), PERSON),
        (replace(READ, roles=frozenset({"idva", "auditor"})), PERSON),
        (replace(READ, acr=frozenset({"passkey"})), PERSON),
        (replace(READ, clients=frozenset({"rms"})), SYSTEM),
        (replace(READ, step_up=timedelta(seconds=60)), PERSON),
    ],
)
def test_who_meets_every_column_is_let_in(permission: Permission, caller: Principal) -> None:
    assert Guards({"act": permission}).permit("act", caller, at=NOW).principal == caller


def test_the_challenge_names_means_and_age_and_the_sign_in_asks_for_the_same() -> None:
    act = replace(READ, acr=frozenset({"totp", "key"}), step_up=timedelta(minutes=15))
    for caller in (PERSON, replace(PERSON, acr="key", auth_time=int(NOW.timestamp()) - 901)):
        with pytest.raises(Problem) as refused:
            Guards({"act": act}).permit("act", caller, at=NOW)
        assert refused.value.headers["WWW-Authenticate"] == (
            'DPoP error="insufficient_user_authentication", acr_values="key totp", max_age="900"'
        )
    assert Guards({"act": act, "read": READ}).sign_in_for("act") == {
        "scope": "case.read",
        "acr_values": "key totp",
        "max_age": "900",
    }
    assert Guards({"read": READ}).sign_in_for("read") == {"scope": "case.read"}


def test_who_may_not_at_all_is_not_sent_to_sign_in_again() -> None:
    act = replace(READ, roles=frozenset({"auditor"}), step_up=timedelta(seconds=1))
    with pytest.raises(Problem) as refused:
        Guards({"act": act}).permit("act", PERSON, at=NOW)
    assert refused.value.code == "forbidden"
