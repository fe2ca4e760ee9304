"""Records, leaves and commitments of audit record v1 with fixed salts, and records that v1
refuses."""

import json
from typing import Any

from hubformats.audit_record import Leaf, content_commitment, record_hash, sealed_part_commitment
from hubformats.canonical import b64u, canonical

HANDLE = "kq3Xh2mP0aR8sT4uV6wY1A"
HASH = b64u(bytes(range(32)))
SMALLEST: dict[str, Any] = {
    "v": 1,
    "id": "01932000-0000-7000-8000-000000000001",
    "te": 1_795_228_215_123_456,
    "op": "heartbeat",
    "out": "done",
    "svc": "referral",
}
FULL: dict[str, Any] = SMALLEST | {
    "op": "disclosure",
    "out": "permit",
    "svc": "sharing",
    "act": HANDLE,
    "org": "northmoor-police",
    "role": "officer",
    "aal": "urn:example:acr:2",
    "ses": HANDLE,
    "sub": [HANDLE, HANDLE[::-1]],
    "subn": 2,
    "case": HANDLE,
    "rt": "package",
    "res": HANDLE,
    "rv": 3,
    "fs": "idva-core",
    "lb": "dpa-35-2-b",
    "cond": "sch8-safeguarding",
    "gw": "cda-1998-s115",
    "pu": "protect-victim",
    "jc": "J1",
    "cl": "NM-4.2",
    "ag": HASH,
    "dec": "01932000-0000-7000-8000-000000000002",
    "rcp": "northmoor-idva",
    "ch": "kafka",
    "dl": "01932000-0000-7000-8000-000000000003",
    "dc": HASH,
    "ed": HASH,
    "rd": HASH,
    "ss": HASH,
    "sa": HASH,
    "ps": HASH,
    "pa": HASH,
    "ks": HANDLE,
    "ka": HANDLE,
    "why": "necessary",
    "bg": True,
    "n": 1,
}

GOOD: dict[str, dict[str, Any]] = {"smallest": SMALLEST, "full": FULL}

BAD: dict[str, tuple[str, str]] = {
    "not JSON": ("{", "record-malformed"),
    "not an object": ("[]", "record-malformed"),
    "duplicate key": ('{"v":1,"v":1}', "record-malformed"),
    "missing field": (
        canonical({k: v for k, v in SMALLEST.items() if k != "op"}).decode(),
        "record-malformed",
    ),
    "later version": (canonical(SMALLEST | {"v": 2}).decode(), "record-version-unknown"),
    "a name": (
        canonical(SMALLEST | {"name": "Marta Quillfeather"}).decode(),
        "record-field-unknown",
    ),
    "a chain": (canonical(SMALLEST | {"prev": HASH}).decode(), "record-field-unknown"),
    "invented operation": (canonical(SMALLEST | {"op": "peek"}).decode(), "record-word-unknown"),
    "invented outcome": (canonical(SMALLEST | {"out": "maybe"}).decode(), "record-word-unknown"),
    "text beyond ASCII": (canonical(SMALLEST | {"why": "señora"}).decode(), "record-type-wrong"),
    "a line break": (canonical(SMALLEST | {"why": "a\nb"}).decode(), "record-type-wrong"),
    "empty text": (canonical(SMALLEST | {"why": ""}).decode(), "record-type-wrong"),
    "text too long": (canonical(SMALLEST | {"why": "x" * 201}).decode(), "record-type-wrong"),
    "number as text": (canonical(SMALLEST | {"te": "1"}).decode(), "record-type-wrong"),
    "boolean as number": (canonical(SMALLEST | {"n": True}).decode(), "record-type-wrong"),
    "negative count": (canonical(SMALLEST | {"n": -1}).decode(), "record-type-wrong"),
    "false emergency": (canonical(SMALLEST | {"bg": False}).decode(), "record-type-wrong"),
    "subject id in clear": (
        canonical(SMALLEST | {"sub": [SMALLEST["id"]]}).decode(),
        "record-type-wrong",
    ),
    "65 subjects": (canonical(SMALLEST | {"sub": [HANDLE] * 65}).decode(), "record-type-wrong"),
    "id is no UUID": (canonical(SMALLEST | {"id": "1"}).decode(), "record-type-wrong"),
    "short commitment": (canonical(SMALLEST | {"dc": "AAAA"}).decode(), "record-type-wrong"),
    "padded commitment": (canonical(SMALLEST | {"dc": HASH + "="}).decode(), "record-type-wrong"),
    "spaces": (json.dumps(SMALLEST, sort_keys=True), "record-not-canonical"),
    "unsorted": (json.dumps(SMALLEST, separators=(",", ":")), "record-not-canonical"),
    "too large": (canonical(SMALLEST | {"why": "x" * 9_000}).decode(), "record-too-large"),
}

BAD_LEAVES: dict[str, tuple[str, str]] = {
    "not an object": ("1", "leaf-malformed"),
    "extra field": (
        f'{{"ep":1,"h":"{HASH}","note":1,"seq":1,"src":"s","tr":1,"v":1}}',
        "leaf-malformed",
    ),
    "other version": (f'{{"ep":1,"h":"{HASH}","seq":1,"src":"s","tr":1,"v":2}}', "leaf-malformed"),
    "negative": (f'{{"ep":1,"h":"{HASH}","seq":-1,"src":"s","tr":1,"v":1}}', "leaf-malformed"),
    "boolean": (f'{{"ep":true,"h":"{HASH}","seq":1,"src":"s","tr":1,"v":1}}', "leaf-malformed"),
    "spaces": (f'{{"ep": 1,"h":"{HASH}","seq":1,"src":"s","tr":1,"v":1}}', "leaf-not-canonical"),
    "too long": ('{"src":"' + "s" * 1_100 + '"}', "leaf-malformed"),
}


def files() -> dict[str, bytes]:
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
    whole = {
        "good": good,
        "content": {
            "salt": b64u(salt),
            "content": '{"a":1}',
            "dc": content_commitment(salt, b'{"a":1}'),
        },
        "sealed_part": {
            "salt": b64u(salt),
            "plaintext": '{"a":1}',
            "ps": sealed_part_commitment(salt, b'{"a":1}'),
        },
        "bad": [{"name": name, "record": text, "code": code} for name, (text, code) in BAD.items()],
        "bad_leaves": [
            {"name": name, "leaf": text, "code": code} for name, (text, code) in BAD_LEAVES.items()
        ],
    }
    return {"record_v1.json": json.dumps(whole, indent=1, ensure_ascii=False).encode() + b"\n"}
