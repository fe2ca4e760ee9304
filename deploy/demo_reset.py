"""`make demo-reset`: deletes the data of a demo hub, and only of a demo hub that is not running."""

import argparse
import json
import shutil
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from hubformats.canonical import CanonicalError, unb64u

KEPT = {"stack", ".gitignore"}
"""What else lives in the folder: the data of `make stack`, and what keeps both out of git."""


def main() -> int:
    """Reset the folder named on the command line."""
    parser = argparse.ArgumentParser(prog="demo_reset", description=__doc__)
    parser.add_argument("folder", type=Path)
    return reset(parser.parse_args().folder)


def reset(folder: Path) -> int:
    """Delete the demo data; return 0 when they are gone.

    Refuses (1) a folder that is not a demo hub's, so that a slip of HUB_DIR deletes nothing else.
    """
    if not folder.exists() or not any(path.name not in KEPT for path in folder.iterdir()):
        print(f"{folder} holds no demo data", file=sys.stderr)
        return 0
    refusal = _refusal(folder)
    if refusal:
        print(f"{folder} was left alone: {refusal}", file=sys.stderr)
        return 1
    # bootstrap.json last: if we are killed half way, the next call still knows the folder for a
    # demo hub's.
    for path in sorted(folder.iterdir(), key=lambda path: path.name == "bootstrap.json"):
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
    for lock in folder.rglob("*.lock"):
        if lock.relative_to(folder).parts[0] in KEPT:
            continue
        try:
            FileLock(lock, blocking=False, fallback_to_soft=False).acquire().lock.release()
        except Timeout:
            return "a hub is running in it; stop that first"
    return None


def _is_demo(bootstrap: Path) -> bool:
    try:
        return json.loads(unb64u(json.loads(bootstrap.read_bytes())["payload"]))["demo"] is True
    except (CanonicalError, ValueError, KeyError, TypeError):
        return False


if __name__ == "__main__":
    sys.exit(main())
