"""`common` is a closed list: each module is here with its reason, and is used by more than one member."""

import grimp
import pytest

MEMBERS = ("referral", "sharing", "audit", "identity", "portal", "standalone", "hubpartner")

COMMON = {
    "access": "who is calling and what they may do: verified tokens, granted access",
    "attempts": "an idempotent request and its answer, as use cases see them",
    "audit_trail": "how a service writes audit records and learns their proofs",
    "bus": "the event bus as a port, its promises written down",
    "bus_kafka": "the bus on Kafka; the only importer of aiokafka",
    "bus_kafka_member": "one consumer group member on Kafka; part of bus_kafka",
    "database": "engines and transactions for both databases",
    "directory": "keys and standing of agencies and services",
    "events": "the published language, one file per publisher",
    "faults": "named crash points for tests",
    "inbox": "once-only effects of what was delivered at least once",
    "keyring": "private keys and key-encryption keys of one process",
    "models": "the base of every API shape: names, extra fields refused, times in UTC",
    "outbox": "what a transaction decided to send, sent until it is acknowledged",
    "problems": "RFC 9457 error answers",
    "sealed": "fields encrypted per subject",
    "settings": "HUB_* variables, read once",
    "telemetry": "traces, metrics and logs through scrubbing processors",
    "testing": "fakes and fault injectors that tests of any member may use",
    "texts": "texts that people send: what is taken, and what cannot be seen written out",
    "topics": "topics, and who writes and reads them",
    "web": "the application factory every service's API is made with",
}
PLUMBING = {
    "bus_kafka",
    "bus_kafka_member",
    "faults",
    "testing",
}
"""Adapters chosen in one place, parts of another module of common, or for tests: one user is right."""


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("common", *MEMBERS, cache_dir=None)


def test_no_module_arrives_unnoticed(graph: grimp.ImportGraph) -> None:
    present = {name.removeprefix("common.") for name in graph.find_children("common")}
    assert present == set(COMMON), "list a new module with its reason; take a removed one off"


def test_each_module_has_two_users(graph: grimp.ImportGraph) -> None:
    lonely = {}
    for name in sorted(set(COMMON) - PLUMBING):
        module = f"common.{name}"
        importers = {
            user
            for part in (module, *graph.find_descendants(module))
            for user in graph.find_modules_that_directly_import(part)
        }
        users = {user.split(".")[0] for user in importers if not user.startswith("common.")}
        inside = {user.split(".")[1] for user in importers if user.startswith("common.")} - {name}
        if len(users) + len(inside) < 2:
            lonely[name] = sorted(users | inside)
    assert not lonely, "give these to the one who uses them"
