"""The broker's jars: resolved once by jgo, locked with SHA-256 in deploy/kafka/jars.lock, checked
at every install."""

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jgo.maven import Artifact, MavenContext

LOCK = Path(__file__).resolve().parents[1] / "kafka" / "jars.lock"
# log4j-slf4j-impl gives the broker a log at all; kafka-tools is left out because it drags
# kafka-clients back to 3.8 under jgo.
ENDPOINT = "org.apache.kafka:kafka_2.13:4.3.1+org.apache.kafka:kafka-clients:4.3.1+org.apache.logging.log4j:log4j-slf4j-impl:2.24.3"


class JarMismatch(RuntimeError):
    """A downloaded jar is not the one that was locked."""


@dataclass(frozen=True)
class Jar:
    """One locked jar: Maven group, artifact and version, and the SHA-256 of its bytes in hex."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """File name in the class path folder."""
        return f"{self.artifact}-{self.version}.jar"


def locked(lock: Path = LOCK) -> list[Jar]:
    """Read the jars of a lock file (deploy/kafka/jars.lock), in file order."""
    rows = [
        line.replace(":", " ").split()
        for line in lock.read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return [Jar(group, artifact, version, digest) for digest, group, artifact, version in rows]


def install(folder: Path, cache: Path, lock: Path = LOCK) -> None:
    """Bring every locked jar into `folder`, checking its sum; download only what is absent or
    damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = locked(lock)
    for stale in {path.name for path in folder.glob("*.jar")} - {jar.file for jar in wanted}:
        (folder / stale).unlink()
    missing = [jar for jar in wanted if not _matches(folder / jar.file, jar)]
    if not missing:
        return
    print(f"Fetching {folder.name} ({len(missing)} Java archives): once.", flush=True)
    context = _context(cache)
    for jar in missing:
        source = (
            context.project(jar.group, jar.artifact).at_version(jar.version).artifact().resolve()
        )
        if not _matches(source, jar):
            raise JarMismatch(
                f"{jar.file}: SHA-256 differs from {lock}; delete {source} and look into why"
            )
        part = folder / f".{jar.file}.part"
        shutil.copyfile(source, part)
        part.replace(folder / jar.file)  # a killed install leaves no half jar under a final name


def relock(cache: Path) -> int:
    """Resolve ENDPOINT anew and write deploy/kafka/jars.lock. Returns the number of jars."""
    from jgo import resolve  # noqa: PLC0415 - jgo is a development package

    os.environ["M2_REPO"] = str(cache)
    lines = sorted(
        f"{_digest(artifact.resolve())}  {_coordinate(artifact)}" for artifact in resolve(ENDPOINT)
    )
    lines.sort(key=lambda line: line.split()[1])
    header = [
        f"# {ENDPOINT}",
        (
            "# written by `python -m deploy.stack lock-jars`; SHA-256 and Maven coordinate of every "
            "jar on the class path"
        ),
    ]
    LOCK.write_text("\n".join([*header, *lines]) + "\n")
    return len(lines)


def _context(cache: Path) -> "MavenContext":
    from jgo.maven import MavenContext  # noqa: PLC0415 - jgo is a development package

    return MavenContext(repo_cache=cache, timeout=60)


def _coordinate(artifact: "Artifact") -> str:
    return f"{artifact.groupId}:{artifact.artifactId}:{artifact.version}"


def _matches(path: Path, jar: Jar) -> bool:
    return path.exists() and _digest(path) == jar.sha256


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
