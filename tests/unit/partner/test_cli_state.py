"""What `hubctl service state` says of services that work, wait, stopped themselves or do not run."""

import json

from tests.support.partner_shell import Shell

WORKS = {"started": True, "running": True, "audit": True, "directory": True}


def readyz(service: str) -> str:
    """Where the fake hub is asked."""
    return "/readyz" if service == "portal" else f"/{service}/readyz"


def told(shell: Shell, **checks: dict[str, bool]) -> None:
    """Let services answer; those that are not named do not run."""
    shell.hub.unavailable = ""
    shell.hub.answers = {
        readyz(name): (200 if all(each.values()) else 503, {"checks": each})
        for name, each in checks.items()
    }


def test_an_operator_sees_what_stopped_and_where_it_says_why(shell: Shell) -> None:
    told(
        shell,
        referral=WORKS,
        sharing={**WORKS, "running": False},
        audit={**WORKS, "log": False},
        identity=WORKS,
    )
    shell.hub.answers[readyz("portal")] = (502, {"error": "bad gateway"})
    code, out, _ = shell.run("service", "state")
    said = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert code == 3
    assert (said["referral"], said["sharing"], said["identity"]) == ("works", "is paused", "works")
    assert said["audit"].startswith("the log has stopped itself")
    assert said["portal"].startswith("does not run: if it refused to start")
    assert "docs/starting.md" in said["portal"]


def test_when_all_work_the_status_is_0(shell: Shell) -> None:
    told(shell, **dict.fromkeys(("referral", "sharing", "audit", "identity", "portal"), WORKS))
    code, out, _ = shell.run("service", "state", "--json")
    assert code == 0
    assert json.loads(out)["audit"] == WORKS


def test_a_hub_that_is_down_is_said_of_each_service(shell: Shell) -> None:
    shell.hub.down = True
    code, out, _ = shell.run("service", "state")
    assert code == 3
    assert out.count("does not run") == 5
