"""docker-compose.yml, written from the topology: the same services, topics, access rules and
settings as `make stack`."""

import json
from pathlib import PurePosixPath
from typing import Any

from deploy.stack import topology

FILE = "docker-compose.yml"
HEADER = """\
# The production topology in containers: `docker compose up --build --wait`. Written by `make compose` from deploy/stack/topology.py.
# The set-up container makes keys and passwords in the volume `hub`; each service mounts only its own part of it.
# Addresses end in .localhost, so that the same URL is right in a browser, for `hubctl` and between containers.
# Demo profiles for `hubctl`: docker compose cp prepare:/hub/demo ./profiles
"""
USER = "10001:10001"
OTLP = "http://otel-collector:4318"
HUB = PurePosixPath("/hub")
POSTGRES, KAFKA = topology.port("postgres"), topology.port("kafka")
DONE, HEALTHY = {"condition": "service_completed_successfully"}, {"condition": "service_healthy"}

Container = dict[str, Any]


def text() -> str:
    """Write the whole file. JSON is YAML's plainest subset; lists and maps one entry a line."""
    return HEADER + _yaml(project(), 0) + "\n"


def project() -> dict[str, Any]:
    """Make the Compose project as data."""
    services = {
        "prepare": _setup("prepare", {}),
        "kafka": _kafka(),
        "postgres": _postgres(),
        "provision": _setup("provision", {"kafka": HEALTHY, "postgres": HEALTHY}),
        "otel-collector": _collector(),
        **{name: _service(name) for name in topology.SERVICES},
    }
    volumes = [
        "hub",
        "kafka-data",
        "postgres-data",
        *(f"{name}-data" for name in topology.SERVICES),
    ]
    return {
        "name": "safeguarding-hub",
        "services": services,
        "volumes": {name: {} for name in volumes},
    }


def address(part: str) -> str:
    """Return a part's name in the network and on the host."""
    return f"{part}.localhost"


def place(service: str) -> topology.Place:
    """Tell where a service finds its things in its container."""
    return topology.Place(
        urls=_urls(),
        host="0.0.0.0",  # noqa: S104 - inside a container; the host publishes on its loopback only
        ports={name: topology.port(name) for name in topology.SERVICES},
        kafka=f"{address('kafka')}:{KAFKA}",
        keyring=HUB / "keyring" / service,
        bootstrap=HUB / "public",
        secrets=HUB / "secrets" / service,
        data=PurePosixPath("/data"),
        otlp=OTLP,
    )


def _urls() -> dict[str, str]:
    return {name: f"http://{address(name)}:{topology.port(name)}" for name in topology.SERVICES}


def _service(name: str) -> Container:
    return {
        "build": {"context": ".", "dockerfile": f"services/{name}/Dockerfile"},
        **_confined(),
        "environment": topology.environment(name, place(name)),
        "ports": [f"127.0.0.1:{topology.port(name)}:{topology.port(name)}"],
        "networks": {"default": {"aliases": [address(name)]}},
        "volumes": [
            _part(f"keyring/{name}"),
            _part(f"secrets/{name}", read_only=True),
            _part("public", read_only=True),
            {"type": "volume", "source": f"{name}-data", "target": "/data"},
        ],
        "depends_on": {"provision": DONE},
        "restart": "unless-stopped",
    }


def _setup(command: str, after: dict[str, Any]) -> Container:
    description = {
        "urls": _urls(),
        "kafka": f"{address('kafka')}:{KAFKA}",
        "postgres": {"host": "postgres", "port": POSTGRES},
    }
    return {
        "build": {"context": ".", "dockerfile": "deploy/setup/Dockerfile"},
        "image": "safeguarding-hub-setup",
        **_confined(),
        "command": [command],
        "environment": {
            "HUB_SETUP_DIR": str(HUB),
            "HUB_SETUP": json.dumps(description),
            "HUB_OPERATOR_KID": "${HUB_OPERATOR_KID:-}",
        },
        "volumes": [{"type": "volume", "source": "hub", "target": str(HUB)}],
        **({"depends_on": {"prepare": DONE, **after}} if after else {}),
        "restart": "no",
    }


def _kafka() -> Container:
    return {
        "build": {"context": ".", "dockerfile": "deploy/kafka/Dockerfile"},
        **_confined(),
        "environment": {"KAFKA_HOST": address("kafka"), "KAFKA_PORT": str(KAFKA)},
        "ports": [f"127.0.0.1:{KAFKA}:{KAFKA}"],
        "networks": {"default": {"aliases": [address("kafka")]}},
        "volumes": [
            {**_part("kafka", read_only=True), "target": "/run/hub"},
            {"type": "volume", "source": "kafka-data", "target": "/data"},
        ],
        "depends_on": {"prepare": DONE},
        # An open port says only that the process lives; `provision` waits until every partition has
        # a leader.
        "healthcheck": _probe(["CMD", "bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{KAFKA}"]),
        "stop_grace_period": "60s",
        "restart": "unless-stopped",
    }


def _postgres() -> Container:
    return {
        "image": "postgres:16-bookworm",
        **_confined(),
        "environment": {
            "POSTGRES_PASSWORD_FILE": "/run/hub/superuser.secret",
            "POSTGRES_INITDB_ARGS": "--auth=scram-sha-256 --encoding=UTF8 --locale=C",
            "POSTGRES_HOST_AUTH_METHOD": "scram-sha-256",
            "PGDATA": "/var/lib/postgresql/data/cluster",
            "PGPORT": str(POSTGRES),
            "TZ": "UTC",
        },
        "command": ["postgres", "-c", "max_connections=200"],
        "volumes": [
            {**_part("postgres", read_only=True), "target": "/run/hub"},
            {"type": "volume", "source": "postgres-data", "target": "/var/lib/postgresql/data"},
        ],
        "tmpfs": ["/tmp", "/var/run/postgresql:mode=1777"],  # noqa: S108 - mounts of the container
        "depends_on": {"prepare": DONE},
        "healthcheck": _probe(
            ["CMD", "pg_isready", "-h", "127.0.0.1", "-p", str(POSTGRES), "-U", "postgres"]
        ),
        "stop_grace_period": "60s",
        "restart": "unless-stopped",
    }


def _collector() -> Container:
    return {
        "image": "otel/opentelemetry-collector:0.120.0",
        **_confined(),
        "volumes": ["./deploy/otel/collector.yaml:/etc/otelcol/config.yaml:ro"],
        "restart": "unless-stopped",
    }


def _confined() -> Container:
    """Deny a container root, capabilities, new privileges and writing to its root file system."""
    return {
        "user": USER,
        "read_only": True,
        "tmpfs": ["/tmp"],  # noqa: S108 - a mount of the container
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
    }


def _part(subpath: str, *, read_only: bool = False) -> Container:
    """Mount one folder of the volume `hub` where the set-up container wrote it."""
    mount = {
        "type": "volume",
        "source": "hub",
        "target": str(HUB / subpath),
        "volume": {"subpath": subpath},
    }
    return mount | ({"read_only": True} if read_only else {})


def _probe(test: list[str]) -> Container:
    return {"test": test, "interval": "2s", "timeout": "5s", "retries": 60}


def _yaml(value: object, depth: int) -> str:
    """Write YAML: block style for maps and lists of maps, else JSON, which YAML reads as it is."""
    pad = "  " * depth
    if isinstance(value, dict) and value:
        lines = []
        for key, item in value.items():
            nested = (
                isinstance(item, dict | list)
                and item
                and not (isinstance(item, list) and all(isinstance(each, str) for each in item))
            )
            lines.append(
                f"{pad}{key}:"
                + (
                    "\n" + _yaml(item, depth + 1)
                    if nested
                    else f" {json.dumps(item, ensure_ascii=False)}"
                )
            )
        return "\n".join(lines)
    if isinstance(value, list):
        return "\n".join(f"{pad}- " + _yaml(item, depth + 1).lstrip() for item in value)
    return pad + json.dumps(value, ensure_ascii=False)
