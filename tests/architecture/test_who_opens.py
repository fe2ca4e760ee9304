"""Proofs of authority in sharing: only lookups by relation make them."""

import ast
from pathlib import Path

import pytest

from tests.architecture.test_who_grants import ROADS, ROOT, planted, users

SHARING = "services/sharing/src/sharing"
MAKERS = {
    "sharing.cases.model.authorised_case": {
        f"{SHARING}/cases/repository.py",
        f"{SHARING}/decisions/repository.py",
    },
    "sharing.disclosures.model.disclosure.authorised_disclosure": {
        f"{SHARING}/disclosures/repository/disclosures.py"
    },
    "sharing.inbox.model.authorised_delivery": {f"{SHARING}/inbox/repository.py"},
}
OPENS = {
    "cases": {"snapshot": "AuthorisedCase"},
    "decisions": {"snapshot": "AuthorisedCase"},
    "disclosures": {"evidence": "AuthorisedDisclosure"},
}
OPENERS = {
    "cases": "cases/repository.py",
    "decisions": "decisions/repository.py",
    "disclosures": "disclosures/repository/disclosures.py",
}


@pytest.mark.parametrize("maker", MAKERS)
def test_only_a_repository_makes_the_proof(maker: str) -> None:
    assert users(maker) == MAKERS[maker]


@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize("maker", MAKERS)
def test_every_road_to_a_maker_is_seen(tmp_path: Path, maker: str, road: str) -> None:
    assert planted(tmp_path, maker, road) == {"allowed.py", "bad.py"}


@pytest.mark.parametrize("folder", OPENS)
def test_what_opens_content_takes_the_proof_and_nothing_else(folder: str) -> None:
    tree = ast.parse((ROOT / SHARING / OPENERS[folder]).read_text("utf-8"))
    opening = {
        function.name: [
            ast.unparse(each.annotation) for each in function.args.args[1:] if each.annotation
        ]
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr == "open"
    }
    assert opening == {name: [proof] for name, proof in OPENS[folder].items()}
