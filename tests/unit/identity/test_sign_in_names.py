"""The sign-in pages: no name turns a word round, and each refusal says what to do in plain words."""

import pytest
from fastapi import Request

from common.problems import Problem
from identity.bootstrap.model.northmoor import PEOPLE
from identity.people.routes import _page, error_page


def test_hidden_characters_in_a_name_are_written_out() -> None:
    forged = PEOPLE[0].model_copy(update={"name": "Amina\u202e\x1b[2J Yusuf"})
    facts = {
        "open": True,
        "action": "/authorize",
        "client_id": "portal",
        "request_uri": "urn:x",
        "people": [forged],
    }
    text = bytes(_page("sign_in.html", 200, facts).body).decode()
    assert "<bdi>Amina⟨U+202E⟩⟨U+001B⟩[2J Yusuf</bdi>" in text
    assert "\u202e" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("problem", "heading", "words"),
    [
        (Problem("rate-limited", headers={"Retry-After": "7"}), "Wait a moment", "Wait 7 seconds"),
        (Problem("rate-limited"), "Wait a moment", "Wait 60 seconds"),
        (Problem("paused"), "You cannot sign in now", "it is not your fault"),
        (Problem("validation-failed"), "Start signing in again", "start again"),
    ],
)
async def test_each_refusal_is_a_page_that_says_what_to_do(
    problem: Problem, heading: str, words: str
) -> None:
    request = Request({"type": "http", "path": "/authorize", "headers": []})
    page = await error_page(request, problem)
    assert page is not None
    text = bytes(page.body).decode()
    assert page.status_code == problem.status
    assert f"<h1>{heading}</h1>" in text
    assert words in text
    if problem.status >= 429:
        assert "Nothing is lost." in text
        assert "01632 960000, any hour" in text
        assert "call 999" in text
    assert await error_page(Request({"type": "http", "path": "/token"}), problem) is None
