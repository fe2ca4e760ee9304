"""Makes tlog.json: proofs, notes and checkpoints of a small log, good ones and one per defect.

Run: python tests/vectors/tlog/make_vectors.py
"""

import base64
import json
from pathlib import Path
from typing import Any, Final

from audit.log.model.merkle import CompactRange, RightEdge, TileHashes
from hubformats.tlog import Checkpoint, Note, Signer, format_proof, leaf_hash, parse_note

FILE: Final = Path(__file__).with_name("tlog.json")
ORIGIN: Final = "log.example.org/vectors"
SIZE: Final = 70
ENTRIES: Final = [f"entry {number}".encode() for number in range(SIZE)]
SIGNER: Final = Signer(ORIGIN, bytes(range(32)))
WITNESS: Final = Signer("witness.example.org", bytes(range(1, 33)))


def b64(data: bytes) -> str:
    """Standard base64, as C2SP writes it."""
    return base64.b64encode(data).decode()


def root(size: int) -> bytes:
    """The root over the first `size` entries."""
    made = CompactRange(0, [])
    for entry in ENTRIES[:size]:
        made.append(leaf_hash(entry))
    return made.root()


def tree(size: int) -> TileHashes:
    """The tree over the first `size` entries."""
    edge = RightEdge(0, []).grow([leaf_hash(entry) for entry in ENTRIES[:size]]).edge()
    return TileHashes(size, lambda level, _: edge.levels[level])


def inclusion() -> list[dict[str, Any]]:
    """Every defect of an inclusion proof once, around good ones."""
    made: list[dict[str, Any]] = []
    for index, size in ((0, 1), (0, 2), (3, 7), (64, 70), (69, 70), (31, 64)):
        good: dict[str, Any] = {
            "leaf": b64(ENTRIES[index]),
            "index": index,
            "size": size,
            "path": [b64(h) for h in tree(size).inclusion(index)],
            "root": b64(root(size)),
        }
        made.append({"name": f"leaf-{index}-of-{size}", "ok": True, **good})
    good = {key: value for key, value in made[3].items() if key not in {"name", "ok"}}
    path = good["path"]
    made += [
        {"name": "index-of-the-neighbour", "ok": False, **good, "index": 65},
        {"name": "index-outside-the-tree", "ok": False, **good, "index": 70},
        {"name": "another-entry", "ok": False, **good, "leaf": b64(b"entry 63")},
        {"name": "a-hash-too-many", "ok": False, **good, "path": [*path, path[0]]},
        {"name": "a-hash-too-few", "ok": False, **good, "path": path[:-1]},
        {"name": "hashes-in-the-wrong-order", "ok": False, **good, "path": path[::-1]},
        {"name": "another-size", "ok": False, **good, "size": 66},
        {
            "name": "a-short-hash",
            "ok": False,
            **good,
            "path": [b64(base64.b64decode(path[0])[:-1]), *path[1:]],
        },
        {"name": "another-root", "ok": False, **good, "root": b64(root(69))},
    ]
    return made


def consistency() -> list[dict[str, Any]]:
    """Every defect of a consistency proof once, around good ones."""
    made: list[dict[str, Any]] = []
    for old, new in ((1, 1), (1, 70), (6, 7), (64, 70), (69, 70), (33, 65)):
        good: dict[str, Any] = {
            "oldSize": old,
            "oldRoot": b64(root(old)),
            "newSize": new,
            "newRoot": b64(root(new)),
            "path": [b64(h) for h in tree(new).consistency(old)],
        }
        made.append({"name": f"{old}-to-{new}", "ok": True, **good})
    good = {key: value for key, value in made[5].items() if key not in {"name", "ok"}}
    path = good["path"]
    made += [
        {
            "name": "from-nothing-there-is-no-proof",
            "ok": False,
            "oldSize": 0,
            "oldRoot": b64(root(0)),
            "newSize": 7,
            "newRoot": b64(root(7)),
            "path": [],
        },
        {"name": "the-log-shrank", "ok": False, **good, "oldSize": 66},
        {
            "name": "same-size-other-root",
            "ok": False,
            "oldSize": 7,
            "oldRoot": b64(root(7)),
            "newSize": 7,
            "newRoot": b64(root(6)),
            "path": [],
        },
        {"name": "forked-old-root", "ok": False, **good, "oldRoot": b64(root(32))},
        {"name": "forked-new-root", "ok": False, **good, "newRoot": b64(root(64))},
        {"name": "hash-too-many", "ok": False, **good, "path": [*path, path[0]]},
        {"name": "hash-too-few", "ok": False, **good, "path": path[1:]},
    ]
    return made


def proofs() -> list[dict[str, Any]]:
    """tlog-proof texts for one entry: verbatim files, good and spoilt."""
    text = Checkpoint(ORIGIN, SIZE, root(SIZE)).text()
    note, path = SIGNER.sign(text), tree(SIZE).inclusion(42)
    good = format_proof(42, path, note)
    witnessed = Note(
        text, (*parse_note(note).signatures, *parse_note(WITNESS.sign(text)).signatures)
    ).format()
    other = Signer(ORIGIN, b"\x09" * 32)
    texts = {
        "good": (True, good),
        "with-a-witness-line": (True, format_proof(42, path, witnessed)),
        "with-an-unauthenticated-extra": (True, good.replace("index", "extra eA==\nindex", 1)),
        "signed-by-another-key": (False, format_proof(42, path, other.sign(text))),
        "signed-by-the-witness-alone": (False, format_proof(42, path, WITNESS.sign(text))),
        "size-changed-after-signing": (
            False,
            format_proof(42, path, note.replace("\n70\n", "\n71\n")),
        ),
        "root-of-another-size": (
            False,
            format_proof(42, path, SIGNER.sign(Checkpoint(ORIGIN, SIZE, root(69)).text())),
        ),
        "another-logs-origin": (
            False,
            format_proof(
                42, path, SIGNER.sign(Checkpoint("log.example.org/other", SIZE, root(SIZE)).text())
            ),
        ),
        "index-with-a-leading-zero": (False, good.replace("index 42", "index 042")),
        "crlf": (False, good.replace("\n", "\r\n")),
        "final-newline-lost": (False, good[:-1]),
        "header-of-another-version": (False, good.replace("@v1", "@v2")),
        "base64-with-spare-bits": (
            False,
            good.replace(
                b64(path[0]),
                b64(path[0])[:-2] + "B=" if b64(path[0])[-2] != "B" else b64(path[0])[:-2] + "C=",
            ),
        ),
    }
    return [
        {"name": name, "ok": ok, "entry": b64(ENTRIES[42]), "proof": proof}
        for name, (ok, proof) in texts.items()
    ]


def vectors() -> str:
    """The file's text; the same every time, because Ed25519 is deterministic."""
    made = {
        "vkey": SIGNER.verifier.format(),
        "inclusion": inclusion(),
        "consistency": consistency(),
        "proofs": proofs(),
    }
    return json.dumps(made, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(vectors(), "utf-8")
    print(f"wrote {FILE.name}")
