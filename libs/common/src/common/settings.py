"""Settings of a process, read once from HUB_* variables. A bad one is an error that names the
variable, never its value."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)


class StartRefused(Exception):
    """What is stored does not let the service start; the text names the place and what to do.

    The process ends with `status`: docs/starting.md.
    """

    status = 3


class SettingsError(Exception):
    """A variable is missing or unusable.

    The message names the variable and what is wanted; it never shows the value.
    """

    def __init__(self, variable: str, wanted: str) -> None:
        """`wanted` completes the sentence "VARIABLE must be …"."""
        super().__init__(f"{variable} must be {wanted}")
        self.variable = variable


def _url(text: str) -> str:
    # Kept as text: a URL type would add a slash, and issuer, audience and `htu` are compared.
    try:
        parts = urlsplit(text)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname)
        fine = fine and not parts.query and not parts.fragment and parts.username is None
        fine = fine and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine:
        raise ValueError("an http or https URL without query, fragment or user name")
    return text.rstrip("/")


def _database(text: str) -> str:
    if not text.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ValueError("a URL that starts with sqlite:/// or postgresql+psycopg://")
    return text


_Url = Annotated[str, AfterValidator(_url)]


class Settings(BaseSettings):
    """All a service needs to know about where it runs. Secrets are kept out of `repr`."""

    model_config = SettingsConfigDict(
        env_prefix="HUB_",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
        allow_inf_nan=False,
    )

    service_url: _Url
    """This service's own base URL: token audience and the prefix of DPoP `htu`."""
    issuer: _Url
    database_url: Annotated[str, AfterValidator(_database)] = Field(repr=False)
    keyring_dir: Path
    bootstrap_file: Path
    data_dir: Path
    bus: Literal["kafka", "embedded"] = "embedded"
    kafka_bootstrap: str = ""
    kafka_user: str = ""
    kafka_password: str = Field(default="", repr=False)
    kafka_doorkeeper_password: str = Field(default="", repr=False)
    """Identity's alone: it closes suspended agencies' topics."""
    kafka_ca_file: Path | None = None
    """PEM certificates that may vouch for the brokers; with it the connection is TLS."""
    operator_kid: str | None = None
    """RFC 7638 thumbprint of the operator's key, pinned; only demo mode may do without."""
    keyring_passphrase: str | None = Field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=1, le=65535)
    connections: int = Field(default=2000, ge=10)
    """Most open connections; fewer when the process may not open so many files."""
    connections_per_peer: int = Field(default=500, ge=5)
    """Most from one address. Behind a proxy, which is one address, set it like `connections`."""
    demo: bool = False
    referral_url: _Url = ""
    sharing_url: _Url = ""
    audit_url: _Url = ""
    identity_url: _Url = ""
    portal_url: _Url = ""
    otlp_endpoint: _Url | None = None
    span_file: Path | None = None
    """Finished spans as JSON lines, so that a test can search them."""
    trace_ratio: float = Field(default=0.05, ge=0, le=1)
    delivery_spread_ms: int = Field(default=250, ge=0, le=60_000)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read HUB_* variables; a secret may instead lie in the file that VARIABLE_FILE names.

        Raises SettingsError, also for a HUB_* name that nobody reads.
        """
        source = EnvSettingsSource(cls, env_ignore_empty=True)
        source.env_vars = {name.lower(): text for name, text in _given(environ).items()}
        try:
            made = cls(**source())
        except ValidationError as error:
            raise _named(error) from None
        needed = ["referral_url", "sharing_url", "audit_url", "identity_url"]
        kafka = ["kafka_bootstrap", "kafka_user", "kafka_password"] if made.bus == "kafka" else []
        for name in (*needed, *kafka):
            if not getattr(made, name):
                wanted = "set when HUB_BUS is kafka" if name in kafka else "set"
                raise SettingsError(f"HUB_{name.upper()}", wanted)
        return made

    def with_(self, **changes: object) -> "Settings":
        """Make a copy with some fields changed, for several services in one process.

        Raises SettingsError.
        """
        values: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set}
        try:
            return type(self)(**(values | changes))
        except ValidationError as error:
            raise _named(error) from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what the constructor is given, nothing else: `from_env` alone reads variables."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


def passphrase_of(environ: Mapping[str, str]) -> str | None:
    """Read HUB_KEYRING_PASSPHRASE or its _FILE, for a command that needs no other setting.

    Raises SettingsError, also for a HUB_* name that nobody reads.
    """
    return _given(environ).get("HUB_KEYRING_PASSPHRASE")


def _variables(*names: str, end: str = "") -> frozenset[str]:
    return frozenset(f"HUB_{name}{end}" for name in names)


_SECRET_NAMES: Final = (
    "DATABASE_URL",
    "KEYRING_PASSPHRASE",
    "KAFKA_PASSWORD",
    "KAFKA_DOORKEEPER_PASSWORD",
    "OPERATOR_KID",  # no secret, but set-up hands it over in a file, apart from what it pins
)
_SECRETS: Final = _variables(*_SECRET_NAMES)
_FIELDS: Final = _variables(*(name.upper() for name in Settings.model_fields))
_KNOWN: Final = _FIELDS | _variables(*_SECRET_NAMES, end="_FILE")
_OF_THE_TOOLS: Final = _variables(
    *("DIR", "TOOLS_DIR", "SETUP", "SETUP_DIR"),
    *("TEST_BUILD", "TEST_STACK", "CRASH_AT", "CLOCK_FILE", "KILL_SEED"),
)
"""Read by make, deploy and the tests, which start services with them in the environment."""


def _given(environ: Mapping[str, str]) -> dict[str, str]:
    """Read the variables set, those of secrets also from their files. Raises SettingsError."""
    given = {
        name: text.strip()
        for name, text in environ.items()
        if name.startswith("HUB_") and text.strip()
    }
    # Pydantic ignores a variable that is no field, and a slip of the pen with it.
    for name in sorted(given.keys() - _KNOWN - _OF_THE_TOOLS):
        raise SettingsError(name, "left out: no such setting is known")
    for secret in _SECRETS:
        place = given.get(f"{secret}_FILE")
        if place is None:
            continue
        if secret in given:
            raise SettingsError(f"{secret}_FILE", f"unset when {secret} is set")
        try:
            given[secret] = Path(place).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            # The system's message would show the path, which is a value too.
            raise SettingsError(f"{secret}_FILE", "the path of a readable text file") from None
    return given


def _named(error: ValidationError) -> SettingsError:
    """Name the first thing wrong, without the value."""
    [first, *_] = error.errors(include_input=False, include_url=False, include_context=False)
    wanted = first["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    missing = first["type"] == "missing"
    return SettingsError(f"HUB_{str(first['loc'][0]).upper()}", "set" if missing else wanted)
