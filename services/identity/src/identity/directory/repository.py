"""Kafka's access list, through which a suspended agency's own topic is closed to it.

Nothing else of the broker is touched.
"""

import asyncio
import contextlib
import re
import ssl
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest

from common import topics
from identity.directory.ports import TopicAccessUnavailable

# Codes of Kafka's protocol (org.apache.kafka.common.acl and .resource).
_TOPIC: Final = 2
_LITERAL: Final = 3
_READ: Final = 3
_DENY: Final = 2
_ANY_HOST: Final = "*"
_PATIENCE_S: Final = 10.0
_PRINCIPAL: Final = re.compile(r"User:(.+)")


class KafkaTopicAccess:
    """Fulfils `TopicAccess` with one DENY row per closed topic.

    A DENY row beats every ALLOW row. So provisioning anew, which adds missing ALLOW rows, cannot
    open a closed topic. The principal may alter the access list and touch no topic or group. Kafka
    does not divide its ALTER on the cluster further.
    """

    def __init__(self, bootstrap: str, password: str, tls: ssl.SSLContext | None) -> None:
        self._connection: dict[str, Any] = {
            "bootstrap_servers": bootstrap,
            "client_id": topics.DOORKEEPER,
            "security_protocol": "SASL_SSL" if tls else "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": topics.DOORKEEPER,
            "sasl_plain_password": password,
            "ssl_context": tls,
            "request_timeout_ms": int(_PATIENCE_S * 1000),
        }
        self._client: AIOKafkaClient | None = None

    async def closed(self) -> frozenset[str]:
        """Read the closed agencies from the rows there are, not from memory."""
        answer = await self._ask(
            DescribeAclsRequest(_TOPIC, None, _LITERAL, None, None, _READ, _DENY)
        )
        _check(answer.error_code)
        # SCHEMA v1: (type, name, pattern, [(principal, host, operation, permission)]).
        rows = ((resource[1], acl[0]) for resource in answer.resources for acl in resource[3])
        agencies = ((name, _PRINCIPAL.fullmatch(principal)) for name, principal in rows)
        return frozenset(
            found[1] for name, found in agencies if found and name == topics.disclosure(found[1])
        )

    async def close(self, agency: str) -> None:
        """Add the row."""
        answer = await self._ask(CreateAclsRequest(*_row(agency)))
        for code, _text in answer.creation_responses:
            _check(code)

    async def open(self, agency: str) -> None:
        """Delete the row."""
        answer = await self._ask(DeleteAclsRequest(*_row(agency)))
        for code, _text, _rows in answer.filter_responses:
            _check(code)

    async def stop(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await client.close()

    async def _ask(self, request: Any) -> Any:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                if self._client is None:
                    self._client = AIOKafkaClient(**self._connection)
                    await self._client.bootstrap()
                return await self._client.send(self._client.get_random_node(), request)
        except (KafkaError, OSError, TimeoutError):
            await self.stop()  # the next call connects anew
            raise TopicAccessUnavailable("no-answer") from None


def _row(agency: str) -> tuple[int, str, int, str, str, int, int]:
    return (_TOPIC, topics.disclosure(agency), _LITERAL, f"User:{agency}", _ANY_HOST, _READ, _DENY)


def _check(code: int) -> None:
    if code:
        raise TopicAccessUnavailable(f"kafka-{code}")
