"""`make stack` itself: every service becomes ready, survives being killed, and is told apart from a
stranger on its port."""

import json
import socket
import tomllib
import urllib.request

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import GroupAuthorizationFailedError

from deploy.stack import processes, topology
from deploy.stack.services import Stack

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.xdist_group("hub-stack")]


def get(url: str) -> tuple[int, bytes]:
    with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http on this machine
        return answer.status, answer.read()


def test_every_service_is_ready_and_says_who_it_is(hub_stack: Stack) -> None:
    for service, url in hub_stack.urls.items():
        status, _ = get(f"{url}/readyz")
        assert status == 200, service
    status, body = get(f"{hub_stack.urls['identity']}/.well-known/oauth-authorization-server")
    assert status == 200
    assert json.loads(body)["issuer"] == hub_stack.urls["identity"]


def test_each_agency_has_a_profile_for_this_hub(hub_stack: Stack) -> None:
    for agency in topology.AGENCIES:
        profile = (hub_stack.profiles / f"{agency}.toml").read_text()
        assert hub_stack.urls["identity"] in profile
        assert hub_stack.kafka.bootstrap in profile


async def consumed(kafka: dict[str, str], group: str) -> None:
    """Join a group and read the topic with what the profile says and nothing else."""
    consumer = AIOKafkaConsumer(
        kafka["topic"],
        bootstrap_servers=kafka["bootstrap"],
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism=kafka["mechanism"],
        sasl_plain_username=kafka["user"],
        sasl_plain_password=kafka["password"],
        group_id=group,
    )
    try:
        await consumer.start()
        await consumer.getmany(timeout_ms=1_000)
        await consumer.commit()
    finally:
        await consumer.stop()


@pytest.mark.parametrize("agency", ["northmoor-idva", "northmoor-school"])
async def test_the_profile_says_all_that_the_kafka_door_asks_for(
    hub_stack: Stack, agency: str
) -> None:
    kafka = tomllib.loads((hub_stack.profiles / f"{agency}.toml").read_text())["kafka"]
    await consumed(kafka, f"{kafka['group_prefix']}inbox")
    with pytest.raises(GroupAuthorizationFailedError):
        await consumed(kafka, "inbox")


def test_starting_again_finds_it_running(hub_stack: Stack) -> None:
    hub_stack.start()
    for service in topology.SERVICES:
        hub_stack.wait_ready(service)


@pytest.mark.parametrize("service", topology.SERVICES)
def test_a_killed_service_comes_back_on_the_data_it_left(hub_stack: Stack, service: str) -> None:
    hub_stack.kill_service(service)
    hub_stack.start_service(service)
    assert get(f"{hub_stack.urls[service]}/readyz")[0] == 200


def test_a_port_in_use_is_an_error_that_names_it(own_hub_stack: Stack) -> None:
    port = topology.port("audit", own_hub_stack.base_port)
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(processes.NotReady, match=f"port {port} for audit is in use"),
    ):
        own_hub_stack.start_service("audit")
