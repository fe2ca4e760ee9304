"""Records and commitments of audit record v2 with fixed salts, and records that v2 refuses."""

import json
from typing import Any
from uuid import UUID

from hubformats.audit_record import (
    Leaf,
    check_commitment,
    inputs_commitment,
    reason_commitment,
    record_hash,
    related,
    shown_commitment,
)
from hubformats.canonical import b64u, canonical
from tests.vectors.audit_record.cases import FULL as FULL_V1
from tests.vectors.audit_record.cases import HANDLE, HASH

OTHER = "zZ3Xh2mP0aR8sT4uV6wY1Q"
SMALLEST: dict[str, Any] = {
    "v": 2,
    "id": "01932000-0000-7000-8000-000000000001",
    "te": 1_795_228_215_123_456,
    "op": "heartbeat",
    "out": "done",
    "svc": "referral",
}
FULL: dict[str, Any] = (
    FULL_V1
    | SMALLEST
    | {
        "op": "correction",
        "out": "permit",
        "svc": "sharing",
        "sub": [HANDLE, OTHER],
        "dlb": "P3_necessary",
        "dsp": "sch8_1",
        "dcr": "art10_official",
        "dgw": "common_law",
        "dau": "ChA2004_11",
        "dcf": "public_interest",
        "rlb": "6ea_safeguarding",
        "rsp": "9g_para10",
        "rcr": "9g_para10",
        "hum": "named",
        "agv": "2.0",
        "rlv": "northmoor-2026-04-01",
        "sw": HASH,
        "cfg": HASH,
        "vc": HASH,
        "ih": HASH,
        "vd": HASH,
        "tpl": "encompass-1",
        "cks": "ntp",
        "cko": 5,
        "rel": [HASH, b64u(bytes(range(32, 64)))],
        "obo": OTHER,
        "au2": HANDLE,
        "st": "confirmed",
        "sr": HASH,
        "pr": HASH,
        "kr": HANDLE,
    }
)
WITHHELD: dict[str, Any] = SMALLEST | {
    "op": "disclosure",
    "out": "withhold",
    "svc": "sharing",
    "act": HANDLE,
    "org": "svc:sharing",
    "role": "system",
    "rt": "case",
    "case": HANDLE,
    "res": OTHER,
    "ag": HASH,
    "dec": "01932000-0000-7000-8000-000000000002",
    "rcp": "northmoor-housing",
    "hum": "none",
    "ih": HASH,
    "whc": HASH,
}
REASONED: dict[str, Any] = SMALLEST | {
    "op": "emergency_release",
    "out": "permit",
    "svc": "sharing",
    "bg": True,
    "hum": "named",
    "rel": [HASH],
    "sr": HASH,
    "pr": HASH,
    "kr": HANDLE,
}
COVER: dict[str, Any] = SMALLEST | {"op": "cover", "svc": "sharing", "sw": HASH}
GOOD: dict[str, dict[str, Any]] = {
    "smallest": SMALLEST,
    "full": FULL,
    "withheld": WITHHELD,
    "with an account": REASONED,
    "cover": COVER,
}
_ANSWER = '{"version":3,"vetoes":[]}'
_NO_PART = {name: value for name, value in REASONED.items() if name != "kr"}


def _bad(code: str, changes: dict[str, Any], base: dict[str, Any] | None = None) -> tuple[str, str]:
    return canonical((base or SMALLEST) | changes).decode(), code


BAD: dict[str, tuple[str, str]] = {
    "not JSON": ("{", "record-malformed"),
    "missing field": (
        canonical({k: v for k, v in SMALLEST.items() if k != "svc"}).decode(),
        "record-malformed",
    ),
    "later version": _bad("record-version-unknown", {"v": 3}),
    "a name": _bad("record-field-unknown", {"name": "Marta Quillfeather"}),
    "a chain": _bad("record-field-unknown", {"prev": HASH}),
    "invented operation": _bad("record-word-unknown", {"op": "peek"}),
    "invented outcome": _bad("record-word-unknown", {"out": "maybe"}),
    "invented decider": _bad("record-word-unknown", {"hum": "machine"}),
    "a name for a code": _bad("record-type-wrong", {"role": "Marta Quillfeather"}),
    "text beyond ASCII": _bad("record-type-wrong", {"cl": "señora"}),
    "a line break": _bad("record-type-wrong", {"why": "a\nb"}),
    "empty text": _bad("record-type-wrong", {"why": ""}),
    "text too long": _bad("record-type-wrong", {"why": "x" * 201}),
    "number as text": _bad("record-type-wrong", {"cko": "5"}),
    "boolean as number": _bad("record-type-wrong", {"n": True}),
    "negative bound": _bad("record-type-wrong", {"cko": -1}),
    "false emergency": _bad("record-type-wrong", {"bg": False}),
    "subject id in clear": _bad("record-type-wrong", {"sub": [SMALLEST["id"]]}),
    "no subject at all": _bad("record-type-wrong", {"sub": []}),
    "65 subjects": _bad("record-type-wrong", {"sub": [HANDLE] * 65}),
    "17 related": _bad("record-type-wrong", {"rel": [HASH] * 17}),
    "id in related": _bad("record-type-wrong", {"rel": [SMALLEST["id"]]}),
    "id is no UUID": _bad("record-type-wrong", {"id": "1"}),
    "decision is no UUID": _bad("record-type-wrong", {"dec": "decision-1"}),
    "delivery is no UUID": _bad("record-type-wrong", {"dl": "delivery-1"}),
    "a person's id for a handle": _bad("record-type-wrong", {"act": "officer-7"}),
    "handle in a second spelling": _bad("record-type-wrong", {"act": HANDLE[:-1] + "B"}),
    "short commitment": _bad("record-type-wrong", {"ih": "AAAA"}),
    "padded commitment": _bad("record-type-wrong", {"whc": HASH + "="}),
    "a part without its key": (canonical(_NO_PART).decode(), "record-part-incomplete"),
    "a key without its part": _bad("record-part-incomplete", {"kr": HANDLE}),
    "withheld and why": _bad("record-says-too-much", {"why": "conflict"}, WITHHELD),
    "withheld and how many": _bad("record-says-too-much", {"subn": 3}, WITHHELD),
    "withheld and whom": _bad("record-says-too-much", {"sub": [HANDLE]}, WITHHELD),
    "withheld and what": _bad("record-says-too-much", {"fs": "danger_place"}, WITHHELD),
    "withheld and at which version": _bad("record-says-too-much", {"rv": 3}, WITHHELD),
    "spaces": (json.dumps(SMALLEST, sort_keys=True), "record-not-canonical"),
    "unsorted": (json.dumps(SMALLEST, separators=(",", ":")), "record-not-canonical"),
    "too large": _bad("record-too-large", {"why": "x" * 9_000}),
}


def file() -> bytes:
    """The golden file."""
    salt = bytes(range(100, 132))
    good = []
    for number, (name, fields) in enumerate(GOOD.items(), 1):
        record = canonical(fields)
        h = record_hash(salt, record)
        leaf = Leaf(
            src="kq3Xh2mP0aR8sT4u", ep=2, seq=number, tr=1_795_228_215_200_000, h=h
        ).encode()
        good.append(
            {
                "name": name,
                "record": record.decode(),
                "salt": b64u(salt),
                "h": h,
                "leaf": leaf.decode(),
            }
        )
    one, two = UUID(SMALLEST["id"]), UUID("01932000-0000-7000-8000-000000000009")
    whole = {
        "good": good,
        "commitments": [
            {"field": field, "byte": byte, "salt": b64u(salt), "of": of, "is": made}
            for field, byte, of, made in (
                ("ih", 0x53, HASH, inputs_commitment(salt, HASH)),
                ("vd", 0x54, "bytes shown", shown_commitment(salt, b"bytes shown")),
                ("vc", 0x55, _ANSWER, check_commitment(salt, _ANSWER.encode())),
                ("whc", 0x57, "conflict", reason_commitment(salt, "conflict")),
            )
        ],
        "related": {"byte": 0x56, "record": str(one), "other": str(two), "is": related(one, two)},
        "bad": [{"name": name, "record": text, "code": code} for name, (text, code) in BAD.items()],
    }
    return json.dumps(whole, indent=1, ensure_ascii=False).encode() + b"\n"
