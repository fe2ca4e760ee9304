"""A value on a page turns nothing round and writes nothing outside its place."""

import re
from pathlib import Path
from typing import Any

from hubformats.visible_text import is_plain
from tests.support.portal_harness import portal_harness
from tests.support.portal_packages import CONTENT, DELIVERY, envelope, package
from tests.unit.portal.test_emergency import PAGE, WAITING

FORGED = "\x1b[2J\u202e\u2066\u200b\u2028\x9b\U000e0041"
BIDI = "שלום 07700 900461"


def content(value: str) -> dict[str, Any]:
    """The content with this in every value that a person sent."""
    item = {"label": "Phone on record", "value": value, "quality": "fact", "about": value}
    means = [
        {"label": "Channel", "value": "phone", "quality": "fact"},
        {"label": "Number or address of this channel", "value": value, "quality": "fact"},
        {"label": "Safe to use", "value": "no", "quality": "fact"},
        {"label": "Safe days and times", "value": value, "quality": "fact"},
    ]
    safe = {
        "status": "safe",
        "doNotContact": False,
        "lastVerified": "2026-11-20",
        "safeUntil": "2036-12-20",
        "advocate": True,
        "items": [{"label": "Code word", "value": value, "quality": "fact"}],
        "means": [means],
    }
    section = {"category": "victim_phone", "label": "Phone", "clause": "NM-1", "items": [item]}
    return {**CONTENT, "safeContact": safe, "sections": [section]}


async def test_no_hidden_character_of_an_old_package_reaches_the_page(tmp_path: Path) -> None:
    async with portal_harness(envelope(package(content(f"a{FORGED}b"))), tmp_path) as harness:
        answer = await harness.get(f"/deliveries/{DELIVERY}")
    assert answer.status_code == 200
    assert is_plain(answer.text.replace("\n", "").replace("\t", ""))
    assert answer.text.count("⟨U+202E⟩") == 5, "number, times, code word, fact, whose"


async def test_every_value_stands_isolated_from_the_pages_own_words(tmp_path: Path) -> None:
    async with portal_harness(envelope(package(content(BIDI))), tmp_path) as harness:
        answer = await harness.get(f"/deliveries/{DELIVERY}")
    isolated = re.findall(r"<bdi>([^<]*)</bdi>", answer.text)
    assert answer.text.count(BIDI) == sum(text.count(BIDI) for text in isolated) == 5


async def test_a_name_in_the_label_of_a_box_is_isolated_and_escaped(tmp_path: Path) -> None:
    """The design system's macros take what people wrote only by way of `isolated`."""
    who = {"agency": "northmoor-police", "roles": ("marac_coordinator",)}
    scope = "disclosure.read sharing.request"
    name = f"{BIDI} <b>&"
    async with portal_harness(
        envelope(package()), tmp_path, **who, scope=scope, name=name
    ) as harness:
        harness.releases.without_proof = [WAITING]
        answer = await harness.get(PAGE)
    assert f"I am <bdi>{BIDI} &lt;b&gt;&amp;</bdi>. I release this in my own name" in answer.text
    isolated = re.findall(r"<bdi>([^<]*)</bdi>", answer.text)
    assert answer.text.count(BIDI) == sum(text.count(BIDI) for text in isolated) == 2
