"""Nothing of a case opens without a proof, and a proof is made by a lookup alone."""

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

from hubformats.ids import uuid7
from referral.cases.model.authority import (
    ALLOWED,
    AuthorisedCase,
    NotAllowed,
    Opens,
    Relation,
    authorise,
)
from tests.architecture import tree
from tests.architecture.reach import Sources
from tests.architecture.test_who_grants import ROADS, planted

MAKER = "referral.cases.model.authority.authorise"
MAKERS = {
    "services/referral/src/referral/cases/repository/cases.py",
    "services/referral/src/referral/cases/repository/referrals.py",
    "services/referral/src/referral/cases/repository/views.py",
    "tests/support/referral_fakes.py",
    "tests/unit/common/test_proofs.py",
    "tests/unit/referral/test_authority.py",
}


@pytest.mark.parametrize("seal", [object(), None, True])
def test_a_proof_cannot_be_made_by_hand(seal: object) -> None:
    with pytest.raises(TypeError):
        AuthorisedCase(uuid7(), 1, "a", Relation.SENDER, b"", seal)


def test_a_proof_cannot_be_widened() -> None:
    proof = authorise(uuid7(), 1, "a", Relation.SERVICE)
    with pytest.raises(TypeError):
        replace(proof, seal=object())
    with pytest.raises(FrozenInstanceError):
        proof.relation = Relation.SENDER  # type: ignore[misc]


def test_only_lookups_make_proofs() -> None:
    found = Sources(tree.ROOT, tree.python_files()).users(MAKER)
    assert found == MAKERS


@pytest.mark.parametrize("road", ROADS)
def test_every_road_to_the_maker_is_seen(tmp_path: Path, road: str) -> None:
    assert planted(tmp_path, MAKER, road) == {"allowed.py", "bad.py"}


def test_each_relation_says_what_it_opens() -> None:
    assert set(ALLOWED) == set(Relation)
    for relation in Relation:
        proof = authorise(uuid7(), 1, "a", relation)
        for part in Opens:
            if part in ALLOWED[relation]:
                proof.require(part)
            else:
                with pytest.raises(NotAllowed):
                    proof.require(part)


def test_a_service_and_relations_to_come_open_no_facts() -> None:
    assert {relation for relation in Relation if Opens.REVISION in ALLOWED[relation]} == {
        Relation.SENDER,
        Relation.RECIPIENT,
        Relation.PRIVACY_OFFICER,
    }
