"""Ports for a whole hub: several are started at once, one in each pytest worker, so a place is
taken and not only found free."""

import random
import socket
from typing import Final

from deploy.stack import processes, topology

_BASES: Final = range(
    12_000, 32_000, 200
)  # below the ports the system gives to outgoing connections
_TAKEN: Final[list[socket.socket]] = []


def free_base() -> int:
    """A base from which every port of the topology is free; nobody else who asks here gets it while
    this process lives.
    """
    for base in random.sample(_BASES, len(_BASES)):
        if any(map(processes.port_is_taken, topology.ports(base))):
            continue
        claim = socket.socket(
            socket.AF_INET, socket.SOCK_DGRAM
        )  # the hub listens on TCP; the same number on UDP is the claim
        try:
            claim.bind(("127.0.0.1", base))
        except OSError:
            claim.close()
            continue
        _TAKEN.append(claim)
        return base
    raise AssertionError("no free ports")
