"""A service whose database is gone begins nothing anew, even beside a keyring that knows of no
database, as those of earlier releases do: the bus remembers what it wrote."""

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from common import topics
from common.database.engines import checked_url, place_of
from common.keyring import USED
from common.settings import StartRefused
from deploy.stack.services import Stack
from standalone.hub import ORDER, Hub, Place
from tests.support.hubs import wait_for
from tests.support.inner_hub import BASE, assembled, inner_hub
from tests.support.modes import STANDALONE, Mode

pytestmark = pytest.mark.both_modes


def own_topic(service: str) -> str:
    """Where the service has written since its first start."""
    return topics.AUDIT_RECEIPT if service == "audit" else topics.audit(service)


def forget(keyring: Path) -> None:
    """Take the mark out of a keyring, as if an earlier release had used it."""
    (keyring / f"secret.{USED}").unlink()


async def why_not(mode: Mode, folder: Path, service: str) -> str:
    """How a hub in this folder refuses to start.

    Where each service has its process, the others have no part in it.
    """
    hub = await assembled(mode, Place(folder, BASE))
    with pytest.raises(StartRefused) as refused:
        await (hub.start() if mode is STANDALONE else alone(hub, service))
    assert refused.value.status == 3
    return str(refused.value)


async def alone(hub: Hub, service: str) -> None:
    """Start one service of the hub; it is stopped whatever comes of it."""
    await hub.bus.start()
    try:
        await hub.services[service].start()
    finally:
        await hub.services[service].stop()
        await hub.stop()


async def test_the_bus_remembers_a_service_whose_database_and_mark_are_gone(
    tmp_path: Path, mode: Mode
) -> None:
    async with inner_hub(tmp_path, mode) as hub:
        for service in ORDER:
            await wait_for(partial(hub.frame(service).bus.used, own_topic(service)), bool)
    for service in reversed(ORDER):  # what starts before it is whole
        forget(tmp_path / "keyring" / service)
        (mode.lose if service != "portal" else mode.empty)(hub.file(service))
        if service == "audit":
            shutil.rmtree(tmp_path / "audit" / "log")
        said = await why_not(mode, tmp_path, service)
        assert f"{place_of(checked_url(mode.url(hub.file(service))))} is lost or empty" in said
        assert own_topic(service) in said
        assert "restore" in said


async def test_a_keyring_of_before_goes_on_with_its_database(tmp_path: Path, mode: Mode) -> None:
    async with inner_hub(tmp_path, mode):
        pass
    for service in ORDER:
        forget(tmp_path / "keyring" / service)
    async with inner_hub(tmp_path, mode):
        assert all((tmp_path / "keyring" / name / f"secret.{USED}").exists() for name in ORDER)


@pytest.mark.stack
@pytest.mark.slow
@pytest.mark.xdist_group("hub-stack")
def test_kafka_remembers_a_service_whose_database_and_mark_are_gone(
    hub_stack: Stack, tmp_path: Path
) -> None:
    url = hub_stack.postgres.database("portal-begun-anew")
    given = hub_stack.environment("portal")
    del given["HUB_DATABASE_URL_FILE"]
    keyring = tmp_path / "keyring"
    shutil.copytree(given["HUB_KEYRING_DIR"], keyring)
    forget(keyring)
    ran = subprocess.run(
        [sys.executable, "-m", "portal"],
        env={
            **os.environ,
            **given,
            "HUB_DATABASE_URL": url,
            "HUB_KEYRING_DIR": str(keyring),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 3
    said = ran.stderr.splitlines()[-1]
    assert "the database portal-begun-anew on 127.0.0.1 is lost or empty" in said
    assert own_topic("portal") in said
