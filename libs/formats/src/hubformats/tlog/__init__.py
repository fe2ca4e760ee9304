"""Transparency-log formats of C2SP, pure: what anyone needs to check our log without trusting us.
No file, network or clock."""

from hubformats.tlog.checkpoint import (
    Checkpoint,
    Proof,
    Proven,
    format_proof,
    open_checkpoint,
    verify_proof,
)
from hubformats.tlog.note import Note, SignatureLine, Signer, Verifier, parse_note, verify_note
from hubformats.tlog.tree import (
    EMPTY_ROOT,
    ProofRefused,
    leaf_hash,
    node_hash,
    root_from_inclusion,
    verify_consistency,
    verify_inclusion,
)

__all__ = [
    "EMPTY_ROOT",
    "Checkpoint",
    "Note",
    "Proof",
    "ProofRefused",
    "Proven",
    "SignatureLine",
    "Signer",
    "Verifier",
    "format_proof",
    "leaf_hash",
    "node_hash",
    "open_checkpoint",
    "parse_note",
    "root_from_inclusion",
    "verify_consistency",
    "verify_inclusion",
    "verify_note",
    "verify_proof",
]
