"""The bootstrap folder: complete, private, kept on a second start, and refused when anybody but the
operator wrote it."""

import json
import shutil
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from common.keyring import USED, FileKeyring, KeyAbsent, KeyringLocked
from hubformats.bootstrap import (
    FILE_NAME,
    SERVICE_KEY,
    SERVICES,
    TOKEN_KEY,
    BootstrapRefused,
    read_bootstrap,
    read_key_set,
    sign_bootstrap,
    verify_bootstrap,
)
from hubformats.canonical import b64u, canonical, parse, unb64u
from hubformats.keys import (
    OpeningKey,
    StaticKeys,
    generate_signing,
    opening_from_jwk,
    signing_from_jwk,
)
from hubformats.tlog import Verifier
from identity.bootstrap.use_cases.create import create

URLS = {name: f"http://127.0.0.1:8000/{name}" for name in SERVICES} | {
    "portal": "http://127.0.0.1:8000"
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hub")
    create(path, URLS)
    return path


def test_every_private_file_is_its_owners_alone(folder: Path) -> None:
    open_files = [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    assert sorted(open_files) == ["bootstrap.json", "operator.jwk"]
    assert all(
        stat.S_IMODE(path.stat().st_mode) == 0o700 for path in folder.rglob("*") if path.is_dir()
    )


def test_a_second_start_keeps_every_byte(folder: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    create(folder, URLS)
    assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_start_that_died_before_signing_is_finished_with_the_same_keys(tmp_path: Path) -> None:
    first = create(tmp_path, URLS)
    (tmp_path / "bootstrap.json").unlink()
    (tmp_path / "demo" / "northmoor-idva.toml").unlink()
    again = create(tmp_path, URLS)
    assert {key.kid for key in first.public_keys()} == {key.kid for key in again.public_keys()}
    assert (tmp_path / "demo" / "northmoor-idva.toml").exists()


def test_other_urls_change_profiles_and_not_the_signed_file(tmp_path: Path) -> None:
    digest = create(tmp_path, URLS).digest
    moved = {name: url.replace("8000", "9000") for name, url in URLS.items()}
    assert create(tmp_path, moved).digest == digest
    assert (
        "http://127.0.0.1:9000/sharing" in (tmp_path / "demo" / "northmoor-police.toml").read_text()
    )


def test_a_profile_holds_the_keys_the_file_vouches_for(folder: Path) -> None:
    bootstrap = read_bootstrap(folder)
    keys = StaticKeys(*bootstrap.public_keys())
    for agency in bootstrap.agencies:
        profile: dict[str, Any] = tomllib.loads((folder / "demo" / f"{agency}.toml").read_text())
        signing = signing_from_jwk(profile["keys"]["signing_jwk"], agency)
        opening = [opening_from_jwk(jwk, agency) for jwk in profile["keys"]["opening_jwks"]]
        found, recipient = keys.verification(signing.kid), keys.recipient(agency)
        assert found is not None
        assert found.owner == agency
        assert recipient is not None
        assert [key.kid for key in opening] == [recipient.kid]
        assert bootstrap.clients[profile["client_id"]].keys[0]["kid"] == signing.kid
        assert profile["log_vkey"] == bootstrap.log.vkey


def test_keyrings_hold_what_the_file_says(folder: Path) -> None:
    bootstrap = read_bootstrap(folder)
    for name in SERVICES:
        keyring = FileKeyring(folder / "keyring" / name, passphrase=None, open_allowed=True)
        entry = bootstrap.services[name]
        assert keyring.signing_key(SERVICE_KEY).jwk() == entry.signing[0]
        assert [key.public().jwk() for key in keyring.opening_keys(SERVICE_KEY).values()] == list(
            entry.opening
        )
    portal = FileKeyring(folder / "keyring" / "portal", passphrase=None, open_allowed=True)
    custodial = [agency.id for agency in bootstrap.agencies.values() if agency.custodial]
    assert custodial == ["northmoor-idva", "northmoor-school"]
    for agency in custodial:
        opening: OpeningKey = next(iter(portal.opening_keys(agency).values()))
        assert opening.owner == portal.signing_key(agency).owner == agency
    identity = FileKeyring(folder / "keyring" / "identity", passphrase=None, open_allowed=True)
    assert identity.signing_key(TOKEN_KEY).kid != identity.signing_key(SERVICE_KEY).kid
    assert Verifier.parse(bootstrap.log.vkey).name == bootstrap.log.origin


def test_services_share_the_secrets_they_must_and_no_others(folder: Path) -> None:
    rings = {
        name: FileKeyring(folder / "keyring" / name, passphrase=None, open_allowed=True)
        for name in SERVICES
    }
    assert len({ring.secret("audit-index") for ring in rings.values()}) == 1
    assert rings["referral"].secret("case-reference") == rings["sharing"].secret("case-reference")
    assert rings["portal"].secret("case-reference") != rings["sharing"].secret("case-reference")


def _changed(folder: Path, change: str) -> bytes:
    outer = json.loads((folder / "bootstrap.json").read_bytes())
    payload = parse(unb64u(outer["payload"]))
    payload["area"]["name"] = change
    outer["payload"] = b64u(canonical(payload))
    return canonical(outer)


def test_a_changed_file_is_refused(folder: Path) -> None:
    kid = read_bootstrap(folder).operator.kid
    with pytest.raises(BootstrapRefused, match="bootstrap-signature-wrong"):
        verify_bootstrap(_changed(folder, "Southmoor"), kid)


def test_a_file_signed_by_its_own_embedded_key_is_refused_when_another_is_pinned(
    folder: Path,
) -> None:
    kid = read_bootstrap(folder).operator.kid
    mallory = generate_signing("operator")
    outer = json.loads((folder / "bootstrap.json").read_bytes())
    forged = sign_bootstrap({**parse(unb64u(outer["payload"])), "operator": mallory.jwk()}, mallory)
    with pytest.raises(BootstrapRefused, match="operator-key-unknown"):
        verify_bootstrap(forged, kid)
    with pytest.raises(BootstrapRefused, match="operator-key-unknown"):
        verify_bootstrap(forged, "")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b'{"payload":"","protected":"","signature":""}',
        b"\xff",
        b'{"payload":1,"protected":2,"signature":3}',
    ],
)
def test_rubbish_is_refused(raw: bytes) -> None:
    with pytest.raises(BootstrapRefused, match="bootstrap-malformed"):
        verify_bootstrap(raw, "any")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BootstrapRefused, match="bootstrap-unreadable"):
        read_bootstrap(tmp_path)


def test_a_key_set_counts_only_under_its_own_agencys_root(folder: Path) -> None:
    agencies = read_bootstrap(folder).agencies
    police, school = agencies["northmoor-police"], agencies["northmoor-school"]
    assert read_key_set(police.key_set, police.id, police.root).agency == "northmoor-police"
    with pytest.raises(BootstrapRefused, match="key-set-root-unknown"):
        read_key_set(police.key_set, police.id, school.root)
    with pytest.raises(BootstrapRefused, match="key-set-malformed"):
        read_key_set(police.key_set, "northmoor-school", police.root)


def test_a_passphrase_makes_a_file_without_demo_mode(tmp_path: Path) -> None:
    assert create(tmp_path, URLS, passphrase="correct horse battery staple").demo is False


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda hub: shutil.rmtree(hub / "keyring" / "sharing"), "keyring/sharing is lost"),
        (
            lambda hub: (hub / "keyring/portal/root.json").write_text("{"),
            "keyring/portal: .*damaged",
        ),
        (lambda hub: (hub / "keyring/operator/operator.json").write_text("{"), "operator.json is"),
        (
            lambda hub: (hub / "demo/keys/northmoor-idva.json").write_text(""),
            "idva.json is damaged",
        ),
    ],
    ids=["a-keyring", "its-root", "the-operators-key", "an-agencys-keys"],
)
def test_what_is_lost_or_damaged_is_named_and_never_made_anew(
    folder: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    hub = tmp_path / "hub"
    shutil.copytree(folder, hub)
    spoil(hub)
    before = {path for path in hub.rglob("*") if path.is_file()}
    with pytest.raises(KeyringLocked, match=said):
        create(hub, URLS)
    assert {path for path in hub.rglob("*") if path.is_file()} == before


def test_a_lost_bootstrap_file_is_not_made_anew_beside_a_used_keyring(
    folder: Path, tmp_path: Path
) -> None:
    hub = tmp_path / "hub"
    shutil.copytree(folder, hub)
    (hub / FILE_NAME).unlink()
    ring = FileKeyring(hub / "keyring" / "audit", passphrase=None, open_allowed=True)
    ring.put_secret(USED, bytes(32))
    with pytest.raises(BootstrapRefused, match="bootstrap-lost"):
        create(hub, URLS)
    assert not (hub / FILE_NAME).exists()


def test_a_lost_service_key_stays_lost(folder: Path, tmp_path: Path) -> None:
    """The signed file names the old one: a new one would be believed by nobody."""
    hub = tmp_path / "hub"
    shutil.copytree(folder, hub)
    (hub / "keyring" / "referral" / f"signing.{SERVICE_KEY}").unlink()
    create(hub, URLS)
    ring = FileKeyring(hub / "keyring" / "referral", passphrase=None, open_allowed=True)
    with pytest.raises(KeyAbsent):
        ring.signing_key(SERVICE_KEY)
