"""The catalogue of problems in docs/problems.md is exactly the registry, and every problem a document shows is in it."""

import importlib
from pathlib import Path
from typing import Final

from common import problems
from tests.support.inner_hub import inner_hub

PAGE: Final = Path(__file__).parents[2] / "docs" / "problems.md"
ANYWHERE: Final = {"406", "431", "502"}
"""Of no operation in particular: the frame answers them for whatever was asked, and a document has them under `default`."""

HEAD: Final = """# Problems

Every refusal of the hub is an RFC 9457 `application/problem+json` with these members: `type` (the addresses below under
`https://example.org/problems/`), `title`, `status`, `detail` (what to do about it), `instance`, `code`, `correlationId`, and for faulty
fields `errors`: a list of `in` (body, query, path or header), `pointer` (RFC 6901) and `detail`. Nothing you sent is repeated in it.
Give the `correlationId` to the hub's operator when you ask about one. The OpenAPI document of each service says which operation
answers with which. The OAuth endpoints of identity answer in the form of RFC 6749 section 5.2 instead.

This page is the registry in the code, held equal by `tests/contract/test_openapi_problems.py`.

| Status | Code | What it means | What to do |
|---|---|---|---|
"""


def catalogue() -> str:
    """The page as the registry has it once every service is loaded."""
    for service in ("referral", "sharing", "audit", "identity", "portal"):
        importlib.import_module(f"{service}.wiring")
    return HEAD + "".join(
        f"| {kind.status} | `{kind.code}` | {kind.title} | {kind.advice} |\n"
        for kind in problems.kinds()
        if not kind.code.startswith("test-")
    )


def test_the_catalogue_is_the_registry() -> None:
    """To renew it: `python -m tests.contract.test_openapi_problems`."""
    assert PAGE.read_text("utf-8") == catalogue()


async def test_a_status_of_the_catalogue_is_one_that_some_operation_answers(tmp_path: Path) -> None:
    async with inner_hub(tmp_path) as hub:
        documents = [(await hub.raw("GET", service, "/openapi.json")).json() for service in ("referral", "sharing", "audit", "identity")]
    answered = {status for made in documents for path in made["paths"].values() for each in path.values() for status in each["responses"]}
    promised = {str(kind.status) for kind in problems.kinds() if not kind.code.startswith("test-")}
    assert promised - answered == ANYWHERE


def test_every_problem_says_what_the_caller_can_do() -> None:
    for kind in problems.kinds():
        assert 400 <= kind.status <= 599
        assert kind.advice.endswith(".")
        assert kind.title[0].isupper()
        assert not kind.title.endswith(".")
        assert "|" not in kind.title + kind.advice


if __name__ == "__main__":
    PAGE.write_text(catalogue(), "utf-8")
