"""`make demo-reset`: deletes the data of a demo hub, and only of a demo hub that is not running."""

import argparse
import fcntl
import json
import shutil
import sys
from pathlib import Path

from common.canonical import unb64u

KEPT = {"stack"}
"""What else lives in the folder: the data of `make stack`."""


def main() -> int:
    """Refuses a folder that is not a demo hub's, so that a slip of HUB_DIR cannot delete anything else."""
    parser = argparse.ArgumentParser(prog="demo_reset", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    if not folder.exists() or not any(path.name not in KEPT for path in folder.iterdir()):
        print(f"{folder} holds no demo data", file=sys.stderr)
        return 0
    refusal = _refusal(folder)
    if refusal:
        print(f"{folder} was left alone: {refusal}", file=sys.stderr)
        return 1
    for path in folder.iterdir():
        if path.name not in KEPT:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    print(f"{folder}: demo data deleted", file=sys.stderr)
    return 0


def _refusal(folder: Path) -> str | None:
    bootstrap = folder / "bootstrap.json"
    if not bootstrap.exists():
        return "it has no bootstrap.json, so it is not a hub's folder"
    if not _is_demo(bootstrap):
        return "its bootstrap.json does not say that it is a demonstration"
    for lock in folder.glob("*.lock"):
        with lock.open("r+") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return "a hub is running in it; stop that first"
    return None


def _is_demo(bootstrap: Path) -> bool:
    return bool(json.loads(unb64u(json.loads(bootstrap.read_bytes())["payload"])).get("demo"))


if __name__ == "__main__":
    sys.exit(main())
