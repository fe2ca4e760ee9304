"""How a contract suite says which ports it holds: a list `PORTS`, read by an architecture test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Held:
    """One port, its real adapters and its fake; the suite that lists it runs on each of them."""

    port: object
    real: tuple[type, ...]
    fake: type
