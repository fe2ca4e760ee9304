"""Entries open for a proven look alone, and nothing but an entitlement proves one."""

import ast
import inspect
from dataclasses import fields
from datetime import timedelta
from typing import get_type_hints

import pytest

from audit.questions import ports
from audit.questions.model import (
    AuthorisedLook,
    NotEntitled,
    PurposeRequired,
    Question,
    QuestionNotFound,
)
from common.access import Principal, grant
from tests.architecture import tree
from tests.support.audit_looks import ENTITLEMENTS, HOLDS, NOW, asked, caller, look


def test_no_look_is_made_by_hand() -> None:
    question = asked(caller())
    for seal in (None, object(), question):
        with pytest.raises(TypeError):
            AuthorisedLook(question, seal)


def test_nothing_but_an_entitlement_names_the_constructor() -> None:
    makers = {
        str(path)
        for path in tree.python_files()
        if path.parts[0] in {"libs", "services"}
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "AuthorisedLook"
    }
    assert makers == {"services/audit/src/audit/questions/model.py"}


def test_only_storage_turns_questions_into_looks() -> None:
    callers = {
        str(path)
        for path in tree.python_files()
        if path.parts[:2] == ("services", "audit")
        for node in ast.walk(tree.parsed(path))
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "look"
    }
    assert callers == {"services/audit/src/audit/questions/repository.py"}


def test_every_way_to_an_entry_asks_for_a_look() -> None:
    ways = [way for name, way in vars(ports.Entries).items() if not name.startswith("_")]
    assert len(ways) == 2
    for way in ways:
        assert get_type_hints(way)["look"] is AuthorisedLook
        assert inspect.signature(way).parameters["look"].default is inspect.Parameter.empty


def test_another_persons_question_proves_nothing() -> None:
    theirs = asked(caller("a", "somebody"))
    for other in (caller("a", "somebody-else"), caller("b", "somebody"), caller()):
        with pytest.raises(QuestionNotFound):
            ENTITLEMENTS.look(other, theirs)


def test_a_question_asked_for_all_agencies_proves_nothing_for_one() -> None:
    mandated = asked(caller())
    named = {each.name: getattr(mandated, each.name) for each in fields(Question)}
    wider = Question(**{**named, "asker": asked(caller("a", "somebody")).asker})
    with pytest.raises(QuestionNotFound):
        ENTITLEMENTS.look(caller("a", "somebody"), wider)


def test_a_purpose_holds_for_its_hours_and_a_mandate_for_its_days() -> None:
    mine = asked(caller("a", "somebody"))
    assert ENTITLEMENTS.look(caller("a", "somebody", at=NOW + HOLDS), mine).question == mine
    with pytest.raises(PurposeRequired):
        ENTITLEMENTS.look(caller("a", "somebody", at=NOW + HOLDS + timedelta(seconds=1)), mine)
    for granted in (
        caller(at=NOW + timedelta(days=1)),
        caller(at=NOW - timedelta(days=60)),
        caller(subject="unmandated"),
        caller("elsewhere"),
    ):
        with pytest.raises(NotEntitled):
            ENTITLEMENTS.sight(granted)


def test_the_auditors_own_client_sees_all_and_no_other_system() -> None:
    def system(client: str) -> Principal:
        scopes = frozenset({"audit.read"})
        return Principal("issuer", client, client, "system", "area", scopes=scopes)

    def sight(client: str) -> object:
        granted = grant(system(client), scope="audit.read", operation="consultation", at=NOW)
        return ENTITLEMENTS.sight(granted)

    assert sight("auditors-client") == ENTITLEMENTS.sight(caller())
    with pytest.raises(NotEntitled):
        sight("svc-sharing")
    assert look(None).question.agency is None
