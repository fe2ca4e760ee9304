"""Promises about the tree as a whole: nothing of this machine in it, versions locked, the README
true."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.architecture import tree
from tests.support import scheduling

# Written in two pieces so that this file does not find itself.
REGISTRY_HOSTS = [
    "py" + "pi.org",
    "python" + "hosted.org",
    "registry." + "npmjs",
    "npm" + "js.org",
    "repo.maven." + "apache",
    "maven." + "org",
    "proxy." + "golang",
    "sum." + "golang",
    "artifact" + "ory",
    "nexus" + ".",
    "dl.google" + "apis",
]
# A person's home, or the place this very clone lies in; `/work/referral` in a test is a URL's path
# and nobody's folder.
PLACES = [
    "/(?:home|root|Users)/[\\w.-]+",
    *([re.escape(str(tree.ROOT))] if len(tree.ROOT.parts) > 2 else []),
]
MACHINE_PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(PLACES)})(?![\w-])")
LOCKS = sorted(
    path for path in tree.files() if path.parts[0] == "requirements" and path.suffix == ".txt"
)


def test_no_registry_is_named() -> None:
    found = [
        f"{path}: {host}"
        for path in tree.files()
        if (text := tree.text(path))
        for host in REGISTRY_HOSTS
        if host in text
    ]
    assert not found, "registries are the reader's choice; a lock holds hashes, not addresses"


def test_no_path_of_one_machine() -> None:
    found = [
        f"{path}: {hit}"
        for path in tree.files()
        if (text := tree.text(path))
        for hit in MACHINE_PATH.findall(text)
    ]
    assert not found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_version_is_locked_with_a_hash(lock: Path) -> None:
    text = (tree.ROOT / lock).read_text()
    assert "index-url" not in text
    blocks = re.split(r"(?m)^(?=[a-z0-9])", text)
    pins = [block for block in blocks if re.match(r"[a-z0-9]", block)]
    assert pins
    assert not [
        block.split()[0]
        for block in pins
        if not re.match(r"[\w.\[\]-]+==[^\s;]+", block) or "--hash=sha256:" not in block
    ]


def test_locks_agree_with_each_other() -> None:
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, version, marker in re.findall(
            r"(?m)^([\w.-]+)==([^\s;]+)(?: ; (.*?))? \\$", (tree.ROOT / lock).read_text()
        ):
            versions.setdefault(f"{name} {marker}", set()).add(version)
    assert not {name: found for name, found in versions.items() if len(found) > 1}


def test_the_npm_lock_has_integrity_and_no_addresses() -> None:
    lock = (tree.ROOT / "tests" / "interop-node" / "package-lock.json").read_text()
    assert '"resolved"' not in lock
    assert lock.count('"integrity"') == lock.count('"node_modules/')


def test_every_make_target_named_in_the_documentation_exists() -> None:
    targets = set(re.findall(r"(?m)^([a-z][a-z-]*):", (tree.ROOT / "Makefile").read_text()))
    named = {
        target
        for path in tree.files()
        if path.suffix == ".md"
        for target in re.findall(
            r"`make ([a-z][a-z-]*)|^make ([a-z][a-z-]*)",
            (tree.ROOT / path).read_text(),
            re.MULTILINE,
        )
        for target in target
        if target
    }
    assert named <= targets


def test_every_member_is_in_the_workspace_and_named_alike() -> None:
    for pyproject in (
        path for path in tree.files() if path.name == "pyproject.toml" and len(path.parts) > 1
    ):
        member = tomllib.loads((tree.ROOT / pyproject).read_text())
        assert member["project"]["name"] == f"hub-{pyproject.parent.name}"
        assert member["project"]["license"] == "Apache-2.0"
        package = member["tool"]["uv"]["build-backend"]["module-name"]
        assert (tree.ROOT / pyproject.parent / "src" / package / "py.typed").exists()


def test_every_group_that_begins_first_has_tests() -> None:
    groups = {
        scheduling.group_of(tree.ROOT, str(path))
        for path in tree.python_files()
        if tree.is_test(path)
    }
    assert set(scheduling.FIRST) <= groups
