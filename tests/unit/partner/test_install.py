"""What an agency gets when it installs `hub-partner`: few packages, and nothing that a server
needs."""

import subprocess
import sys
from importlib.metadata import distribution, packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

MOST = 25
NOT_FOR_A_CLIENT = {
    "aiokafka",
    "aiosqlite",
    "alembic",
    "asyncpg",
    "authlib",
    "confluent-kafka",
    "django",
    "fastapi",
    "flask",
    "hub-common",
    "jinja2",
    "opentelemetry-api",
    "opentelemetry-sdk",
    "prometheus-client",
    "psycopg",
    "sqlalchemy",
    "sqlmodel",
    "starlette",
    "typer",
    "uvicorn",
}

OURS = {"common", "referral", "sharing", "audit", "identity", "portal", "standalone"}
"""Installed from this folder, so no distribution lists them as its packages."""


def closure(name: str) -> set[str]:
    """Every distribution that installing `name` brings here, itself included."""
    found: set[str] = set()
    asked = [Requirement(name)]
    while asked:
        wanted = asked.pop()
        key = canonicalize_name(wanted.name)
        if key in found and not wanted.extras:
            continue
        found.add(key)
        for text in distribution(key).requires or ():
            needed = Requirement(text)
            extras = wanted.extras or {""}
            if needed.marker is None or any(
                needed.marker.evaluate({"extra": extra}) for extra in extras
            ):
                asked.append(needed)
    return found


@pytest.fixture(scope="module")
def brought() -> set[str]:
    return closure("hub-partner")


def test_an_agency_installs_a_handful_of_packages(brought: set[str]) -> None:
    assert {"hub-partner", "hub-formats"} <= brought
    assert len(brought) <= MOST, sorted(brought)


def test_none_of_them_is_for_a_server(brought: set[str]) -> None:
    assert not brought & NOT_FOR_A_CLIENT


ALONE = """
import importlib, importlib.abc, pkgutil, sys

class OnlyThese(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(name)

REFUSED = set(sys.argv[1].split(","))
sys.meta_path.insert(0, OnlyThese())
for package in ("hubformats", "hubpartner"):
    for module in pkgutil.walk_packages(importlib.import_module(package).__path__, package + "."):
        importlib.import_module(module.name)
from hubpartner.cli import app
app.main(["--version"], prog_name="hubctl")
"""


def test_everything_in_it_works_with_nothing_else_installed(brought: set[str]) -> None:
    """Whatever another distribution of this environment holds cannot be imported."""
    refused = {
        package
        for package, owners in packages_distributions().items()
        if not brought & {canonicalize_name(owner) for owner in owners}
    }
    refused |= OURS
    assert "fastapi" in refused
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, ",".join(sorted(refused))],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("hubctl ")
