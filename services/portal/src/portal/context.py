"""What every page works with, made once by wiring."""

from collections.abc import Mapping
from dataclasses import dataclass

from hubformats.clock import Clock
from hubformats.keys import KeySource
from hubformats.tlog import Verifier


@dataclass(frozen=True, slots=True)
class Context:
    """The portal's address, its clock, and what it checks deliveries and log entries against."""

    base_url: str
    clock: Clock
    log: Verifier
    keys: KeySource
    agencies: Mapping[str, str]
    """Agency id → name, from the operator-signed bootstrap file."""
    demo: bool
    neutral_place: str = "/hidden"
    """Where "Hide this screen" leads."""

    @property
    def secure(self) -> bool:
        """Tell whether the portal is reached over TLS."""
        return self.base_url.startswith("https:")
