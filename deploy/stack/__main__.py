"""Command line of the stack: `python -m deploy.stack parts | lock-jars`."""

import argparse
import sys

from deploy.stack import jars, parts, processes


def main() -> int:
    """Run one command; a missing part or a process that will not start is one readable message and status 1."""
    parser = argparse.ArgumentParser(prog="python -m deploy.stack", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("parts", help="install the foreign programs under .tools/").add_argument("name", nargs="*")
    commands.add_parser("lock-jars", help="resolve the broker's jars anew and write deploy/kafka/jars.lock")
    arguments = parser.parse_args()
    try:
        if arguments.command == "parts":
            parts.install(arguments.name)
        else:
            print(f"{jars.relock(parts.TOOLS / 'maven')} jars locked")
    except (parts.MissingPart, jars.JarMismatch, processes.NotReady) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
