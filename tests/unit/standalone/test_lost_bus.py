"""A bus that is gone beside keyrings that were used is refused: what had not been taken in would be
lost without a word."""

from pathlib import Path

import pytest

from common.keyring import USED, FileKeyring
from common.settings import StartRefused
from standalone.hub import ORDER, Place, assemble


async def used(folder: Path, service: str) -> Place:
    """A hub's place, assembled once, whose service has leased its first producer code."""
    place = Place(folder, "http://127.0.0.1:1")
    await (await assemble(place)).stop()
    keyring = folder / "keyring" / service
    FileKeyring(keyring, passphrase=None, open_allowed=True).put_secret(USED, bytes(32))
    return place


@pytest.mark.parametrize("service", ["audit", "portal"])
@pytest.mark.parametrize("left", [None, b""], ids=["gone", "empty"])
async def test_a_lost_bus_beside_a_used_keyring_is_refused(
    tmp_path: Path, service: str, left: bytes | None
) -> None:
    place = await used(tmp_path, service)
    if left is not None:
        place.bus_file.write_bytes(left)
    with pytest.raises(StartRefused) as refused:
        await assemble(place)
    assert refused.value.status == 3
    assert str(refused.value) == (
        f"the bus {place.bus_file} is lost or empty, and the hub has been used: restore its "
        "newest backup; nothing begins anew beside what was used"
    )


async def test_a_hub_that_was_never_used_begins_with_an_empty_bus(tmp_path: Path) -> None:
    place = Place(tmp_path, "http://127.0.0.1:1")
    for _ in range(2):
        hub = await assemble(place)
        assert list(hub.services) == list(ORDER)
        await hub.stop()
