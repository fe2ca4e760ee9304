"""A proof is made by its own module alone: no other road makes one of another."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from audit.questions.model import AuthorisedLook
from common.access import Granted, Principal, Proof, grant
from hubformats.ids import uuid7
from referral.cases.model import authority
from sharing.cases.model import AuthorisedCase, CaseFile, Relation, authorised_case
from sharing.disclosures.model.disclosure import (
    AuthorisedDisclosure,
    Disclosure,
    authorised_disclosure,
)
from sharing.inbox.model import AuthorisedDelivery, authorised_delivery
from tests.support.audit_looks import look

CASE = CaseFile(uuid7(), 1, "a", (), {})
WHO = Principal("i", "a", "a", "system", "a", scopes=frozenset({"case.read"}))
AT = datetime(2026, 11, 21, tzinfo=UTC)
ONE = cast(Disclosure, "a disclosure")
PROOFS: dict[type, Any] = {
    Granted: grant(WHO, scope="case.read", operation="consultation", at=AT),
    authority.AuthorisedCase: authority.authorise(uuid7(), 1, "a", authority.Relation.SENDER),
    AuthorisedCase: authorised_case(CASE, Relation.REFERRER),
    AuthorisedDisclosure: authorised_disclosure(ONE, Relation.REFERRER),
    AuthorisedDelivery: authorised_delivery("a", ONE, ()),
    AuthorisedLook: look("a"),
}
ROADS: dict[str, Callable[[Any], object]] = {
    "replace": lambda proof: replace(proof, **{fields(proof)[0].name: "another"}),
    "replace with a seal": lambda proof: replace(proof, seal=object()),
    "constructor": lambda proof: type(proof)(**values(proof), seal=object()),
    "constructor without": lambda proof: type(proof)(**values(proof)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "deepcopy inside": lambda proof: copy.deepcopy({"kept": [proof]}),
    "pickle": pickle.dumps,
    "old pickle": lambda proof: pickle.dumps(proof, protocol=0),
    "state": lambda proof: proof.__getstate__(),
    "restore": lambda proof: proof.__setstate__(list(values(proof).values())),
    "subclass": lambda proof: type("Open", (type(proof),), {"__post_init__": lambda *_: None}),
    "mixed in": lambda proof: type("Open", (Mixin, type(proof)), {}),
}
"""Each must raise. `replace` without the seal is a ValueError of dataclasses."""


class Mixin:
    """Something else to inherit from."""

    __slots__ = ()


def values(proof: Any) -> dict[str, Any]:
    """Give the fields of a proof."""
    return {each.name: getattr(proof, each.name) for each in fields(proof)}


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("kind", PROOFS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_proof_is_made_of_another(kind: type, road: str) -> None:
    proof = PROOFS[kind]
    before = values(proof)
    with pytest.raises((TypeError, ValueError)):
        ROADS[road](proof)
    assert values(proof) == before
    assert not hasattr(proof, "seal"), "who holds a proof holds no seal"
    assert not hasattr(proof, "__dict__")


def test_every_proof_is_tried() -> None:
    known = {kind for kind in Proof.__subclasses__() if kind.__module__ != __name__}
    assert {(kind.__module__, kind.__name__) for kind in known} == {
        (kind.__module__, kind.__name__) for kind in PROOFS
    }


def test_a_dataclass_with_slots_is_no_second_proof() -> None:
    """The decorator makes the class anew, from the same bases."""

    @dataclass(frozen=True, slots=True)
    class Local(Proof):
        part: int

    with pytest.raises(TypeError, match="no subclasses"):

        @dataclass(frozen=True, slots=True)
        class Wider(Local):
            pass

    with pytest.raises(TypeError, match="Local"):
        copy.copy(Local(1))
