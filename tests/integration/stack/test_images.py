"""The build stage of each Dockerfile, run without a container engine: a service installs and
imports without its neighbours."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import pytest

from deploy.stack import parts, topology

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("images")]


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python that stands in for the build image's, with this environment's pip and no other
    package: making it by `ensurepip` would compile all of pip anew.
    """
    folder = tmp_path_factory.mktemp("builder")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    pip = distribution("pip")
    for top in {file.parts[0] for file in pip.files or () if file.parts[0] != ".."}:
        shutil.copytree(str(pip.locate_file(top)), site / top)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all images: compiled files go by path, and most packages are in all of them."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def root(folder: Path) -> Iterator[Path]:
    """The root of one image, at the same path as those before it."""
    made = folder / "root"
    made.mkdir()
    yield made
    shutil.rmtree(made)


@pytest.fixture
def compiled(folder: Path) -> str:
    """An option of Python's: keep compiled files where the next image finds them."""
    return f"-Xpycache_prefix={folder / 'compiled'}"


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
def test_a_service_stands_alone(service: str, builder: Path, root: Path, compiled: str) -> None:
    python = build(parts.ROOT / "services" / service / "Dockerfile", root, builder)
    others = [*(other for other in topology.SERVICES if other != service), "standalone", "pytest"]
    program = (
        f"import importlib.util as u, {service}.wiring, {service}.__main__; "
        f"present = [name for name in {others} if u.find_spec(name)]; assert not present, present"
    )
    done = subprocess.run(
        [python, "-I", compiled, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_set_up_container_has_what_it_runs(builder: Path, root: Path, compiled: str) -> None:
    python = build(parts.ROOT / "deploy" / "setup" / "Dockerfile", root, builder)
    done = subprocess.run(
        [python, compiled, "-m", "deploy.stack", "--help"],
        cwd=parts.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "provision" in done.stdout
