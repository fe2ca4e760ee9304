"""The directory of this process, which follows identity."""

from datetime import UTC, datetime

from common.directory import DirectoryKeys, DirectoryState, DirectoryUnreachable
from hubformats.bootstrap import Bootstrap
from hubformats.keys import VerificationKey
from sharing.directory.model import Agency, Compromise
from sharing.directory.ports import KeysUnreachable


class HubDirectory:
    """Agencies of the bootstrap file with their state of the moment.

    Fulfils `directory.ports.Directory`.
    """

    def __init__(self, bootstrap: Bootstrap, state: DirectoryState, keys: DirectoryKeys) -> None:
        self._agencies = tuple(
            (agency.id, agency.type, agency.area) for agency in bootstrap.agencies.values()
        )
        self._state = state
        self._keys = keys

    def agencies(self) -> tuple[Agency, ...]:
        """List the agencies in the order of the file."""
        return tuple(
            Agency(name, kind, area, self._state.suspended(name))
            for name, kind, area in self._agencies
        )

    def fresh(self) -> bool:
        """Tell whether the state is at most sixty seconds old."""
        return self._state.fresh()

    def sealing_key(self, agency: str) -> str | None:
        """Return the id of the current sealing key."""
        key = self._keys.recipient(agency)
        return None if key is None else key.kid

    def verification(self, kid: str) -> VerificationKey | None:
        """Return the key whatever its status; a revoked one verifies nothing."""
        return self._keys.verification(kid)

    def compromised(self) -> tuple[Compromise, ...]:
        """Read the signed sets, and what identity announced since."""
        agencies = {name for name, _, _ in self._agencies}
        return tuple(
            Compromise(key.owner, key.kid, datetime.fromtimestamp(key.compromised_since, UTC))
            for key in self._keys.book.compromised()
            if key.compromised_since is not None and key.owner in agencies
        )

    async def refresh(self) -> None:
        """Ask identity for the key sets, each signed by its owner."""
        try:
            await self._keys.refresh()
        except DirectoryUnreachable as error:
            raise KeysUnreachable(error.retry_after) from None
