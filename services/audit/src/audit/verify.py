"""Checks a whole log from outside: `python -m audit.verify FOLDER-OR-URL --vkey FILE`.

Uses only what is public, trusts only the key.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from hubformats.audit_record import Leaf, RecordRefused
from hubformats.tlog import ProofRefused, Verifier
from hubformats.tlog.whole_log import LogRefused, Read, WholeLog, check_whole_log

_TIMEOUT_SECONDS = 30.0


@dataclass(slots=True)
class Sequences:
    """What the public leaves say about the producers.

    Nobody's number comes twice, no number is missing, and time never goes back.
    """

    seen: dict[tuple[str, int], list[int]] = field(default_factory=dict)
    last_tr: int = 0
    index: int = -1

    def take(self, index: int, entry: bytes) -> None:
        """Look at one entry, in order.

        Raises LogRefused when its leaf is not one, or the log's time went back.
        """
        try:
            leaf = Leaf.decode(entry)
        except RecordRefused as refused:
            raise LogRefused(refused.code, f"entry {index}") from None
        if leaf.tr < self.last_tr:
            raise LogRefused("time-went-back", f"entry {index}")
        self.last_tr, self.index = leaf.tr, index
        self.seen.setdefault((leaf.src, leaf.ep), []).append(leaf.seq)

    def repeated(self) -> int:
        """Count numbers that stand in the log more than once."""
        return sum(len(numbers) - len(set(numbers)) for numbers in self.seen.values())

    def missing(self) -> int:
        """Count numbers below a producer's highest that stand nowhere.

        Each is a record that was written and never arrived.
        """
        return sum(max(numbers) - len(set(numbers)) for numbers in self.seen.values())


@dataclass(frozen=True, slots=True)
class Report:
    """The verdict on a log that checked out."""

    whole: WholeLog
    producers: int
    repeated: int
    missing: int

    def lines(self) -> list[str]:
        """Say what was found, in words."""
        checkpoint = self.whole.checkpoint
        said = [
            (
                f"verified: {checkpoint.origin}, {checkpoint.size} entries, "
                f"{self.whole.tiles} tiles and bundles, root {checkpoint.root.hex()}"
            ),
            (
                f"producers: {self.producers} instance epochs, {self.missing} numbers missing, "
                f"{self.repeated} repeated"
            ),
        ]
        if self.whole.extends is not None:
            said.append(
                f"history: extends the older checkpoint of {self.whole.extends.size} entries"
            )
        return [*said, "not yet witnessed: no independent witness has signed this head"]


def verify(read: Read, log: Verifier, *, older: str | None = None) -> Report:
    """Check everything a stranger can. Raises LogRefused naming the first place that is wrong."""
    sequences = Sequences()
    whole = check_whole_log(read, log, older=older, on_entry=sequences.take)
    return Report(whole, len(sequences.seen), sequences.repeated(), sequences.missing())


def folder_reader(folder: Path) -> Read:
    """Make a reader of a copied log."""
    return lambda path: (folder / path).read_bytes()


def http_reader(client: httpx2.Client, prefix: str) -> Read:
    """Make a reader of a log over HTTP. An answer that is not 200 counts as a missing file."""

    def read(path: str) -> bytes:
        try:
            answer = client.get(f"{prefix.rstrip('/')}/{path}")
        except httpx2.HTTPError:
            raise OSError("the log does not answer") from None
        if answer.status_code != 200:
            raise OSError("the log does not serve this file")
        return answer.content

    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m audit.verify", description="Check a whole audit log from outside."
    )
    parser.add_argument(
        "log", help="folder of a copied log, or the URL prefix it is served under (…/log)"
    )
    parser.add_argument(
        "--vkey",
        required=True,
        type=Path,
        help="file with the log's verifier key: the line log_vkey of a profile, or vkey.txt of "
        "hubctl proof export",
    )
    parser.add_argument(
        "--older", type=Path, help="a checkpoint kept from an earlier run: the log must extend it"
    )
    parser.add_argument(
        "--keep", type=Path, help="write the verified checkpoint here for the next run"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns 0 when the log is verified, 1 when it is refused, 2 when a file cannot be used.
    """
    given = _parser().parse_args(arguments)
    try:
        log = Verifier.parse(_text(given.vkey))
        older = _text(given.older) if given.older else None
        with httpx2.Client(
            timeout=_TIMEOUT_SECONDS, follow_redirects=False, trust_env=False
        ) as client:
            remote = str(given.log).startswith(("http://", "https://"))
            report = verify(
                http_reader(client, given.log) if remote else folder_reader(Path(given.log)),
                log,
                older=older,
            )
    except LogRefused as refused:
        sys.stdout.write(f"REFUSED: {refused.code}, first seen in {refused.place}\n")
        return 1
    except ProofRefused as refused:
        sys.stdout.write(f"REFUSED: {refused.code}\n")
        return 1
    except _Unusable as unusable:
        sys.stderr.write(f"Nothing was verified: {unusable}.\n")
        return 2
    sys.stdout.write("\n".join(report.lines()) + "\n")
    try:
        if given.keep:
            given.keep.write_text(report.whole.note, "utf-8")
    except OSError:
        sys.stderr.write(
            f"The log is verified, but the checkpoint could not be written to {given.keep}.\n"
        )
        return 2
    return 0


class _Unusable(Exception):
    """A file named on the command line cannot be used; the text says which."""


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise _Unusable(f"there is no file {path}") from None
    except (OSError, UnicodeDecodeError):
        raise _Unusable(f"the file {path} cannot be read as text") from None


if __name__ == "__main__":
    raise SystemExit(main())
