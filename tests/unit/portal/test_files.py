"""The files the portal serves: what the lock says, nobody's brand, nothing fetched from elsewhere,
no markup from data."""

import hashlib
import json
import re
from pathlib import Path

import pytest

import portal

HERE = Path(portal.__file__).parent
VENDOR = HERE / "static" / "vendor"
SERVED = sorted(
    path for folder in ("vendor", "own") for path in (HERE / "static" / folder).iterdir()
)
TEMPLATES = sorted(HERE.glob("*/templates/*"))


def test_vendored_files_are_what_the_lock_says() -> None:
    lock = json.loads((VENDOR / "LOCK.json").read_text("utf-8"))
    locked = {
        name: digest for package in lock.values() for name, digest in package["sha256"].items()
    }
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.suffix in {".css", ".js"}
    }
    assert found == locked
    assert all(package["integrity"].startswith("sha512-") for package in lock.values())


@pytest.mark.parametrize("file", [*SERVED, *TEMPLATES], ids=lambda path: path.name)
def test_nobodys_brand_is_used(file: Path) -> None:
    text = file.read_text("utf-8")
    assert "GDS Transport" not in text
    assert "@font-face" not in text
    for brand in ("govuk-header__logotype", "copyright-logo", "crown-copyright", "govuk-crest"):
        assert brand not in (text if file.suffix == ".html" else "")


@pytest.mark.parametrize(
    "file", [file for file in SERVED if file.suffix == ".css"], ids=lambda path: path.name
)
def test_styles_fetch_nothing_from_elsewhere(file: Path) -> None:
    assert not re.findall(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", file.read_text("utf-8"))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda path: path.name)
def test_templates_put_no_markup_from_data_and_no_inline_code(file: Path) -> None:
    text = file.read_text("utf-8")
    assert not re.search(r"[\"']?\w*[hH]tml[\"']?\s*:(?! isolated\()", text), (
        "a parameter ending in html is not escaped, but for what `isolated` made"
    )
    assert "| safe" not in text.replace("safe-", "")
    assert "|safe" not in text
    assert not re.search(r"\sstyle=|\son[a-z]+=|<script(?![^>]*src=)", text), (
        "the content policy would refuse it"
    )


def test_titles_are_neutral() -> None:
    told = " ".join(
        re.findall(
            r"{% block title %}(.*?){% endblock %}",
            " ".join(path.read_text("utf-8") for path in TEMPLATES),
        )
    )
    assert not re.search(r"abuse|idva|marac|victim|content\.", told, re.IGNORECASE)
