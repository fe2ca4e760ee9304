"""Creates keys, the operator-signed bootstrap file, keyrings and demo profiles of a hub.

Every step loads what is there and creates what is missing. The signed file comes last, so a crashed
start is finished by the next."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.keyring import USED, FileKeyring, Keyring, KeyringLocked
from hubformats.bootstrap import (
    FILE_NAME,
    LOG_SEED,
    OPERATOR,
    OPERATOR_FILE,
    SERVICE_KEY,
    SERVICES,
    SHARED_SECRETS,
    TOKEN_KEY,
    Bootstrap,
    BootstrapRefused,
    read_bootstrap,
    sign_bootstrap,
    sign_key_set,
)
from hubformats.canonical import CanonicalError, canonical, parse
from hubformats.clock import SystemClock
from hubformats.keys import (
    Jwk,
    OpeningKey,
    SigningKey,
    generate_opening,
    generate_signing,
    opening_from_jwk,
    signing_from_jwk,
)
from hubformats.tlog import Signer
from identity.bootstrap.model import northmoor
from identity.bootstrap.use_cases.profiles import ProfileKeys, write_private, write_profile


@dataclass(frozen=True, slots=True)
class AgencyKeys:
    """One demo agency's private keys; `root` would live offline at a real agency."""

    root: SigningKey
    signing: SigningKey
    opening: OpeningKey
    dpop: SigningKey


def create(
    directory: Path,
    base_urls: Mapping[str, str],
    *,
    kafka: Mapping[str, Any] | None = None,
    passphrase: str | None = None,
) -> Bootstrap:
    """Make `directory` ready for a hub of the demo area and return the verified bootstrap.

    `base_urls` maps each of hubformats.bootstrap.SERVICES to its base URL. `kafka` is
    ``{"bootstrap": "host:port", "passwords": {agency: password}}`` and puts a whole Kafka
    section into each agency's profile. `passphrase` locks the keyrings and turns demo mode off in
    the file.

    Raises BootstrapRefused when a file is there and does not verify.
    """
    missing = set(SERVICES) - base_urls.keys()
    if missing:
        raise ValueError(f"no base URL for: {', '.join(sorted(missing))}")
    for folder in (directory, directory / "demo", directory / "keyring"):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    operator = _signing(directory / "keyring" / OPERATOR / "operator.json", OPERATOR)
    agencies = {agency: _agency_keys(directory, agency) for agency in northmoor.AGENCIES}
    people = {
        name: _signing(directory / "demo" / "keys" / f"{name}.json", northmoor.AREA.id)
        for name in ("operator", "auditor", "dpop")
    }
    keyrings = {name: _keyring(directory, name, passphrase) for name in SERVICES}
    complete = (directory / FILE_NAME).exists()
    if not complete and any(each.known(USED) for each in keyrings.values()):
        raise BootstrapRefused("bootstrap-lost")  # a second one would begin another history
    # In a complete hub a key that is missing was lost: the file names the old one.
    services = {} if complete else {n: _service_keys(keyrings[n], n) for n in SERVICES}
    _share_secrets(keyrings)
    _take_custody(keyrings["portal"], agencies)
    _ensure_signing(keyrings["identity"], TOKEN_KEY, "svc:identity")
    if not complete:
        made = _Keys(operator, agencies, people, services, log_vkey(keyrings["audit"]))
        _write_file(directory, made, demo=passphrase is None)
    bootstrap = read_bootstrap(directory, operator.kid)
    _write_profiles(directory, bootstrap, base_urls, kafka, agencies, people)
    return bootstrap


def log_vkey(keyring: Keyring) -> str:
    """Make the log's C2SP signed-note verifier key, from the Ed25519 seed in audit's keyring."""
    return Signer(northmoor.LOG_ORIGIN, keyring.secret(LOG_SEED)).verifier.format()


def _keyring(directory: Path, name: str, passphrase: str | None) -> FileKeyring:
    folder = directory / "keyring" / name
    if (directory / FILE_NAME).exists() and not (folder / "root.json").exists():
        raise KeyringLocked(f"{folder} is lost or incomplete")
    try:
        return FileKeyring(folder, passphrase=passphrase, open_allowed=passphrase is None)
    except KeyringLocked as error:
        raise KeyringLocked(f"{folder}: {error}") from None


def _signing(path: Path, owner: str) -> SigningKey:
    if path.exists():
        return signing_from_jwk(_kept(path), owner)
    key = generate_signing(owner)
    write_private(path, canonical(key.jwk(private=True)))
    return key


def _kept(path: Path) -> Any:
    try:
        return parse(path.read_bytes())
    except CanonicalError:
        raise KeyringLocked(f"{path} is damaged") from None


def _agency_keys(directory: Path, agency: str) -> AgencyKeys:
    path = directory / "demo" / "keys" / f"{agency}.json"
    if not path.exists():
        fresh = {
            "root": generate_signing(agency),
            "signing": generate_signing(agency),
            "dpop": generate_signing(agency),
        }
        opening = generate_opening(agency)
        write_private(
            path,
            canonical(
                {
                    **{name: key.jwk(private=True) for name, key in fresh.items()},
                    "opening": opening.jwk(private=True),
                }
            ),
        )
    stored = _kept(path)
    return AgencyKeys(
        root=signing_from_jwk(stored["root"], agency),
        signing=signing_from_jwk(stored["signing"], agency),
        opening=opening_from_jwk(stored["opening"], agency),
        dpop=signing_from_jwk(stored["dpop"], agency),
    )


def _ensure_signing(keyring: FileKeyring, name: str, owner: str) -> SigningKey:
    try:
        return keyring.signing_key(name)
    except KeyError:
        keyring.put_signing_key(name, generate_signing(owner))
        return keyring.signing_key(name)


def _service_keys(keyring: FileKeyring, name: str) -> tuple[SigningKey, OpeningKey]:
    owner = f"svc:{name}"
    signing = _ensure_signing(keyring, SERVICE_KEY, owner)
    if not keyring.opening_keys(SERVICE_KEY):
        keyring.put_opening_key(SERVICE_KEY, generate_opening(owner))
    return signing, next(iter(keyring.opening_keys(SERVICE_KEY).values()))


def _share_secrets(keyrings: Mapping[str, FileKeyring]) -> None:
    """Give each shared secret to the services that need it.

    The first of them to hold one decides its value.
    """
    for name, services in SHARED_SECRETS.items():
        value = keyrings[services[0]].secret(name)
        for service in services[1:]:
            keyrings[service].put_secret(name, value)


def _take_custody(keyring: FileKeyring, agencies: Mapping[str, AgencyKeys]) -> None:
    for agency in northmoor.CUSTODIAL:
        keys = agencies[agency]
        try:
            keyring.signing_key(agency)
        except KeyError:
            keyring.put_signing_key(agency, keys.signing)
        if keys.opening.kid not in keyring.opening_keys(agency):
            keyring.put_opening_key(agency, keys.opening)


@dataclass(frozen=True, slots=True)
class _Keys:
    """Every key whose public part stands in the bootstrap file."""

    operator: SigningKey
    agencies: Mapping[str, AgencyKeys]
    people: Mapping[str, SigningKey]
    services: Mapping[str, tuple[SigningKey, OpeningKey]]
    log_vkey: str


def _write_file(directory: Path, made: _Keys, *, demo: bool) -> None:
    operator = made.operator
    now = SystemClock().now()
    payload = {
        "v": 1,
        "demo": demo,
        "created": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "operator": operator.jwk(),
        "area": northmoor.AREA.model_dump(mode="json"),
        "agencies": [
            _agency(agency, keys, int(now.timestamp())) for agency, keys in made.agencies.items()
        ],
        "clients": [
            *_system_clients(made.agencies),
            *_service_clients(made.services),
            *_people_clients(made.people),
        ],
        "people": [person.model_dump(mode="json") for person in northmoor.PEOPLE],
        "services": [
            {
                "name": name,
                "owner": f"svc:{name}",
                "client_id": f"svc-{name}",
                "signing": [signing.jwk()],
                "opening": [opening.public().jwk()],
            }
            for name, (signing, opening) in made.services.items()
        ],
        "log": {"origin": northmoor.LOG_ORIGIN, "vkey": made.log_vkey},
    }
    write_private(directory / OPERATOR_FILE, canonical(operator.jwk()), mode=0o644)
    write_private(directory / FILE_NAME, sign_bootstrap(payload, operator), mode=0o644)


def _agency(agency: str, keys: AgencyKeys, issued: int) -> dict[str, Any]:
    name, kind = northmoor.AGENCIES[agency]
    jwks: tuple[Jwk, ...] = (keys.signing.jwk(), keys.opening.public().jwk())
    return {
        "id": agency,
        "name": name,
        "type": kind,
        "area": northmoor.AREA.id,
        "root": keys.root.jwk(),
        "key_set": sign_key_set(agency, jwks, keys.root, issued),
        "custodial": agency in northmoor.CUSTODIAL,
    }


def _client(
    client_id: str,
    kind: str,
    agency: str,
    key: SigningKey,
    scopes: tuple[str, ...],
    redirects: tuple[str, ...] = (),
) -> dict[str, Any]:
    return {
        "id": client_id,
        "kind": kind,
        "agency": agency,
        "keys": [key.jwk()],
        "scopes": list(scopes),
        "redirect_uris": list(redirects),
    }


def _system_clients(agencies: Mapping[str, AgencyKeys]) -> list[dict[str, Any]]:
    return [
        _client(f"{agency}-system", "system", agency, keys.signing, northmoor.SYSTEM_SCOPES)
        for agency, keys in agencies.items()
    ]


def _service_clients(services: Mapping[str, tuple[SigningKey, OpeningKey]]) -> list[dict[str, Any]]:
    clients = [
        _client(f"svc-{name}", "service", f"svc:{name}", signing, northmoor.SERVICE_SCOPES[name])
        for name, (signing, _) in services.items()
    ]
    portal, _ = services["portal"]
    return [
        *clients,
        _client(
            "portal",
            "portal",
            "svc:portal",
            portal,
            northmoor.PORTAL_SCOPES,
            (northmoor.PORTAL_REDIRECT,),
        ),
    ]


def _people_clients(people: Mapping[str, SigningKey]) -> list[dict[str, Any]]:
    area = northmoor.AREA.id
    return [
        _client("operator", "operator", area, people["operator"], northmoor.OPERATOR_SCOPES),
        _client("auditor", "auditor", area, people["auditor"], northmoor.AUDITOR_SCOPES),
    ]


def _write_profiles(
    directory: Path,
    bootstrap: Bootstrap,
    base_urls: Mapping[str, str],
    kafka: Mapping[str, Any] | None,
    agencies: Mapping[str, AgencyKeys],
    people: Mapping[str, SigningKey],
) -> None:
    urls = {f"{name}_url": base_urls[name] for name in SERVICES}
    shared = {
        "issuer": base_urls["identity"],
        **urls,
        "log_vkey": bootstrap.log.vkey,
        "log_origin": bootstrap.log.origin,
    }
    hub = bootstrap.services["sharing"].signing[0]
    for agency, keys in agencies.items():
        about = {"agency": agency, "client_id": f"{agency}-system", **shared}
        section = (
            None
            if kafka is None
            else {
                "bootstrap": kafka["bootstrap"],
                "user": agency,
                "password": kafka["passwords"].get(agency, ""),
                "mechanism": "SCRAM-SHA-512",
                "topic": f"hub.disclosure.{agency}.v1",
                "inbound_topic": f"hub.inbound.{agency}.v1",
                "group_prefix": f"{agency}.",
            }
        )
        write_profile(
            directory / "demo" / f"{agency}.toml",
            about,
            ProfileKeys(keys.signing, keys.opening, keys.dpop, hub),
            kafka=section,
        )
    for name in ("operator", "auditor"):
        about = {"agency": bootstrap.area.id, "client_id": name, **shared}
        write_profile(
            directory / "demo" / f"{name}.toml",
            about,
            ProfileKeys(people[name], None, people["dpop"], hub),
            kafka=None,
        )
