"""hubctl audit: verify the whole public log without trusting its keeper, and keep its head for next
time."""

from collections import Counter
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
import httpx2

from hubformats.audit_record import Leaf, RecordRefused
from hubformats.tlog import ProofRefused, Verifier
from hubformats.tlog.whole_log import LogRefused, WholeLog, check_whole_log
from hubpartner.answers import CallFailed
from hubpartner.cli.session import (
    CommandFailed,
    ExistingFile,
    FilePath,
    chosen_profile,
    json_option,
    profile_of,
    say,
    say_json,
)

_TIMEOUT_S: Final = 20.0
_NOT_NOW: Final = frozenset({429, 500, 502, 503, 504})
"""A hub, or what stands before it, that cannot answer now; a file that is missing or wrong is
another matter.
"""


@click.group("audit", no_args_is_help=True)
def app() -> None:
    """Check the public audit log."""


@app.command()
@click.argument("url")
@click.option(
    "--vkey",
    type=ExistingFile,
    help="File with the log's verifier key; otherwise the profile's pinned key",
)
@click.option(
    "--older",
    type=ExistingFile,
    help="Checkpoint kept from an earlier run: the log must extend it",
)
@click.option("--keep", type=FilePath, help="Write the verified checkpoint here, for the next run")
@json_option
@click.pass_context
def verify(
    context: click.Context,
    url: str,
    vkey: Path | None,
    older: Path | None,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Read every entry and tile, recompute the root and check the signature.

    URL is the prefix of the log, such as https://hub.example.org/audit/log; a starting hub prints
    its own. Without a pinned key it trusts the log's own word for its key.
    """
    _demand_url(url)
    producers: Counter[str] = Counter()
    try:
        with httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=False) as http:
            log, pinned = _key(context, vkey, http, url)
            whole = _checked(http, url, log, older, producers)
    except CallFailed as failed:
        # Not "NOT VERIFIED": who reads that thinks of tampering, and nothing has been said against
        # this log.
        raise CommandFailed(
            3,
            "log-unreachable",
            f"Nothing was verified: the log cannot be reached now ({failed}). This says nothing "
            "for or against it; try again later.",
        ) from None
    if keep is not None:
        keep.write_text(whole.note, "utf-8")
    if as_json:
        say_json(
            {
                "verified": True,
                "size": whole.checkpoint.size,
                "producers": len(producers),
                "keyPinned": pinned,
                "extendsOlder": older is not None,
            }
        )
        return
    say(
        f"Verified: {whole.checkpoint.size} entries of {len(producers)} producer instances, "
        f"{whole.tiles} tiles, root and signature right."
    )
    _say_limits(extends=older is not None, pinned=pinned)


def _say_limits(*, extends: bool, pinned: bool) -> None:
    """Say what else was established, and what was not."""
    if extends:
        say("It extends the older checkpoint: nothing recorded then was changed or removed.")
    if not pinned:
        say(
            "The key came from the log itself. To check against a pinned key give --profile or "
            "--vkey."
        )
    say("Not yet witnessed: no independent witness has signed this head.")


def _demand_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise click.BadParameter(
            "this is not a URL; it begins with http:// or https:// and names a host",
            param_hint="URL",
        )


def _key(
    context: click.Context, vkey: Path | None, http: httpx2.Client, url: str
) -> tuple[Verifier, bool]:
    if vkey is not None:
        return Verifier.parse(vkey.read_text("utf-8").strip()), True
    if chosen_profile(context) is not None:
        return profile_of(context).log, True
    try:
        return Verifier.parse(_get(http, f"{url.rstrip('/')}/vkey").decode().strip()), False
    except (OSError, UnicodeDecodeError):
        raise CommandFailed(
            1,
            "no-log-here",
            "NOT VERIFIED: no log serves its key at this URL. Give the prefix of the log, which "
            "ends in /log, as the hub printed it.",
        ) from None


def _checked(
    http: httpx2.Client, url: str, log: Verifier, older: Path | None, producers: Counter[str]
) -> WholeLog:
    def count(_index: int, entry: bytes) -> None:
        try:
            producers[Leaf.decode(entry).src] += 1
        except RecordRefused:
            raise ProofRefused("leaf-malformed") from None

    try:
        return check_whole_log(
            lambda path: _get(http, f"{url.rstrip('/')}/{path}"),
            log,
            older=older.read_text("utf-8") if older else None,
            on_entry=count,
        )
    except LogRefused as refused:
        raise CommandFailed(
            1, refused.code, f"NOT VERIFIED: {refused.code}, first seen in {refused.place}."
        ) from None


def _get(http: httpx2.Client, url: str) -> bytes:
    try:
        answer = http.get(url)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise CallFailed(f"no answer, {type(error).__name__}") from None
    if answer.status_code in _NOT_NOW:
        raise CallFailed(f"it answers {answer.status_code}: paused, or not able to answer")
    if answer.status_code != 200:
        raise OSError("the log does not serve this file")
    return answer.content
