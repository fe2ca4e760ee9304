"""hubctl proof: check a saved package offline, and hand its proof to verifiers that are not
ours."""

import os
from pathlib import Path

import click

from hubformats.canonical import unb64u
from hubpartner.cli.session import FilePath, json_option, profile_of, say, say_json
from hubpartner.client import open_with
from hubpartner.package_file import read_package
from hubpartner.shown import standing


@click.group("proof", no_args_is_help=True)
def app() -> None:
    """Check saved packages without any network."""


@app.command()
@click.argument("package", type=FilePath)
@json_option
@click.pass_context
def verify(context: click.Context, package: Path, as_json: bool) -> None:
    """Check a saved package offline.

    PACKAGE is a file written by hubctl inbox save. Checked are signature, recipient, content
    commitment, record, leaf and proof.
    """
    delivery = open_with(profile_of(context), read_package(package))
    verdict = delivery.verdict
    if as_json:
        say_json(
            {
                "verdict": verdict.standing,
                "index": verdict.index,
                "size": verdict.size,
                "witnessed": verdict.witnessed,
                "record": dict(verdict.record),
            }
        )
        return
    say(standing(verdict))
    say(
        f"  signed by the hub, sealed to {verdict.content['recipient']}, clause "
        f"{verdict.content['clause']['id']}, delivery {delivery.delivery_id}"
    )
    say(f"  content, record and leaf match; envelope SHA-256 {delivery.envelope_digest}")


@app.command()
@click.argument("package", type=FilePath)
@click.argument("folder", type=FilePath)
@click.pass_context
def export(context: click.Context, package: Path, folder: Path) -> None:
    """Write content, record, their salts, leaf, tlog-proof and verifier key as plain files.

    They are for somebody else's software (docs/audit-format.md). PACKAGE is a file written by
    hubctl inbox save, FOLDER a new folder. content.json is what was told: personal data.
    """
    profile = profile_of(context)
    delivery = open_with(profile, read_package(package))
    parts = delivery.package
    folder.mkdir(mode=0o700, parents=True)
    files = {
        "content.json": unb64u(parts.content),
        "content.salt": unb64u(parts.content_salt),
        "leaf.json": unb64u(parts.leaf),
        "record.json": unb64u(parts.record),
        "record.salt": unb64u(parts.record_salt),
        "leaf.tlog-proof": parts.proof.encode(),
        "vkey.txt": (profile.log.format() + "\n").encode(),
    }
    for name, content in files.items():
        _write(folder / name, content)
    say(f"Wrote {', '.join(files)} to {folder}, readable by you alone.")
    say("content.json is what was told: personal data. Without it the log's side is still checked.")


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
