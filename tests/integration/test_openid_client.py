"""Foreign, certified client libraries against our authorization server: npm openid-client signs a
person in, oauth4webapi a system."""

import asyncio
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from common.keyring import FileKeyring
from deploy.stack import parts
from tests.support.identity_service import running_identity

pytestmark = pytest.mark.node
SCRIPTS = Path(__file__).parents[1] / "interop-node"


async def run(script: str, asked: dict[str, Any]) -> dict[str, Any]:
    """What the Node program saw."""
    command = [str(parts.node()), str(SCRIPTS / script), str(parts.node_modules())]
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(json.dumps(asked).encode()), 120)
    assert process.returncode == 0, err.decode()[-3000:]
    found: dict[str, Any] = json.loads(out)
    return found


async def test_openid_client_signs_a_person_in(tmp_path: Path) -> None:
    async with running_identity(tmp_path) as identity:
        portal = FileKeyring(
            tmp_path / "keyring" / "portal", passphrase=None, open_allowed=True
        ).signing_key("service")
        amina = next(
            person.id for person in identity.bootstrap.people.values() if person.roles == ("idva",)
        )
        seen = await run(
            "openid_client.mjs",
            {
                "issuer": identity.url,
                "client": "portal",
                "key": portal.jwk(private=True),
                "person": amina,
                "callback": "http://portal.hub.example.org/sign-in/callback",
                "resource": identity.url,
                "other": "http://sharing.hub.example.org",
            },
        )
    assert seen == {
        "page": 200,
        "click": 303,
        "type": "dpop",
        "expires": 300,
        "scope": "case.read directory.read",
        "me": [200, "Amina Yusuf"],
        "refreshed": "http://sharing.hub.example.org",
        "rotated": None,
        "stolen": "invalid_grant",
        "before": True,
        "after": False,
        "mixedUp": "OAUTH_INVALID_RESPONSE",
        "otherKey": "invalid_grant",
        "replay": "invalid_grant",
    }


async def test_oauth4webapi_gets_a_systems_token_and_uses_it(tmp_path: Path) -> None:
    async with running_identity(tmp_path) as identity:
        profile = tomllib.loads((tmp_path / "demo" / "northmoor-police.toml").read_text())
        seen = await run(
            "oauth4webapi_system.mjs",
            {
                "issuer": identity.url,
                "client": profile["client_id"],
                "key": profile["keys"]["signing_jwk"],
                "scope": "directory.read",
                "resource": identity.url,
                "path": "/v1/agencies",
            },
        )
    assert seen == {
        "type": "dpop",
        "scope": "directory.read",
        "called": 200,
        "bearer": 401,
        "over": "invalid_scope",
    }
