"""Every topic of the hub, who writes it and who reads it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

CASE = "hub.case.v1"
CASE_BULK = "hub.case.bulk.v1"
SHARING = "hub.sharing.v1"
IDENTITY = "hub.identity.v1"
AUDIT_RECEIPT = "hub.audit-receipt.v1"

SERVICES = ("referral", "sharing", "identity", "portal", "audit")
RETENTION_HOURS = 14 * 24
DOORKEEPER = "doorkeeper"
"""The principal that closes a suspended agency's own topic to it; identity holds its password
beside its own.
"""

RESERVED = frozenset(
    {*SERVICES, DOORKEEPER, "operator", "broker", "controller", "admin", "hub", "standalone"}
)

_AGENCY = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SHARED_PARTITIONS = 6


def disclosure(agency: str) -> str:
    """Name the topic only this agency reads: packages sealed to it."""
    return f"hub.disclosure.{agency}.v1"


def inbound(agency: str) -> str:
    """Name the topic only this agency writes, sealed to sharing: referrals, receipts, answers."""
    return f"hub.inbound.{agency}.v1"


def audit(service: str) -> str:
    """Name the topic that binds a service to its audit batches: only it may write there."""
    return f"hub.audit.{service}.v1"


def quarantine(topic: str) -> str:
    """Name the topic where consumers of `topic` put envelopes they could not process, untouched."""
    return f"{topic}.quarantine"


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """One topic: partitions, hours that records are kept, who may write and read."""

    name: str
    partitions: int
    retention_hours: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]


def topics(agencies: Sequence[str]) -> tuple[TopicSpec, ...]:
    """List a hub's topics with these agencies (design section 5), each before its quarantine.

    Topics that carry one ordered stream per pair or producer have one partition.

    Raises ValueError for an agency id that is taken by a service or appears twice. So also for one
    that is not lower-case words joined by hyphens.
    """
    _check(agencies)
    plain = [
        _spec(CASE, _SHARED_PARTITIONS, ("referral",), ("sharing",)),
        _spec(CASE_BULK, _SHARED_PARTITIONS, ("referral",), ("sharing",)),
        _spec(SHARING, _SHARED_PARTITIONS, ("sharing",), ("referral",)),
        _spec(IDENTITY, 1, ("identity",), SERVICES),
        *(_spec(audit(service), 1, (service,), ("audit",)) for service in SERVICES),
        _spec(AUDIT_RECEIPT, 1, ("audit",), SERVICES),
        *(_spec(disclosure(agency), 1, ("sharing",), (agency,)) for agency in agencies),
        *(_spec(inbound(agency), 1, (agency,), ("sharing",)) for agency in agencies),
    ]
    return tuple(
        spec
        for each in plain
        for spec in (each, _spec(quarantine(each.name), 1, each.consumers, each.consumers))
    )


def _spec(
    name: str, partitions: int, producers: tuple[str, ...], consumers: tuple[str, ...]
) -> TopicSpec:
    return TopicSpec(name, partitions, RETENTION_HOURS, producers, consumers)


def _check(agencies: Sequence[str]) -> None:
    for agency in agencies:
        # A dot would let one principal's group prefix reach into another's; 64 keeps every topic
        # name under Kafka's 249.
        if len(agency) > 64 or not _AGENCY.fullmatch(agency) or agency in RESERVED:
            raise ValueError(
                "an agency id is lower-case letters, digits and single hyphens, at most 64, and "
                "no service's name"
            )
    if len(set(agencies)) != len(agencies):
        raise ValueError("an agency is listed twice")
