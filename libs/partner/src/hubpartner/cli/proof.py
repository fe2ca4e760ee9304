"""hubctl proof: check a saved package offline, and hand its proof to verifiers that are not
ours."""

from pathlib import Path
from typing import Annotated

import typer

from hubformats.canonical import unb64u
from hubpartner.cli.session import JsonOption, profile_of, say, say_json
from hubpartner.client import open_with
from hubpartner.package_file import read_package
from hubpartner.shown import standing

app = typer.Typer(no_args_is_help=True, help="Check saved packages without any network.")

PackageArgument = Annotated[Path, typer.Argument(help="File written by: hubctl inbox save")]


@app.command()
def verify(context: typer.Context, package: PackageArgument, as_json: JsonOption = False) -> None:
    """Check a saved package offline: signature, recipient, content commitment, record, leaf and
    proof.
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
def export(
    context: typer.Context,
    package: PackageArgument,
    folder: Annotated[Path, typer.Argument(help="New folder to write into")],
) -> None:
    """Write leaf, record, its salt, tlog-proof and verifier key as plain files for somebody else's
    software (docs/audit-format.md).
    """
    profile = profile_of(context)
    delivery = open_with(profile, read_package(package))
    parts = delivery.package
    folder.mkdir(mode=0o700, parents=True)
    files = {
        "leaf.json": unb64u(parts.leaf),
        "record.json": unb64u(parts.record),
        "record.salt": unb64u(parts.record_salt),
        "leaf.tlog-proof": parts.proof.encode(),
        "vkey.txt": (profile.log.format() + "\n").encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    say(f"Wrote {', '.join(files)} to {folder}.")
