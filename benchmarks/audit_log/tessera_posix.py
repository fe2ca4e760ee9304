"""The peer: Tessera's POSIX storage, built from the Go module proxy and run as a process of its
own."""

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.audit_log.ours import LEAF_BYTES, Appended
from deploy.stack import parts

SOURCE: Final = Path(__file__).with_name("tessera")
VERSION: Final = next(
    line.split()[1]
    for line in (SOURCE / "go.mod").read_text("utf-8").splitlines()
    if "/tessera v" in line
)
OUTSTANDING: Final = 4096
"""Entries under way at once: several batches, as a busy log would have."""


def build() -> Path:
    """The program, compiled into `.tools/`; modules come from the Go module proxy at the versions
    and sums of go.mod and go.sum.
    """
    program = parts.TOOLS / "go" / f"bench-tessera-{VERSION}"
    command = [str(parts.go()), "build", "-mod=readonly", "-o", str(program), "."]
    done = subprocess.run(
        command,
        cwd=SOURCE,
        env=parts.go_environment(),
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise parts.MissingPart(
            f"Tessera {VERSION} could not be built (it comes from the Go module "
            f"proxy):\n{done.stderr[-2000:]}"
        )
    return program


def append(program: Path, entries: int, batch: int) -> Appended:
    """One run on a fresh folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            str(program),
            folder,
            str(entries),
            str(LEAF_BYTES),
            str(batch),
            str(OUTSTANDING),
        ]
        done = subprocess.run(
            command, env=dict(os.environ), capture_output=True, text=True, timeout=600, check=False
        )
        if done.returncode:
            raise RuntimeError(f"the Tessera program failed: {done.stderr[-2000:]}")
        said = json.loads(done.stdout)
    return Appended(
        said["entries"],
        said["sequenced_s"],
        said["published_s"],
        said["cpu_s"],
        said["resident_kib"] / 1024,
    )
