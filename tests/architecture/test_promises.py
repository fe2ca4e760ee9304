"""docs/promises.md names tests that exist, for every item, every input and every FAPI module."""

import ast
import re
from functools import cache
from pathlib import Path

from tests.architecture import tree

PAGE = (tree.ROOT / "docs/promises.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "`tests/" in line]
MODULES = {
    "PAREndpointAsAudienceFails",
    "PAREndpointAsArrayAudienceFails",
    "TokenEndpointAsAudienceFails",
    "SignedClientAssertionWithRS256Fails",
    "ClientAssertionWithNoSubFails",
    "ClientAssertionWithExpIs5MinutesInPastFails",
    "IatNbf8SecondsInTheFutureIsAccepted",
    "IatNbfOver60SecondsInTheFutureFails",
    "PARAttemptReuseRequestUri",
    "PARAttemptToUseExpiredRequestUri",
    "RequestUriIsBoundToClient",
    "AcceptsReusedRequestUriBeforeAuthenticationCompletion",
    "PlainPKCERejected",
    "PKCERequired",
    "PARRejectInvalidHttpVerb",
    "PARRejectRequestUriInParAuthorizationRequest",
    "ParWithoutDuplicateParameters",
    "AuthorizationCodeIsBoundToClient",
    "AttemptReuseAuthorizationCodeAfterOneSecond",
    "AttemptToUseExpiredAuthCode",
    "DpopNegativeTests",
    "CheckDpopProofNbfExp",
    "DpopProofWithIat10SecondsBeforeSucceeds",
    "DpopProofWithIat10SecondsAfterSucceeds",
    "MismatchedDpopJktFails",
    "TokenEndpointFailsWithMismatchedDpopProofJkt",
    "DpopAuthCodeBindingSuccess",
    "HolderOfKeyRequired",
    "AccessTokenTypeHeaderCaseSensitivity",
    "ResponseTypeTokenFails",
    "LongState",
    "WithoutStateSuccess",
}
"""Server modules of the OpenID conformance suite (security reference, 8.2)."""


@cache
def functions_of(path: str) -> frozenset[str]:
    """The test functions of a file; none of a file that is not there."""
    if not (tree.ROOT / path).is_file():
        return frozenset()
    return frozenset(
        node.name
        for node in ast.walk(tree.parsed(Path(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def named(row: str) -> list[tuple[str, str]]:
    """The tests that a row names: file and function."""
    return re.findall(r"`(tests/[\w/.]+\.py)::(\w+)`", row)


def test_every_named_test_exists() -> None:
    assert len(ROWS) > 50
    gone = [
        f"{file}::{name}"
        for row in ROWS
        for file, name in named(row)
        if name not in functions_of(file)
    ]
    assert not gone
    assert not [row for row in ROWS if not named(row)]


def test_an_attack_in_one_mode_has_its_reason() -> None:
    """Every other one runs in both: it is marked so, or takes each kind of database."""
    part = PAGE.partition("## Attacks in one mode")[2].partition("\n## ")[0]
    told = set(re.findall(r"`(test_\w+\.py)`", part))
    both = {
        file.name
        for file in (tree.ROOT / "tests/attacks").glob("test_*.py")
        if "mark.both_modes" in (said := file.read_text("utf-8")) or "database_url" in said
    }
    files = {file.name for file in (tree.ROOT / "tests/attacks").glob("test_*.py")}
    assert told == files - both


def test_every_item_has_its_row() -> None:
    items = {cells[0].strip() for row in ROWS if len(cells := row.strip("| ").split("|")) == 3}
    assert {str(number) for number in range(1, 17)} <= items


def test_every_module_has_its_row() -> None:
    told = {cells[0].strip() for row in ROWS if len(cells := row.strip("| ").split("|")) == 2}
    assert told >= MODULES
