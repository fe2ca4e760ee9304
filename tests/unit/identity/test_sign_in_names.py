"""A name on the sign-in page turns no word of the page round."""

from identity.bootstrap.model.northmoor import PEOPLE
from identity.people.routes import _page


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
