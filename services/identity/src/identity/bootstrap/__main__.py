"""Prepares a folder for a hub: ``python -m identity.bootstrap --dir DIR --base-urls JSON``."""

import argparse
import json
import os
import sys
from pathlib import Path

from identity.bootstrap.use_cases.create import create


def main() -> int:
    """Create or complete the folder.

    Prints the SHA-256 of the bootstrap file, to which entry 0 of the log commits.
    """
    parser = argparse.ArgumentParser(prog="identity.bootstrap", description=__doc__)
    parser.add_argument("--dir", type=Path, required=True, help="the hub's data folder")
    parser.add_argument(
        "--base-urls",
        type=json.loads,
        required=True,
        help='{"referral": "http://…", "sharing": …, "audit": …, "identity": …, "portal": …}',
    )
    parser.add_argument(
        "--kafka",
        type=json.loads,
        default=None,
        help='{"bootstrap": "host:port", "passwords": {"<agency>": "…"}}',
    )
    chosen = parser.parse_args()
    bootstrap = create(
        chosen.dir,
        chosen.base_urls,
        kafka=chosen.kafka,
        passphrase=os.environ.get("HUB_KEYRING_PASSPHRASE"),
    )
    sys.stdout.write(f"{bootstrap.digest.hex()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
