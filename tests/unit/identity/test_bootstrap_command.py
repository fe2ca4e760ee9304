"""`python -m identity.bootstrap`: a slip in a variable is one line, and makes no open keyring."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from common.keyring import FileKeyring, KeyringLocked
from hubformats.bootstrap import (
    KEY_SET_TYPE,
    SERVICES,
    BootstrapRefused,
    read_bootstrap,
    read_key_set,
    sign_key_set,
)
from hubformats.canonical import b64u, canonical
from hubformats.keys import generate_signing
from identity.bootstrap.__main__ import main

PASSPHRASE = "correct horse battery staple"
Run = Callable[[dict[str, str]], tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run it in `hub`; gives the exit code and what stands on standard error."""

    def run(variables: dict[str, str]) -> tuple[int, str]:
        urls = json.dumps(dict.fromkeys(SERVICES, "http://127.0.0.1:8000"))
        words = ["identity.bootstrap", "--dir", str(tmp_path / "hub"), "--base-urls", urls]
        monkeypatch.setattr(sys, "argv", words)
        for name in [each for each in os.environ if each.startswith("HUB_")]:
            monkeypatch.delenv(name, raising=False)
        for name, text in variables.items():
            monkeypatch.setenv(name, text)
        return main(), capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"HUB_KEYRING_PASSFRASE": PASSPHRASE}, "HUB_KEYRING_PASSFRASE"),
        ({"HUB_KEYRING_PASSPHRASE_FILE": "/nowhere"}, "HUB_KEYRING_PASSPHRASE_FILE"),
        (
            {"HUB_KEYRING_PASSPHRASE_FILE": "/nowhere", "HUB_KEYRING_PASSPHRASE": PASSPHRASE},
            "HUB_KEYRING_PASSPHRASE_FILE",
        ),
        ({"HUB_CLOCK_FILE": "clock"}, "HUB_CLOCK_FILE"),
    ],
)
def test_an_unusable_variable_is_one_line_and_nothing_is_made(
    run: Run, tmp_path: Path, variables: dict[str, str], named: str
) -> None:
    code, said = run(variables)
    assert code == 2
    assert said.startswith(f"identity.bootstrap: {named} must be ")
    assert said.count("\n") == 1
    assert PASSPHRASE not in said
    assert not (tmp_path / "hub").exists()


def test_a_passphrase_in_a_file_locks_the_keyrings(run: Run, tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text(PASSPHRASE + "\n")
    assert run({"HUB_KEYRING_PASSPHRASE_FILE": str(tmp_path / "phrase")}) == (0, "")
    assert read_bootstrap(tmp_path / "hub").demo is False
    with pytest.raises(KeyringLocked):
        FileKeyring(tmp_path / "hub" / "keyring" / "audit", passphrase=None, open_allowed=True)
    code, said = run({"HUB_KEYRING_PASSPHRASE": "another one"})
    assert code == 2
    assert said.startswith("identity.bootstrap: this folder cannot be completed")


def test_a_key_set_has_the_bytes_it_always_had() -> None:
    """A bootstrap file of an earlier hub opens, and a new one is signed alike."""
    root, other = generate_signing("northmoor-police"), generate_signing("northmoor-police")
    protected = b64u(canonical({"alg": "ES256", "kid": root.kid, "typ": KEY_SET_TYPE}))
    body = b64u(canonical({"agency": root.owner, "iat": 7, "keys": [other.jwk()]}))
    signature = b64u(root.sign(f"{protected}.{body}".encode()))
    old = f"{protected}.{body}.{signature}"
    assert sign_key_set(root.owner, (other.jwk(),), root, 7) == old
    assert read_key_set(old, root.owner, root.jwk()).issued == 7
    for cut in ("", "a.b", old[:-9], f"{old}.", old.replace(".", "..")):
        with pytest.raises(BootstrapRefused, match="key-set-malformed"):
            read_key_set(cut, root.owner, root.jwk())
