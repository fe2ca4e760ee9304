"""Command line of the stack: `python -m deploy.stack start | stop | compose | parts |
lock-jars`."""

import argparse
import logging
import os
import sys
from pathlib import Path

from deploy.stack import compose, jars, parts, processes, setup, topology
from deploy.stack.services import Stack


def main() -> int:
    """Run one command; a missing part or a process that will not start is one readable message and
    status 1.
    """
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "start", help="start Kafka, PostgreSQL and every service, and wait until all are ready"
    )
    commands.add_parser("stop", help="stop them; data stay")
    commands.add_parser("compose", help="write docker-compose.yml from the topology")
    commands.add_parser("prepare", help="in a container: make keys and passwords in HUB_SETUP_DIR")
    commands.add_parser(
        "provision", help="in a container: create topics, users, access rules and databases"
    )
    commands.add_parser("parts", help="install the foreign programs under .tools/").add_argument(
        "name", nargs="*"
    )
    commands.add_parser(
        "lock-jars", help="resolve the broker's jars anew and write deploy/kafka/jars.lock"
    )
    arguments = parser.parse_args()
    logging.getLogger("common.keyring").setLevel(
        logging.ERROR
    )  # that a demonstration's keys lie open is said once, by `describe`
    try:
        _run(arguments)
    except (parts.MissingPart, jars.JarMismatch, processes.NotReady) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _run(arguments: argparse.Namespace) -> None:
    passphrase = os.environ.get("HUB_KEYRING_PASSPHRASE") or None
    operator_kid = os.environ.get("HUB_OPERATOR_KID") or None
    stack = Stack(
        parts.ROOT / os.environ.get("HUB_DIR", ".run") / "stack",
        int(os.environ.get("STACK_PORT", topology.BASE_PORT)),
        passphrase,
        operator_kid,
    )
    match arguments.command:
        case "start":
            print(
                f"Starting PostgreSQL, Kafka and every service in {stack.folder}: up to a minute.",
                flush=True,
            )
            stack.start()
            print(stack.describe())
        case "stop":
            ran = stack.running()
            stack.stop()
            print(
                "The stack is stopped; its data stay."
                if ran
                else f"No stack runs in {stack.folder}."
            )
        case "compose":
            (parts.ROOT / compose.FILE).write_text(compose.text())
        case "prepare":
            setup.prepare(
                Path(os.environ["HUB_SETUP_DIR"]),
                *setup.of_deployment(os.environ["HUB_SETUP"]),
                passphrase=passphrase,
                operator_kid=operator_kid,
            )
        case "provision":
            setup.provision(
                Path(os.environ["HUB_SETUP_DIR"]), setup.of_deployment(os.environ["HUB_SETUP"])[1]
            )
        case "parts":
            parts.install(arguments.name)
        case "lock-jars":
            print(f"{jars.relock(parts.TOOLS / 'maven')} jars locked")


if __name__ == "__main__":
    sys.exit(main())
