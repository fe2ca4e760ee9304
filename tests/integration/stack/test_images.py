"""The build stage of each Dockerfile, run without a container engine: a service installs and
imports without its neighbours."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.stack import parts, topology

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("images")]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python that stands in for the build image's."""
    folder = tmp_path_factory.mktemp("builder")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


def build_stage(dockerfile: Path) -> list[tuple[str, str]]:
    """The instructions of the first stage, continuation lines joined."""
    stage = re.split(r"(?m)^FROM .*$", dockerfile.read_text())[1].replace("\\\n", " ")
    lines = (line for line in stage.splitlines() if line and not line.startswith("#"))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def build(dockerfile: Path, root: Path, builder: Path) -> Path:
    """Run the stage with `root` in the place of `/`; returns the resulting environment's Python."""
    outside = {
        name: value
        for name, value in os.environ.items()
        if name not in {"VIRTUAL_ENV", "UV_PYTHON", "PYTHONPATH"}
    }
    environment = {**outside, "PATH": f"{builder / 'bin'}:{os.environ['PATH']}"}
    for instruction, rest in build_stage(dockerfile):
        if instruction == "COPY":
            *sources, target = shlex.split(rest)
            for source in sources:
                place = root / target.lstrip("/")
                if (parts.ROOT / source).is_dir():
                    shutil.copytree(
                        parts.ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__")
                    )
                else:
                    place.mkdir(parents=True, exist_ok=True)
                    shutil.copy(parts.ROOT / source, place)
        elif instruction == "RUN":
            # The flags that keep an image small would make each test download everything again.
            command = (
                re.sub(r"(?<=\s)/(?=(source|venv|wheels)\b)", f"{root}/", rest)
                .replace(" --no-cache-dir", "")
                .replace(" --no-cache", "")
            )
            done = subprocess.run(
                ["/bin/sh", "-ec", command],
                env=environment,
                cwd=root,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return root / "venv" / "bin" / "python"


@pytest.mark.parametrize("service", topology.SERVICES)
def test_a_service_stands_alone(service: str, builder: Path, tmp_path: Path) -> None:
    python = build(parts.ROOT / "services" / service / "Dockerfile", tmp_path, builder)
    others = [*(other for other in topology.SERVICES if other != service), "standalone", "pytest"]
    program = (
        f"import importlib.util as u, {service}.wiring, {service}.__main__; "
        f"present = [name for name in {others} if u.find_spec(name)]; assert not present, present"
    )
    done = subprocess.run(
        [python, "-I", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_set_up_container_has_what_it_runs(builder: Path, tmp_path: Path) -> None:
    python = build(parts.ROOT / "deploy" / "setup" / "Dockerfile", tmp_path, builder)
    done = subprocess.run(
        [python, "-m", "deploy.stack", "--help"],
        cwd=parts.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "provision" in done.stdout
