"""What a newcomer reads once the hub is up: where to sign in, as whom, and what to try."""

from typing import Final

from standalone.hub import Hub

_DOCUMENTED: Final = ("referral", "sharing", "audit", "identity")


def welcome(hub: Hub, seconds: float) -> str:
    """Write the text printed after the start, which took so many `seconds`."""
    base = hub.place.base_url
    people = "\n".join(
        f"    {person.name:<24} {', '.join(person.roles)} at {person.agency}"
        for person in hub.bootstrap.people.values()
    )
    demo = hub.place.folder / "demo"
    police = f".venv/bin/hubctl --profile {demo}/northmoor-police.toml"
    idva = f".venv/bin/hubctl --profile {demo}/northmoor-idva.toml"
    documents = "  ".join(f"{base}/{name}/docs" for name in _DOCUMENTED)
    return f"""
The hub is ready after {seconds:.1f} s.

  Sign in            {base}/
  as one of          (click a name; no password in demo mode)
{people}

  Send a referral    {police} referral submit examples/referral-full.json
  Receive it         {idva} inbox
  Check the log      .venv/bin/hubctl audit verify {base}/audit/log
  API documents      {documents}

  Stop with Ctrl-C. All agencies, people and numbers are invented. Not for live data.
"""
