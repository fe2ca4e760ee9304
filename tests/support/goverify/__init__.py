"""Builds the Go verifier from the copy of golang.org/x/mod that the Go tool chain itself carries;
nothing is downloaded."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.stack import parts

_PACKAGES = ("golang.org/x/mod/sumdb/note", "golang.org/x/mod/sumdb/tlog")


@dataclass(frozen=True, slots=True)
class GoVerifier:
    """The built program."""

    program: Path

    def log(self, folder: Path, vkey: str, *older: Path) -> tuple[bool, str]:
        """Whether it accepts the whole log, and its last line."""
        return self._run("log", str(folder), vkey, *map(str, older))

    def proof(self, proof: Path, leaf: Path, vkey: str) -> tuple[bool, str]:
        """Whether it accepts a tlog-proof, and its last line."""
        return self._run("proof", str(proof), str(leaf), vkey)

    def _run(self, *arguments: str) -> tuple[bool, str]:
        done = subprocess.run(
            [str(self.program), *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode == 0, done.stdout.strip()


def build(folder: Path) -> GoVerifier:
    """Compile into `folder`. Fails when the tool chain is missing: `make parts` brings it."""
    go = parts.go()
    vendored = go.parent.parent / "src" / "cmd" / "vendor"
    version = re.search(
        r"^# golang\.org/x/mod (\S+)$", (vendored / "modules.txt").read_text("utf-8"), re.MULTILINE
    )
    assert version is not None
    for package in _PACKAGES:
        shutil.copytree(vendored / package, folder / "vendor" / package)
    lines = [f"# golang.org/x/mod {version[1]}", "## explicit; go 1.25.0", *_PACKAGES]
    (folder / "vendor" / "modules.txt").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "go.mod").write_text(
        f"module goverify\n\ngo 1.25.0\n\nrequire golang.org/x/mod {version[1]}\n", "utf-8"
    )
    shutil.copy(Path(__file__).with_name("main.go"), folder / "main.go")
    program = folder / "goverify"
    environment = {
        **parts.go_environment(),
        "GOFLAGS": "-mod=vendor",
        "GOPROXY": "off",
    }
    subprocess.run(
        [str(go), "build", "-o", str(program), "."],
        cwd=folder,
        env=environment,
        check=True,
        timeout=300,
    )
    return GoVerifier(program)
