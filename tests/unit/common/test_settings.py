"""Settings: complete, strict, and silent about values."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from common.settings import Settings, SettingsError

SECRET = "Zebedee-Quill"
GOOD = {
    "HUB_SERVICE_URL": "https://hub.example.org/referral/",
    "HUB_ISSUER": "https://hub.example.org/identity",
    "HUB_DATABASE_URL": "postgresql+psycopg://referral@db/referral",
    "HUB_KEYRING_DIR": "/keys",
    "HUB_BOOTSTRAP_FILE": "/boot/bootstrap.json",
    "HUB_DATA_DIR": "/data",
    "HUB_REFERRAL_URL": "https://hub.example.org/referral",
    "HUB_SHARING_URL": "https://hub.example.org/sharing",
    "HUB_AUDIT_URL": "https://hub.example.org/audit",
    "HUB_IDENTITY_URL": "https://hub.example.org/identity",
}
KAFKA = {
    "HUB_BUS": "kafka",
    "HUB_KAFKA_BOOTSTRAP": "broker:9092",
    "HUB_KAFKA_USER": "svc",
    "HUB_KAFKA_PASSWORD": SECRET,
}


def test_defaults_and_cleaning() -> None:
    made = Settings.from_env(GOOD)
    assert made.service_url == "https://hub.example.org/referral", (
        "the trailing slash would break audience comparison"
    )
    assert (made.bus, made.host, made.port, made.demo, made.delivery_spread_ms) == (
        "embedded",
        "127.0.0.1",
        8000,
        False,
        250,
    )
    assert made.keyring_dir == Path("/keys")


def test_everything_can_be_set() -> None:
    more = {
        "HUB_PORT": "8101",
        "HUB_HOST": "127.0.0.2",
        "HUB_DEMO": "1",
        "HUB_DELIVERY_SPREAD_MS": "0",
        "HUB_TRACE_RATIO": "0.5",
        "HUB_OTLP_ENDPOINT": "http://collector:4318",
        "HUB_PORTAL_URL": "https://hub.example.org",
        "HUB_SPAN_FILE": "spans.jsonl",
    }
    made = Settings.from_env({**GOOD, **KAFKA, **more})
    assert (made.port, made.demo, made.delivery_spread_ms, made.trace_ratio, made.bus) == (
        8101,
        True,
        0,
        0.5,
        "kafka",
    )
    assert made.otlp_endpoint == "http://collector:4318"


@pytest.mark.parametrize("name", GOOD)
def test_a_missing_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({key: value for key, value in GOOD.items() if key != name})
    assert str(refused.value) == f"{name} must be set"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HUB_SERVICE_URL", f"ftp://{SECRET}"),
        ("HUB_SERVICE_URL", f"https://user:{SECRET}@hub.example.org"),
        ("HUB_SERVICE_URL", f"https://hub.example.org/?{SECRET}"),
        ("HUB_SERVICE_URL", f"https://[{SECRET}"),
        ("HUB_ISSUER", SECRET),
        ("HUB_DATABASE_URL", f"mysql://root:{SECRET}@db"),
        ("HUB_BUS", SECRET),
        ("HUB_PORT", SECRET),
        ("HUB_PORT", "0"),
        ("HUB_PORT", "70000"),
        ("HUB_PORT", "٨٠"),
        ("HUB_DEMO", SECRET),
        ("HUB_TRACE_RATIO", SECRET),
        ("HUB_TRACE_RATIO", "nan"),
        ("HUB_TRACE_RATIO", "1.1"),
        ("HUB_DELIVERY_SPREAD_MS", "-1"),
    ],
)
def test_a_bad_value_is_an_error_that_names_the_variable_and_never_the_value(
    name: str, value: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({**GOOD, name: value})
    assert refused.value.variable == name
    assert str(refused.value).startswith(f"{name} must be ")
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("name", ["HUB_KAFKA_BOOTSTRAP", "HUB_KAFKA_USER", "HUB_KAFKA_PASSWORD"])
def test_kafka_needs_its_three(name: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_env({**GOOD, **KAFKA, name: ""})


def test_a_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    place = tmp_path / "password"
    place.write_text(f"{SECRET}\n")
    from_file = {**GOOD, **KAFKA, "HUB_KAFKA_PASSWORD": "", "HUB_KAFKA_PASSWORD_FILE": str(place)}
    assert Settings.from_env(from_file).kafka_password == SECRET
    with pytest.raises(SettingsError, match="HUB_KAFKA_PASSWORD_FILE must be unset"):
        Settings.from_env({**from_file, "HUB_KAFKA_PASSWORD": "x"})
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({**from_file, "HUB_KAFKA_PASSWORD_FILE": str(tmp_path / SECRET)})
    assert SECRET not in str(refused.value)


def test_secrets_stay_out_of_repr_and_nothing_can_be_changed() -> None:
    made = Settings.from_env(
        {
            **GOOD,
            **KAFKA,
            "HUB_KEYRING_PASSPHRASE": SECRET,
            "HUB_DATABASE_URL": f"postgresql+psycopg://r:{SECRET}@db/r",
        }
    )
    assert SECRET not in repr(made)
    with pytest.raises(ValidationError):
        made.port = 1  # type: ignore[misc]
    assert made.with_(port=9).port == 9


def test_an_unknown_variable_is_refused_by_name() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_env({**GOOD, "HUB_PROT": SECRET})
    assert str(refused.value) == "HUB_PROT must be left out: no such setting is known"
    with pytest.raises(SettingsError, match="HUB_ISSUER_FILE"):
        Settings.from_env({**GOOD, "HUB_ISSUER_FILE": "/x"})
    Settings.from_env({**GOOD, "HUB_DIR": ".run", "HUBERT": "1"})


def test_a_change_is_checked_like_the_first_value() -> None:
    made = Settings.from_env(GOOD)
    with pytest.raises(SettingsError, match="HUB_PORT must be less than"):
        made.with_(port=70_000)
    with pytest.raises(SettingsError):
        made.with_(prot=1)


def test_only_from_env_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_PORT", "9999")
    assert Settings.from_env(GOOD).port == 8000
