"""Prepares a folder for a hub: ``python -m identity.bootstrap --dir DIR --base-urls JSON``."""

import argparse
import json
import os
import sys
from pathlib import Path

from common.keyring import KeyringLocked, KeyringRefused
from common.settings import SettingsError, passphrase_of
from hubformats.bootstrap import BootstrapRefused
from hubformats.clock import ClockRefused, SystemClock
from identity.bootstrap.use_cases.create import create


def main() -> int:
    """Create or complete the folder.

    Prints the SHA-256 of the bootstrap file, to which entry 0 of the log commits. Returns 2, with
    one line for an unusable setting, when nothing is made, or an unusable folder.
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
    try:
        SystemClock()  # refuses a clock that a test left behind, before a key is made
        bootstrap = create(
            chosen.dir,
            chosen.base_urls,
            kafka=chosen.kafka,
            passphrase=passphrase_of(os.environ),
        )
    except (SettingsError, ClockRefused) as error:
        sys.stderr.write(f"identity.bootstrap: {error}\n")
        return 2
    except (BootstrapRefused, KeyringLocked, KeyringRefused) as error:
        sys.stderr.write(f"identity.bootstrap: this folder cannot be completed: {error}\n")
        return 2
    sys.stdout.write(f"{bootstrap.digest.hex()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
