"""Rules without a database: ceilings by role, redirect URIs, mandates, forms, what is stored of a
secret."""

from datetime import UTC, date, datetime
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.access import SCOPES
from hubformats import jws
from hubformats.agency_events import TakingUp
from hubformats.bootstrap import Client, Mandate, Person
from hubformats.keys import generate_signing
from identity.bootstrap.model import northmoor
from identity.oauth.model import ROLE_SCOPES, OAuthClient, digest, grantable
from identity.oauth.use_cases.exchange import BadForm, Exchange, form_of
from identity.people.model import mandate_holds

PORTAL = OAuthClient(
    Client(
        id="portal",
        kind="portal",
        agency="svc:portal",
        keys=(),
        scopes=("case.read", "contact.read"),
    ),
    ("https://hub.example.org/cb",),
)


def test_every_role_and_client_stays_inside_the_published_scopes() -> None:
    assert set().union(*ROLE_SCOPES.values()) <= SCOPES
    for scopes in (
        northmoor.SYSTEM_SCOPES,
        northmoor.PORTAL_SCOPES,
        northmoor.OPERATOR_SCOPES,
        northmoor.AUDITOR_SCOPES,
        *northmoor.SERVICE_SCOPES.values(),
    ):
        assert set(scopes) <= SCOPES


def test_only_services_may_write_audit_records() -> None:
    others = (
        northmoor.SYSTEM_SCOPES,
        northmoor.PORTAL_SCOPES,
        northmoor.OPERATOR_SCOPES,
        northmoor.AUDITOR_SCOPES,
        *ROLE_SCOPES.values(),
    )
    assert all("audit.write" not in scopes for scopes in others)


def test_no_practitioner_reads_the_audit_log_and_no_auditor_or_operator_reads_a_case() -> None:
    for role, scopes in ROLE_SCOPES.items():
        assert ("audit.read" in scopes) == (role == "auditor")
        if role in {"auditor", "operator"}:
            assert not scopes & {"case.read", "contact.read", "disclosure.read", "referral.read"}


def test_every_demo_person_has_a_known_role_and_no_name_in_the_id() -> None:
    for person in northmoor.PEOPLE:
        assert set(person.roles) <= ROLE_SCOPES.keys()
        assert not any(part.lower() in person.id.lower() for part in person.name.split())


@given(
    st.lists(st.sampled_from(sorted(ROLE_SCOPES)), max_size=3),
    st.lists(st.sampled_from(sorted(SCOPES)), max_size=6),
)
def test_what_is_granted_never_exceeds_what_was_asked_nor_the_roles(
    roles: list[str], asked: list[str]
) -> None:
    granted = grantable(roles, " ".join(asked)).split()
    assert set(granted) <= set(asked)
    assert all(any(scope in ROLE_SCOPES[role] for role in roles) for scope in granted)


def test_an_unknown_role_gives_nothing() -> None:
    assert grantable(["superuser"], "case.read") == ""


@pytest.mark.parametrize(
    "uri",
    [
        "https://hub.example.org/cb/",
        "https://hub.example.org/cb?x",
        "https://HUB.example.org/cb",
        "",
        "https://hub.example.org/cb#",
    ],
)
def test_redirect_uris_are_compared_exactly(uri: str) -> None:
    assert PORTAL.check_redirect_uri("https://hub.example.org/cb")
    assert not PORTAL.check_redirect_uri(uri)


@pytest.mark.parametrize("scope", [None, "", " ", "case.read audit.read", "CASE.READ"])
def test_a_ceiling_answers_all_or_nothing(scope: str | None) -> None:
    assert PORTAL.get_allowed_scope("case.read") == "case.read"
    assert PORTAL.get_allowed_scope(scope) is None


def test_a_mandate_holds_on_its_first_and_last_day_only() -> None:
    mandate = Mandate(granted_by="the partnership", begins=date(2026, 1, 1), ends=date(2026, 1, 31))
    person = Person(id="per-1", name="A", agency="northmoor", roles=("auditor",), mandate=mandate)
    days = {
        day: mandate_holds(person, datetime(2026, month, day, 12, tzinfo=UTC))
        for month, day in ((1, 1), (1, 31))
    }
    assert days == {1: True, 31: True}
    assert not mandate_holds(person, datetime(2026, 2, 1, tzinfo=UTC))
    assert not mandate_holds(person, datetime(2025, 12, 31, 23, 59, tzinfo=UTC))


def test_a_repeated_parameter_is_refused_and_an_empty_one_left_out() -> None:
    assert form_of([("a", "1"), ("b", "")]) == {"a": "1"}
    for pairs in (
        [("a", "1"), ("a", "1")],
        [("a", ""), ("a", "1")],
        [("a", "x" * 16_385)],
        [("n" * 101, "1")],
    ):
        with pytest.raises(BadForm):
            form_of(pairs)


def test_a_request_tried_again_is_as_it_arrived() -> None:
    first = Exchange("POST", "http://hub.example.org/identity", "/token", {"a": "1"})
    first.client, first.user = "spoilt", "spoilt"
    again = first.again()
    assert (again.client, again.user, again.form, again.uri) == (
        None,
        None,
        {"a": "1"},
        "https://hub.example.org/identity/token",
    )


def test_a_stored_secret_is_a_hash_and_a_token_is_signed() -> None:
    assert digest("secret") != "secret"
    assert len(digest("secret")) == 43
    key = generate_signing("svc:identity")
    head, body, _ = jws.sign({"sub": "x"}, key, typ="at+jwt").split(".")
    assert head != body


def test_whoever_may_accept_in_the_portal_has_a_role_that_takes_up() -> None:
    accepting = {role for role, scopes in ROLE_SCOPES.items() if "disclosure.acknowledge" in scopes}
    assert accepting
    assert accepting <= set(get_args(TakingUp))
