"""What standalone decides for each service, and what it says of a setting it cannot use."""

import socket
from pathlib import Path

import pytest

from common.settings import SettingsError
from hubformats.bootstrap import FILE_NAME, OPERATOR_FILE, SERVICES
from identity.bootstrap.use_cases.create import create
from standalone import __main__ as program
from standalone.hub import ORDER, Place, settings_for


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, "http://127.0.0.1:8123")


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_has_its_own_database_keys_and_folder(place: Place, service: str) -> None:
    made = settings_for(service, place)
    assert made.database_url == f"sqlite:///{place.folder / service / service}.db"
    assert made.data_dir == place.folder / service
    assert made.keyring_dir == place.folder / "keyring" / service
    assert made.bootstrap_file == place.folder
    assert made.demo


def test_nothing_is_shared_but_bootstrap_and_addresses(place: Place) -> None:
    for name in ("database_url", "keyring_dir", "data_dir", "service_url"):
        assert len(
            {str(getattr(settings_for(service, place), name)) for service in SERVICES}
        ) == len(SERVICES), name


@pytest.mark.parametrize("service", SERVICES)
def test_everybody_knows_everybodys_address(place: Place, service: str) -> None:
    made = settings_for(service, place)
    assert made.issuer == made.identity_url == "http://127.0.0.1:8123/identity"
    assert made.portal_url == "http://127.0.0.1:8123"
    assert (made.referral_url, made.sharing_url, made.audit_url) == tuple(
        f"http://127.0.0.1:8123/{name}" for name in ("referral", "sharing", "audit")
    )
    assert made.service_url == place.url(service)


def test_what_was_set_outside_stays_unless_standalone_decides_it(place: Place) -> None:
    base = settings_for("portal", place).with_(delivery_spread_ms=7, demo=False)
    made = settings_for("sharing", place, base)
    assert made.data_dir == place.folder / "sharing"
    assert made.delivery_spread_ms == 7
    assert made.demo, "a standalone hub is a demonstration, whatever was set outside"


def test_every_service_is_started_and_audit_stops_last() -> None:
    assert sorted(ORDER) == sorted(SERVICES)
    assert ORDER[0] == "audit"


@pytest.mark.parametrize("port", ["0", "65536", "-1", "80a", "eight", " 80", "8000.0", "²"])
def test_a_port_that_is_none(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(SettingsError) as caught:
        program._port()
    assert "PORT" in str(caught.value)
    assert "1 to 65535" in str(caught.value)


@pytest.mark.parametrize(
    ("port", "number"), [("1", 1), ("8123", 8123), ("65535", 65535), ("", 8000)]
)
def test_a_port(monkeypatch: pytest.MonkeyPatch, port: str, number: int) -> None:
    monkeypatch.setenv("PORT", port)
    assert program._port() == number


def test_a_bad_port_ends_the_program_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PORT", "eight")
    monkeypatch.setenv("HUB_DIR", str(tmp_path))
    with pytest.raises(SystemExit) as left:
        program.main()
    assert left.value.code == 2
    said = capsys.readouterr().err
    assert said == "The hub did not start: PORT must be a number from 1 to 65535.\n"
    assert not list(tmp_path.iterdir()), "nothing was made for a hub that cannot start"


@pytest.mark.parametrize(
    ("damaged", "sentence"),
    [
        (FILE_NAME, "the bootstrap file in {} is refused (bootstrap-malformed)"),
        (OPERATOR_FILE, "beside {}, operator.jwk, is refused (operator-key-malformed)"),
    ],
)
def test_a_damaged_bootstrap_ends_the_program_with_status_3_and_names_its_file(
    damaged: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as once:
        port = once.getsockname()[1]
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("HUB_DIR", str(tmp_path))
    create(tmp_path, dict.fromkeys(SERVICES, "http://127.0.0.1:1"))
    (tmp_path / damaged).write_bytes(b"{}")
    with pytest.raises(SystemExit) as left:
        program.main()
    assert left.value.code == 3
    [said] = [line for line in capsys.readouterr().err.splitlines() if "did not start" in line]
    assert sentence.format(tmp_path) in said
