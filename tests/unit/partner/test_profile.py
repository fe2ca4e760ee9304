"""A profile is refused when others may read it or when it lacks anything, and a refusal never shows
what it holds."""

import re
from pathlib import Path

import pytest

from hubpartner.profile import KafkaAccount, ProfileRefused, read_profile
from tests.support.packages import LOG, ME, Parties
from tests.support.partner_harness import profile_file


@pytest.fixture
def parties() -> Parties:
    return Parties()


@pytest.fixture
def path(tmp_path: Path, parties: Parties) -> Path:
    return profile_file(tmp_path, parties)


def change(path: Path, pattern: str, new: str) -> None:
    text, count = re.subn(pattern, lambda _: new, path.read_text(), flags=re.MULTILINE)
    assert count, "nothing was changed, so nothing would be tested"
    path.write_text(text)


def refused(path: Path, parties: Parties) -> str:
    """The refusal's words; they must hold no part of any key or name in the file."""
    with pytest.raises(ProfileRefused) as caught:
        read_profile(path)
    said = str(caught.value)
    assert caught.value.__cause__ is None
    for secret in (
        parties.signing.jwk(private=True)["d"],
        parties.opening.jwk(private=True)["d"],
        ME,
        "hub.example.org",
        str(path),
    ):
        assert secret not in said
    return said


def test_a_whole_profile_is_read(path: Path, parties: Parties) -> None:
    profile = read_profile(path)
    assert (profile.agency, profile.client_id, profile.issuer) == (
        ME,
        f"{ME}-system",
        "http://hub.example.org/identity",
    )
    assert profile.signing.kid == parties.signing.kid
    assert profile.dpop.kid == parties.dpop.kid
    assert list(profile.opening) == [parties.opening.kid]
    assert (profile.hub.kid, profile.hub.owner) == (parties.hub.kid, "svc:sharing")
    assert profile.log == LOG.verifier
    assert profile.kafka is None


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o604, 0o660, 0o610])
def test_a_profile_that_others_may_read_is_refused(path: Path, parties: Parties, bits: int) -> None:
    path.chmod(bits)
    assert "chmod 600" in refused(path, parties)


@pytest.mark.parametrize("bits", [0o600, 0o400])
def test_a_private_profile_is_read(path: Path, bits: int) -> None:
    path.chmod(bits)
    assert read_profile(path).agency == ME


def test_no_file(tmp_path: Path, parties: Parties) -> None:
    assert "no such profile file" in refused(tmp_path / "nobody.toml", parties)


@pytest.mark.parametrize(
    "content", [b"agency = ", b"\xff\xfe", b"[keys"], ids=["cut", "not-utf8", "open-table"]
)
def test_a_file_that_is_no_toml(path: Path, parties: Parties, content: bytes) -> None:
    path.write_bytes(content)
    assert "TOML" in refused(path, parties)


@pytest.mark.parametrize(
    "entry",
    [
        "agency",
        "client_id",
        "issuer",
        "referral_url",
        "sharing_url",
        "audit_url",
        "identity_url",
        "portal_url",
        "log_vkey",
        "signing_jwk",
        "dpop_jwk",
        "opening_jwks",
        "hub_signing_jwk",
    ],
)
def test_each_entry_is_needed(path: Path, parties: Parties, entry: str) -> None:
    change(path, rf"^{entry} = .*$", "")
    assert "lacks a needed entry" in refused(path, parties)


@pytest.mark.parametrize("entry", ["signing_jwk", "dpop_jwk", "hub_signing_jwk"])
def test_a_key_that_is_none(path: Path, parties: Parties, entry: str) -> None:
    change(
        path,
        rf"^{entry} = .*$",
        f'{entry} = {{ kty = "EC", crv = "P-256", x = "AA", y = "AA", d = "AA" }}',
    )
    assert refused(path, parties) == "a key in the profile is not usable"


def test_a_public_key_where_a_private_one_must_be(path: Path, parties: Parties) -> None:
    public = ", ".join(
        f'{name} = "{value}"' for name, value in parties.signing.public().jwk().items()
    )
    change(path, r"^signing_jwk = .*$", f"signing_jwk = {{ {public} }}")
    assert refused(path, parties) in {
        "a key in the profile is not usable",
        "the profile lacks a needed entry; compare it with docs/partners.md",
    }


def test_a_verifier_key_that_is_none(path: Path, parties: Parties) -> None:
    change(path, r"^log_vkey = .*$", 'log_vkey = "not+a+vkey"')
    assert refused(path, parties) == "a key in the profile is not usable"


def test_keys_that_are_no_table(path: Path, parties: Parties) -> None:
    path.write_text('agency = "northmoor-idva"\nkeys = "none"\n')
    assert "lacks a needed entry" in refused(path, parties)


def test_the_topic_account_is_read_and_its_password_never_shown(path: Path) -> None:
    change(
        path,
        r"\Z",
        '\n[kafka]\nbootstrap = "127.0.0.1:9092"\nuser = "northmoor-idva"\ntopic = "t"\npassword '
        '= "hunter2"\n',
    )
    kafka = read_profile(path).kafka
    assert kafka == KafkaAccount("127.0.0.1:9092", "northmoor-idva", "t", "hunter2")
    assert "hunter2" not in repr(kafka)
