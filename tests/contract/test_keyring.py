"""The Keyring port's promises, run on every adapter; an adapter joins by adding its factory to
ADAPTERS."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from common.keyring import FileKeyring, KeyAbsent, Keyring, KeyringRefused
from hubformats.keys import generate_opening, generate_signing
from tests.support.keyring_fakes import Kept, MemoryKeyring
from tests.support.port_suites import Held

PORTS: Final = (Held(Keyring, (FileKeyring,), MemoryKeyring),)

PASSPHRASE = "correct horse battery staple"


def locked(folder: Path) -> Keyring:
    """Files under a passphrase."""
    return FileKeyring(folder, passphrase=PASSPHRASE)


def open_for_demonstration(folder: Path) -> Keyring:
    """Files without one."""
    return FileKeyring(folder, passphrase=None, open_allowed=True)


def in_memory(folder: Path) -> Keyring:
    """The fake; one folder is one memory."""
    return MemoryKeyring(_MEMORY.setdefault(folder, Kept()))


_MEMORY: dict[Path, Kept] = {}
ON_DISK = [locked, open_for_demonstration]
ADAPTERS = [*ON_DISK, in_memory]
DEK = bytes(range(32))

Opener = Callable[[], Keyring]


@pytest.fixture(params=ADAPTERS, ids=lambda adapter: adapter.__name__)
def another(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the one keyring of this test again, as a second process or a restart would."""
    adapter: Callable[[Path], Keyring] = request.param
    return lambda: adapter(tmp_path / "keyring")


@pytest.fixture
def keyring(another: Opener) -> Keyring:
    """The keyring under test, new."""
    return another()


def test_a_wrapped_key_opens_in_its_context_only(keyring: Keyring) -> None:
    blob = keyring.wrap(DEK, b"subject one")
    assert keyring.unwrap(blob, b"subject one") == DEK
    assert DEK not in blob
    for context in (b"subject two", b"", b"subject one "):
        with pytest.raises(KeyringRefused):
            keyring.unwrap(blob, context)


def test_wrapping_twice_gives_two_blobs(keyring: Keyring) -> None:
    assert keyring.wrap(DEK, b"c") != keyring.wrap(DEK, b"c")


def test_every_turned_bit_is_refused(keyring: Keyring) -> None:
    blob = keyring.wrap(DEK, b"c")
    for at in range(len(blob) * 8):
        turned = bytearray(blob)
        turned[at // 8] ^= 1 << at % 8
        with pytest.raises(KeyringRefused):
            keyring.unwrap(bytes(turned), b"c")


@pytest.mark.parametrize("blob", [b"", b"\x01", b"\x01\x00\x01", bytes(63)])
def test_what_is_no_blob_is_refused(keyring: Keyring, blob: bytes) -> None:
    with pytest.raises(KeyringRefused):
        keyring.unwrap(blob, b"c")


def test_everything_survives_a_restart(keyring: Keyring, another: Opener) -> None:
    blob, secret = keyring.wrap(DEK, b"c"), keyring.secret("blind-index")
    signing, opening = generate_signing("svc:test"), generate_opening("svc:test")
    keyring.put_signing_key("service", signing)
    keyring.put_opening_key("service", opening)
    again = another()
    assert again.unwrap(blob, b"c") == DEK
    assert again.secret("blind-index") == secret
    assert again.signing_key("service").jwk(private=True) == signing.jwk(private=True)
    assert again.signing_key("service").owner == "svc:test"
    assert {kid: key.owner for kid, key in again.opening_keys("service").items()} == {
        opening.kid: "svc:test"
    }
    assert again.kek_id == keyring.kek_id


def test_secrets_are_32_bytes_and_differ_by_name(keyring: Keyring) -> None:
    names = [
        "blind-index",
        "case-reference",
        "idempotency",
        "cursor",
        "audit-index",
        "with:colon",
        "with_underscore",
    ]
    secrets = {keyring.secret(name) for name in names}
    assert len(secrets) == len(names)
    assert {len(secret) for secret in secrets} == {32}
    assert {keyring.secret(name) for name in names} == secrets


@pytest.mark.parametrize(
    "name", ["", "../root", "UPPER", "a/b", "a.b", "é", "a" * 65, "a\n", "-a", "a=b"]
)
def test_names_that_could_reach_elsewhere_are_refused(keyring: Keyring, name: str) -> None:
    for call in (keyring.secret, keyring.signing_key, keyring.opening_keys):
        with pytest.raises(ValueError):
            call(name)


def test_what_was_never_put_is_absent(keyring: Keyring) -> None:
    with pytest.raises(KeyAbsent):
        keyring.signing_key("service")
    assert keyring.opening_keys("service") == {}
    with pytest.raises(KeyAbsent):
        keyring.destroy_opening_key("service", "unheard-of")


def test_putting_a_signing_key_again_replaces_it(keyring: Keyring) -> None:
    old, new = generate_signing("svc:test"), generate_signing("svc:test")
    keyring.put_signing_key("service", old)
    keyring.put_signing_key("service", new)
    assert keyring.signing_key("service").kid == new.kid


def test_opening_keys_add_up_and_are_destroyed_one_by_one(
    keyring: Keyring, another: Opener
) -> None:
    old, new, elsewhere = (
        generate_opening("svc:test"),
        generate_opening("svc:test"),
        generate_opening("svc:test"),
    )
    for name, key in [("service", old), ("service", new), ("service-two", elsewhere)]:
        keyring.put_opening_key(name, key)
    assert set(keyring.opening_keys("service")) == {old.kid, new.kid}
    keyring.destroy_opening_key("service", old.kid)
    for ring in (keyring, another()):
        assert set(ring.opening_keys("service")) == {new.kid}
        assert set(ring.opening_keys("service-two")) == {elsewhere.kid}


def test_rotation_keeps_old_blobs_and_wraps_under_the_new_key(
    keyring: Keyring, another: Opener
) -> None:
    first, blob = keyring.kek_id, keyring.wrap(DEK, b"c")
    second = keyring.rotate_kek()
    assert keyring.kek_id == second != first
    assert keyring.unwrap(blob, b"c") == DEK
    anew = keyring.wrap(keyring.unwrap(blob, b"c"), b"c")
    keyring.destroy_kek(first)
    for ring in (keyring, another()):
        assert ring.unwrap(anew, b"c") == DEK
        with pytest.raises(KeyringRefused):
            ring.unwrap(blob, b"c")


def test_the_current_and_unknown_key_encryption_keys_are_not_destroyed(keyring: Keyring) -> None:
    with pytest.raises(ValueError):
        keyring.destroy_kek(keyring.kek_id)
    with pytest.raises(KeyAbsent):
        keyring.destroy_kek("kek-99")
    assert keyring.unwrap(keyring.wrap(DEK, b"c"), b"c") == DEK


def test_a_second_process_follows_a_rotation_and_never_wraps_under_a_destroyed_key(
    keyring: Keyring, another: Opener
) -> None:
    other = another()
    first, blob = other.kek_id, other.wrap(DEK, b"c")
    second = keyring.rotate_kek()
    assert other.kek_id == second
    keyring.destroy_kek(first)
    with pytest.raises(KeyringRefused):
        other.unwrap(blob, b"c")
    assert another().unwrap(other.wrap(DEK, b"c"), b"c") == DEK


def _ask(folder: Path, adapter: Callable[[Path], Keyring]) -> tuple[bytes, bytes]:
    ring = adapter(folder)
    return ring.secret("blind-index"), ring.wrap(DEK, b"c")


@pytest.mark.parametrize("adapter", ON_DISK, ids=lambda adapter: adapter.__name__)
def test_processes_that_start_together_agree(
    adapter: Callable[[Path], Keyring], tmp_path: Path
) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        answers = pool.starmap(_ask, [(tmp_path / "keyring", adapter)] * 8)
    assert len({secret for secret, _ in answers}) == 1
    ring = adapter(tmp_path / "keyring")
    assert [ring.unwrap(blob, b"c") for _, blob in answers] == [DEK] * 8


def test_repr_and_errors_show_no_key_and_no_path(keyring: Keyring, tmp_path: Path) -> None:
    blob = keyring.wrap(DEK, b"Nadia Example")
    with pytest.raises(KeyringRefused) as refused:
        keyring.unwrap(blob, b"c")
    for text in (repr(keyring), str(refused.value)):
        assert str(tmp_path) not in text
        assert "Nadia" not in text


def test_a_secret_is_known_once_it_was_made_or_put(another: Opener) -> None:
    keyring = another()
    assert keyring.known("mark") is None
    keyring.put_secret("mark", DEK)
    keyring.put_secret("mark", DEK)
    made = keyring.secret("other")
    assert (another().known("mark"), another().known("other")) == (DEK, made)
    assert keyring.secret("mark") == DEK
    for value in (bytes(32), b"short"):
        with pytest.raises(ValueError, match="secret"):
            keyring.put_secret("mark", value)
