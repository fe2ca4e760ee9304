"""Settings of a process, read once from HUB_* variables; a bad one is an error that names the
variable, never its value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import urlsplit


class SettingsError(Exception):
    """A variable is missing or unusable.

    The message names the variable and what is wanted; it never shows the value.
    """

    def __init__(self, variable: str, wanted: str) -> None:
        """`wanted` completes the sentence "VARIABLE must be …"."""
        super().__init__(f"{variable} must be {wanted}")
        self.variable = variable


@dataclass(frozen=True, slots=True)
class Settings:
    """All a service needs to know about where it runs. Secrets are kept out of `repr`."""

    service_url: str  # this service's own base URL: token audience and the prefix of DPoP `htu`
    issuer: str
    database_url: str = field(repr=False)
    keyring_dir: Path
    bootstrap_file: Path
    data_dir: Path
    bus: Literal["kafka", "embedded"] = "embedded"
    kafka_bootstrap: str = ""
    kafka_user: str = ""
    kafka_password: str = field(default="", repr=False)
    kafka_doorkeeper_password: str = field(
        default="", repr=False
    )  # identity alone: closes suspended agencies' topics
    kafka_ca_file: Path | None = (
        None  # PEM certificates that may vouch for the brokers; with it the connection is TLS
    )
    operator_kid: str | None = (
        None  # RFC 7638 thumbprint of the operator's key, pinned; absent in demonstrations
    )
    keyring_passphrase: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    port: int = 8000
    demo: bool = False
    referral_url: str = ""
    sharing_url: str = ""
    audit_url: str = ""
    identity_url: str = ""
    portal_url: str = ""
    otlp_endpoint: str | None = None
    span_file: Path | None = None  # finished spans as JSON lines, so that a test can search them
    trace_ratio: float = 0.05
    delivery_spread_ms: int = 250

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> "Settings":
        """Read HUB_* variables.

        Secrets may instead be named by VARIABLE_FILE. Raises SettingsError.
        """
        values: dict[str, Any] = {}
        for name, (parse, required) in _VARIABLES.items():
            variable = f"HUB_{name.upper()}"
            text = _text(environ, variable)
            if text:
                values[name] = parse(variable, text)
            elif required:
                raise SettingsError(variable, "set")
        made = cls(**values)
        if made.bus == "kafka":
            for name in ("kafka_bootstrap", "kafka_user", "kafka_password"):
                if not getattr(made, name):
                    raise SettingsError(f"HUB_{name.upper()}", "set when HUB_BUS is kafka")
        return made

    def with_(self, **changes: object) -> "Settings":
        """A copy with some fields changed, for running several services in one process."""
        return replace(self, **cast(dict[str, Any], changes))


def _text(environ: Mapping[str, str], variable: str) -> str:
    """The variable's text, or the content of the file VARIABLE_FILE names if the variable is a
    secret.
    """
    text = environ.get(variable, "").strip()
    place = environ.get(f"{variable}_FILE", "").strip()
    if not place or variable not in _SECRETS:
        return text
    if text:
        raise SettingsError(f"{variable}_FILE", f"unset when {variable} is set")
    try:
        return Path(place).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError):
        # The system's message would show the path, which is a value too.
        raise SettingsError(f"{variable}_FILE", "the path of a readable text file") from None


def _url(variable: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        fine = (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and not parts.query
            and not parts.fragment
            and parts.username is None
        )
        fine = fine and (parts.port is None or parts.port > 0)
    except ValueError:
        fine = False
    if not fine:
        raise SettingsError(variable, "an http or https URL without query, fragment or user name")
    return text.rstrip("/")


def _database(variable: str, text: str) -> str:
    if not text.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise SettingsError(variable, "a URL that starts with sqlite:/// or postgresql+psycopg://")
    return text


def _choice(*allowed: str) -> Callable[[str, str], str]:
    def parse(variable: str, text: str) -> str:
        if text not in allowed:
            raise SettingsError(variable, f"one of {', '.join(allowed)}")
        return text

    return parse


def _integer(low: int, high: int) -> Callable[[str, str], int]:
    def parse(variable: str, text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) <= 9 and low <= int(text) <= high):
            raise SettingsError(variable, f"a whole number from {low} to {high}")
        return int(text)

    return parse


def _ratio(variable: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0.0 <= value <= 1.0:
        raise SettingsError(variable, "a number from 0 to 1")
    return value


def _flag(variable: str, text: str) -> bool:
    if text.lower() not in {"0", "1", "true", "false", "yes", "no"}:
        raise SettingsError(variable, "1 or 0")
    return text.lower() in {"1", "true", "yes"}


def _plain(_variable: str, text: str) -> str:
    return text


def _path(_variable: str, text: str) -> Path:
    return Path(text)


_SECRETS = frozenset(
    {
        "HUB_DATABASE_URL",
        "HUB_KAFKA_PASSWORD",
        "HUB_KAFKA_DOORKEEPER_PASSWORD",
        "HUB_KEYRING_PASSPHRASE",
    }
)

# field -> (parser, required)
_VARIABLES: dict[str, tuple[Callable[[str, str], object], bool]] = {
    "service_url": (_url, True),
    "issuer": (_url, True),
    "database_url": (_database, True),
    "keyring_dir": (_path, True),
    "bootstrap_file": (_path, True),
    "data_dir": (_path, True),
    "operator_kid": (_plain, False),
    "bus": (_choice("kafka", "embedded"), False),
    "kafka_bootstrap": (_plain, False),
    "kafka_user": (_plain, False),
    "kafka_password": (_plain, False),
    "kafka_doorkeeper_password": (_plain, False),
    "kafka_ca_file": (_path, False),
    "keyring_passphrase": (_plain, False),
    "host": (_plain, False),
    "port": (_integer(1, 65535), False),
    "demo": (_flag, False),
    "referral_url": (_url, True),
    "sharing_url": (_url, True),
    "audit_url": (_url, True),
    "identity_url": (_url, True),
    "portal_url": (_url, False),
    "otlp_endpoint": (_url, False),
    "span_file": (_path, False),
    "trace_ratio": (_ratio, False),
    "delivery_spread_ms": (_integer(0, 60_000), False),
}
