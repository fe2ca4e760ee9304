"""The topic table of the design, and the access list that follows from it."""

import pytest

from common.topics import SERVICES, audit, disclosure, inbound, quarantine, topics
from deploy.stack.access_list import AccessRule, acls
from standalone.bus.records import partition_of

AGENCIES = ("northmoor-police", "northmoor-idva")
SPECS = {spec.name: spec for spec in topics(AGENCIES)}


@pytest.mark.parametrize(
    ("topic", "producers", "consumers"),
    [
        ("hub.case.v1", {"referral"}, {"sharing"}),
        ("hub.case.bulk.v1", {"referral"}, {"sharing"}),
        ("hub.sharing.v1", {"sharing"}, {"referral"}),
        ("hub.identity.v1", {"identity"}, set(SERVICES)),
        ("hub.audit.referral.v1", {"referral"}, {"audit"}),
        ("hub.audit.audit.v1", {"audit"}, {"audit"}),
        ("hub.audit-receipt.v1", {"audit"}, set(SERVICES)),
        ("hub.disclosure.northmoor-idva.v1", {"sharing"}, {"northmoor-idva"}),
        ("hub.inbound.northmoor-idva.v1", {"northmoor-idva"}, {"sharing"}),
    ],
)
def test_each_topic_has_the_writers_and_readers_of_the_design(
    topic: str, producers: set[str], consumers: set[str]
) -> None:
    spec = SPECS[topic]
    assert (set(spec.producers), set(spec.consumers), spec.retention_hours) == (
        producers,
        consumers,
        336,
    )
    held = SPECS[quarantine(topic)]
    assert (set(held.producers), set(held.consumers), held.retention_hours) == (
        consumers,
        consumers,
        336,
    )


def test_there_is_no_topic_beyond_the_table() -> None:
    plain = {name for name in SPECS if not name.endswith(".quarantine")}
    per_agency = {make(agency) for agency in AGENCIES for make in (disclosure, inbound)}
    fixed = {
        "hub.case.v1",
        "hub.case.bulk.v1",
        "hub.sharing.v1",
        "hub.identity.v1",
        "hub.audit-receipt.v1",
    }
    assert plain == fixed | per_agency | {audit(service) for service in SERVICES}
    assert set(SPECS) == plain | {quarantine(name) for name in plain}


def test_the_access_list_grants_an_agency_its_two_topics_and_its_own_groups_only() -> None:
    mine = {row for row in acls(SPECS.values()) if row.principal == "northmoor-police"}
    outward, inward = disclosure("northmoor-police"), inbound("northmoor-police")
    assert mine == {
        AccessRule("northmoor-police", "READ", "topic", outward, "literal"),
        AccessRule("northmoor-police", "READ", "topic", quarantine(outward), "literal"),
        AccessRule("northmoor-police", "WRITE", "topic", quarantine(outward), "literal"),
        AccessRule("northmoor-police", "WRITE", "topic", inward, "literal"),
        AccessRule("northmoor-police", "READ", "group", "northmoor-police.", "prefixed"),
    }


def test_only_one_principal_writes_each_topic_and_every_principal_writes_something() -> None:
    for spec in SPECS.values():
        if not spec.name.endswith(".quarantine"):
            assert len(spec.producers) == 1
    rows = acls(SPECS.values())
    assert {row.principal for row in rows if row.operation == "WRITE"} == {*SERVICES, *AGENCIES}
    assert {row.pattern for row in rows if row.kind == "topic"} == {"literal"}


@pytest.mark.parametrize(
    "agency",
    [
        "",
        "audit",
        "broker",
        "doorkeeper",
        "A-b",
        "a.b",
        "a_b",
        "-a",
        "a-",
        "a--b",
        "a b",
        "x" * 65,
        "ä",
        "a\n",
    ],
)
def test_an_agency_id_that_could_reach_into_another_name_is_refused(agency: str) -> None:
    with pytest.raises(ValueError):
        topics([agency])


def test_an_agency_listed_twice_is_refused() -> None:
    with pytest.raises(ValueError):
        topics(["northmoor-idva", "northmoor-idva"])


@pytest.mark.parametrize(
    ("key", "murmur2"),
    # Vectors of Kafka's own UtilsTest.testMurmur2, as unsigned 32 bits.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_partitions_agree_with_kafkas_own_test_vectors(key: bytes, murmur2: int) -> None:
    for partitions in (1, 6, 7, 1 << 20):
        assert partition_of(key, partitions) == (murmur2 & 0x7FFFFFFF) % partitions
