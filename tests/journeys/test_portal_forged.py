"""In a real browser, a right-to-left override in a name turns no number round."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator

from tests.support.browser import ADVOCATE, Visitor, chromium, visitor
from tests.support.portal_stage import example, running, send

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("portal"),
    pytest.mark.timeout(300),
]
NUMBER = "07700 900461"
_LEFT_EDGES = """
(node, wanted) => {
  const walker = document.createTreeWalker(node, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const at = text.data.indexOf(wanted);
    if (at < 0) continue;
    return [...wanted].map((_, place) => {
      const range = document.createRange();
      range.setStart(text, at + place);
      range.setEnd(text, at + place + 1);
      const box = range.getBoundingClientRect();
      return box.left;
    });
  }
  return [];
}
"""


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """An advocate who has the delivery of a forged urgent form open."""
    form: dict[str, Any] = {
        **example("urgent"),
        "name": f"Mari \u202e{NUMBER} esu ton od",
        "callback": {"phone": f"{NUMBER}\u202e", "note": "\u2067after nine"},
    }
    with running(tmp_path_factory.mktemp("forged")) as hub, chromium() as browser:
        send(hub, form)
        with visitor(browser, hub.url("portal")) as made:
            made.sign_in(ADVOCATE)
            made.reload_until("/work", lambda page: page.locator("tbody a").count() == 1)
            made.click("tbody a >> nth=0")
            yield made


def drawn_in_order(place: Locator, text: str) -> None:
    """Each character stands to the right of the one before."""
    edges = place.evaluate(_LEFT_EDGES, text)
    assert len(edges) == len(text)
    assert edges == sorted(edges)


def test_an_override_in_a_name_does_not_turn_a_number_round(person: Visitor) -> None:
    name = person.page.locator("dd bdi", has_text="Mari ")
    assert name.inner_text() == f"Mari ⟨U+202E⟩{NUMBER} esu ton od"
    drawn_in_order(name, NUMBER)


def test_the_pages_own_warning_reads_do_not_use_whatever_the_value_holds(person: Visitor) -> None:
    rows = person.page.locator("dd", has_text=NUMBER).filter(has_text="⟨U+202E⟩")
    assert rows.count() >= 1
    for row in rows.all():
        drawn_in_order(row, NUMBER)
    for warned in person.page.locator(".hub-warned").all():
        drawn_in_order(warned, "Do not use")
