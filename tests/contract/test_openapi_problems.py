"""The catalogue of problems in docs/problems.md is exactly the registry, and every problem a
document shows is in it."""

import importlib
import json
import re
from pathlib import Path
from typing import Any, Final

from common import problems
from tests.support.inner_hub import inner_hub

PAGE: Final = Path(__file__).parents[2] / "docs" / "problems.md"
ANYWHERE: Final = {"406", "431", "502"}
"""Of no operation in particular: the frame answers them for whatever was asked, and a document has
them under `default`.
"""

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
        documents = [
            (await hub.raw("GET", service, "/openapi.json")).json()
            for service in ("referral", "sharing", "audit", "identity")
        ]
    answered = {
        status
        for made in documents
        for path in made["paths"].values()
        for each in path.values()
        for status in each["responses"]
    }
    promised = {str(kind.status) for kind in problems.kinds() if not kind.code.startswith("test-")}
    assert promised - answered == ANYWHERE


OURS: Final = re.compile(r"design (section )?[0-9]|design section|domain reference", re.IGNORECASE)


async def test_what_a_partner_reads_needs_no_document_it_does_not_have(tmp_path: Path) -> None:
    async with inner_hub(tmp_path) as hub:
        read = {
            name: (await hub.raw("GET", name, "/openapi.json")).text
            for name in ("referral", "sharing", "audit", "identity")
        }
    read |= {
        path.name: path.read_text("utf-8")
        for path in PAGE.parent.rglob("*")
        if path.suffix in (".md", ".json")
    }
    assert {name: found[0] for name, text in read.items() if (found := OURS.search(text))} == {}


async def test_every_field_of_the_two_forms_says_what_it_asks_for(tmp_path: Path) -> None:
    async with inner_hub(tmp_path) as hub:
        schemas: dict[str, Any] = json.loads(
            (await hub.raw("GET", "referral", "/openapi.json")).text
        )["components"]["schemas"]
    reached, ahead = set(), {"FullReferral", "UrgentReferral"}
    while ahead:
        name = ahead.pop()
        reached.add(name)
        ahead |= set(re.findall(r"#/components/schemas/(\w+)", json.dumps(schemas[name]))) - reached
    assert reached >= {"Person", "SafeContact", "ContactMeans", "Callback", "RiskAnswer"}
    bare = [
        f"{name}.{field}"
        for name in reached
        for field, schema in schemas[name].get("properties", {}).items()
        if not schema.get("description", "").endswith(".")
    ]
    assert not bare


def test_every_problem_says_what_the_caller_can_do() -> None:
    for kind in problems.kinds():
        assert 400 <= kind.status <= 599
        assert kind.advice.endswith(".")
        assert kind.title[0].isupper()
        assert not kind.title.endswith(".")
        assert "|" not in kind.title + kind.advice


if __name__ == "__main__":
    PAGE.write_text(catalogue(), "utf-8")
