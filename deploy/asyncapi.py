"""Writes docs/asyncapi.json (AsyncAPI 3) and docs/events.md from the event classes and the topic
list, so that neither can drift."""

import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from common import topics
from common.events import ALL, Event, routes
from common.topics import TopicSpec
from hubformats.envelope import CONTENT_TYPE, SEALED_TYPE

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT: Final = ROOT / "docs" / "asyncapi.json"
PAGE: Final = ROOT / "docs" / "events.md"
AGENCY: Final = "agency"
"""Stands for any agency; it is a valid agency id, so that the real topic list can be asked for it.
"""

CARRIES: Final[Mapping[str, routes.Events]] = {
    **routes.SHARED,
    topics.disclosure(AGENCY): routes.DELIVERED,
    topics.inbound(AGENCY): routes.SPOKEN,
}
"""Which events travel on which topic. Quarantines carry what their topic carries, untouched."""

_MEMBER: Final = {"type": "string", "contentEncoding": "base64url"}
_TEXT: Final = {"type": "string"}


def specs() -> tuple[TopicSpec, ...]:
    """List the hub's topics for one agency, quarantines left out."""
    return tuple(spec for spec in topics.topics((AGENCY,)) if not spec.name.endswith(".quarantine"))


def document() -> dict[str, Any]:
    """Make the AsyncAPI 3.0 document of the whole hub."""
    schemas: dict[str, Any] = {"SealedEnvelope": _envelope(), "Headers": _headers()}
    for event in ALL:
        schemas |= _schemas(event)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Safeguarding Hub events",
            "version": "1",
            "license": {"name": "Apache-2.0"},
            "description": (
                "Every message is an envelope of the format hub-event+jwe v1: a signed statement "
                "(JWS, ES256) sealed to its recipients "
                "(JWE General JSON, ECDH-ES+A256KW). `payload` is what stands on the topic; "
                "`x-data` is the `data` member of the signed "
                "statement inside, which only a recipient can open. Nothing personal stands in "
                "key, header, topic name or clear metadata. "
                "A reader signs in with SASL SCRAM-SHA-512, and its consumer group's name begins "
                "with its own and a dot."
            ),
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {_slug(spec.name): _channel(spec) for spec in specs()},
        "operations": dict(_operations()),
        "components": {
            "messages": {_message_id(event): _message(event) for event in ALL},
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {
                "sasl": {
                    "type": "scramSha512",
                    "description": "The account of the service or agency.",
                }
            },
        },
    }


def page() -> str:
    """Write the same catalogue in words, for people."""
    lines = [*_introduction(), *_topics()]
    for event in sorted(ALL, key=lambda each: each.__name__):
        lines += [
            "",
            f"## {event.__name__}",
            "",
            f"`{event.TYPE}` version {event.VERSION}. {_words(event)}",
            "",
            *_fields(event),
        ]
    return "\n".join(lines) + "\n"


def _introduction() -> list[str]:
    return [
        "# Events",
        "",
        (
            "<!-- Written by `python -m deploy.asyncapi` from common.events and common.topics. Do not "
            "edit. -->"
        ),
        "",
        (
            "What the services say to each other and to agencies. Each is sealed to its reader; the "
            "tables show what stands inside."
        ),
        (
            "For programs: [asyncapi.json](asyncapi.json). A sent event is frozen: a change is a new "
            "version with a new golden file in"
        ),
        (
            "`tests/vectors/events`. Each topic has a quarantine of the same name with `.quarantine` "
            "behind it."
        ),
        "",
    ]


def _topics() -> list[str]:
    return [
        "## Topics",
        "",
        "| Topic | Written by | Read by | Carries |",
        "|---|---|---|---|",
        *(
            f"| `{_address(spec.name)}` | {_who(spec.producers)} | {_who(spec.consumers)} | "
            f"{', '.join(e.__name__ for e in CARRIES[spec.name])} |"
            for spec in specs()
        ),
        "",
        (
            f"All are kept for {topics.RETENTION_HOURS // 24} days: a topic is transport, not an "
            "archive."
        ),
        "",
        (
            "Sign in with SASL `SCRAM-SHA-512`; TLS (`SASL_SSL`) wherever the brokers are on another "
            "machine. The name of a consumer group must begin"
        ),
        (
            "with the account's and a dot, such as `northmoor-idva.inbox`: any other is refused "
            "(`GROUP_AUTHORIZATION_FAILED`). No topic is made by"
        ),
        (
            "being asked for, and a suspended agency cannot read its own "
            "(`TOPIC_AUTHORIZATION_FAILED`) until it is restored."
        ),
    ]


def files() -> dict[Path, str]:
    """Return what is written, by place."""
    return {DOCUMENT: json.dumps(document(), indent=1, ensure_ascii=False) + "\n", PAGE: page()}


def main() -> None:
    """Write both files."""
    for path, text in files().items():
        path.write_text(text, "utf-8")
        print(f"written: {path.relative_to(ROOT)}")


def _channel(spec: TopicSpec) -> dict[str, Any]:
    made: dict[str, Any] = {
        "address": _address(spec.name),
        "messages": {
            _message_id(event): {"$ref": f"#/components/messages/{_message_id(event)}"}
            for event in CARRIES[spec.name]
        },
        "bindings": {
            "kafka": {
                "topic": spec.name.replace(f".{AGENCY}.", ".<agency>."),
                "partitions": spec.partitions,
            }
        },
        "x-retention-hours": spec.retention_hours,
        "x-quarantine": topics.quarantine(_address(spec.name)),
    }
    if "{agency}" in made["address"]:
        made["parameters"] = {"agency": {"description": "Agency id, such as northmoor-idva."}}
    return made


def _operations() -> Iterator[tuple[str, Any]]:
    for spec in specs():
        channel = _slug(spec.name)
        for action, parties in (("send", spec.producers), ("receive", spec.consumers)):
            for party in parties:
                made: dict[str, Any] = {
                    "action": action,
                    "channel": {"$ref": f"#/channels/{channel}"},
                    "tags": [{"name": party}],
                }
                if action == "receive":
                    own = "{agency}" if party == AGENCY else party
                    made["bindings"] = {
                        "kafka": {
                            "groupId": {"type": "string", "description": f"Begins with `{own}.`"}
                        }
                    }
                yield f"{party}-{action}-{channel}", made


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.TYPE,
        "title": event.__name__,
        "description": _words(event),
        "contentType": CONTENT_TYPE,
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"$ref": "#/components/schemas/SealedEnvelope"},
        "x-data": {"$ref": f"#/components/schemas/{_message_id(event)}"},
        "x-version": event.VERSION,
    }


def _schemas(event: type[Event]) -> dict[str, Any]:
    """Return the event's schema and those of its parts, each under its own name."""
    whole = event.model_json_schema(by_alias=True, ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = whole.pop("$defs", {})
    return {**parts, _message_id(event): whole}


def _envelope() -> dict[str, Any]:
    recipient = {
        "type": "object",
        "required": ["header", "encrypted_key"],
        "properties": {"header": {"type": "object"}, "encrypted_key": _MEMBER},
    }
    names = ("protected", "aad", "iv", "ciphertext", "tag")
    return {
        "title": "SealedEnvelope",
        "description": "JWE General JSON (RFC 7516 section 7.2.1) around a compact JWS; "
        "hub-event+jwe v1. Its size tells one of four classes only.",
        "type": "object",
        "additionalProperties": False,
        "required": [*names, "recipients"],
        "properties": {
            **dict.fromkeys(names, _MEMBER),
            "recipients": {"type": "array", "items": recipient, "minItems": 1},
        },
    }


def _headers() -> dict[str, Any]:
    return {
        "title": "Headers",
        "description": "CloudEvents 1.0 metadata for routing and tracing; never used for a "
        "decision, and equal to what is authenticated inside.",
        "type": "object",
        "required": ["ce_id", "ce_type", "ce_source", "content-type", "ce_specversion"],
        "properties": {
            "ce_id": {"type": "string", "format": "uuid"},
            "ce_type": {"const": SEALED_TYPE},
            "ce_source": _TEXT,
            "content-type": {"const": CONTENT_TYPE},
            "ce_specversion": {"const": "1.0"},
            "traceparent": _TEXT,
        },
    }


def _fields(event: type[Event]) -> Iterator[str]:
    yield "| Field | Type | Needed |"
    yield "|---|---|---|"
    schema = event.model_json_schema(by_alias=True, ref_template="{model}")
    needed = set(schema.get("required", ()))
    for name, about in schema["properties"].items():
        yield f"| `{name}` | {_type(about)} | {'yes' if name in needed else ''} |"
    for part, inner in schema.get("$defs", {}).items():
        members = ", ".join(
            f"`{name}` {_type(about)}" for name, about in inner["properties"].items()
        )
        yield f"| *{part}* | {members} | |"


def _type(about: Mapping[str, Any]) -> str:
    if "$ref" in about:
        return f"*{about['$ref']}*"
    if "anyOf" in about:
        return " or ".join(_type(each) for each in about["anyOf"])
    if "enum" in about:
        return " / ".join(f"`{value}`" for value in about["enum"])
    if about.get("type") == "array":
        return f"list of {_type(about['items'])}"
    return str(about.get("format") or about.get("type") or "any")


def _words(event: type[Event]) -> str:
    return " ".join((inspect.getdoc(event) or "").split()).replace("``", "`")


def _message_id(event: type[Event]) -> str:
    return f"{event.__name__}V{event.VERSION}"


def _address(name: str) -> str:
    return name.replace(f".{AGENCY}.", ".{agency}.")


def _slug(name: str) -> str:
    return name.replace(".", "-")


def _who(parties: Sequence[str]) -> str:
    return (
        "every service"
        if tuple(parties) == topics.SERVICES
        else ", ".join(f"the {p}" if p == AGENCY else p for p in parties)
    )


if __name__ == "__main__":
    main()
