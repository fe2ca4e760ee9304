"""Compose, the Dockerfiles and `make stack` describe one topology."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from common.settings import Settings
from deploy.stack import compose, parts, topology
from deploy.stack.services import Stack
from tests.architecture import tree

DOCKERFILES = {name: tree.ROOT / "services" / name / "Dockerfile" for name in topology.SERVICES}
ALL_DOCKERFILES = {**DOCKERFILES, "setup": tree.ROOT / "deploy" / "setup" / "Dockerfile"}


@pytest.fixture(scope="module")
def project() -> dict[str, dict[str, dict[str, object]]]:
    loaded: dict[str, dict[str, dict[str, object]]] = yaml.safe_load(
        (tree.ROOT / compose.FILE).read_text()
    )
    return loaded


def test_compose_is_what_the_topology_says() -> None:
    assert (tree.ROOT / compose.FILE).read_text() == compose.text(), "run `make compose`"
    assert yaml.safe_load(compose.text()) == compose.project()


def test_processes_and_containers_get_the_same_settings(
    project: dict[str, dict[str, dict[str, object]]], tmp_path: Path
) -> None:
    stack = Stack(tmp_path)
    for name in topology.SERVICES:
        contained = project["services"][name]["environment"]
        assert isinstance(contained, dict)
        process = topology.environment(name, stack.place(name))
        assert set(process) == set(contained) - {"HUB_OTLP_ENDPOINT"}
        for setting in ("HUB_BUS", "HUB_KAFKA_USER", "HUB_DEMO", "HUB_PORT"):
            assert process[setting] == contained[setting]
        for setting in (name for name in process if name.endswith("_URL")):
            assert process[setting].rpartition(":")[2] == contained[setting].rpartition(":")[2]


def test_every_setting_is_one_the_services_know(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("postgresql+psycopg://a:b@127.0.0.1/a")
    for name in topology.SERVICES:
        for environment in (
            topology.environment(name, compose.place(name)),
            topology.environment(name, Stack(tmp_path).place(name)),
        ):
            files = {
                variable: str(tmp_path / "secret")
                for variable in environment
                if variable.endswith("_FILE") and "BOOTSTRAP" not in variable
            }
            settings = Settings.from_env(environment | files)
            assert settings.kafka_user == name
            assert settings.issuer == settings.identity_url
            known = {f"HUB_{field.upper()}" for field in Settings.model_fields}
            assert {
                variable.removesuffix("_FILE") if variable not in known else variable
                for variable in environment
            } <= known


def test_only_the_set_up_container_sees_every_secret(
    project: dict[str, dict[str, dict[str, object]]],
) -> None:
    for name, container in project["services"].items():
        mounts = container.get("volumes", [])
        assert isinstance(mounts, list)
        whole = [
            mount
            for mount in mounts
            if isinstance(mount, dict) and mount["source"] == "hub" and "volume" not in mount
        ]
        assert bool(whole) == (name in {"prepare", "provision"})
        if name in topology.SERVICES:
            mounted = {mount["volume"]["subpath"] for mount in mounts if mount["source"] == "hub"}
            assert mounted == {f"keyring/{name}", f"secrets/{name}", "public"}


def test_no_container_is_root_or_may_become_it(
    project: dict[str, dict[str, dict[str, object]]],
) -> None:
    for container in project["services"].values():
        assert container["user"] == compose.USER
        assert container["cap_drop"] == ["ALL"]
        assert container["security_opt"] == ["no-new-privileges:true"]
        assert container["read_only"] is True


def test_ports_are_published_on_this_machine_only(
    project: dict[str, dict[str, dict[str, object]]],
) -> None:
    for container in project["services"].values():
        ports = container.get("ports", [])
        assert isinstance(ports, list)
        assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", ALL_DOCKERFILES)
def test_an_image_is_built_in_two_stages_from_hashes_and_runs_without_root(name: str) -> None:
    text = ALL_DOCKERFILES[name].read_text()
    stages = re.split(r"(?m)^FROM ", text)[1:]
    assert len(stages) == 2
    assert text.count("--require-hashes") == 2
    assert f"requirements/{name}.txt" in text
    assert re.search(r"(?m)^USER 10001:10001$", stages[1])
    assert "pip" not in stages[1]


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_holds_one_service_and_serves_on_its_port(name: str) -> None:
    text = DOCKERFILES[name].read_text()
    copied = set(re.findall(r"(?m)^COPY (\S+) ", text)) - {
        "requirements/bootstrap.txt",
        "--from=build",
    }
    libraries = {"libs/common", "libs/formats"} | ({"libs/partner"} if name == "portal" else set())
    assert copied == libraries | {f"services/{name}"}
    assert f"EXPOSE {topology.port(name)}\n" in text
    assert f":{topology.port(name)}/readyz" in text
    assert f'ENTRYPOINT ["python", "-m", "{name}"]' in text


@pytest.mark.go
def test_compose_accepts_the_file(tmp_path: Path) -> None:
    """Loaded by the library that `docker compose config` is made of: schema, references, ports,
    volumes.
    """
    program = tmp_path / "compose-check"
    source = tree.ROOT / "tests" / "compose-check"
    subprocess.run(
        [parts.go(), "build", "-o", program, "."],
        cwd=source,
        env=parts.go_environment(),
        check=True,
    )
    loaded = subprocess.run(
        [program, tree.ROOT / compose.FILE], capture_output=True, text=True, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    assert set(json.loads(loaded.stdout)["services"]) == set(compose.project()["services"])
    broken = tmp_path / "broken.yml"
    broken.write_text("services:\n  a:\n    image: x\n    depends_on: [nobody]\n")
    assert subprocess.run([program, broken], capture_output=True, check=False).returncode == 1
