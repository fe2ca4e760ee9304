"""Single entries with their proofs, and a check of somebody's proof."""

from typing import Annotated

from fastapi import APIRouter, Path, Request
from pydantic import Field, StringConstraints
from starlette.responses import PlainTextResponse

from audit.api import desk
from audit.api.desk import EntryOut, LogDesk, Read
from audit.ports import Found
from audit.usecases import queries
from common.access import Granted
from common.models import ApiModel
from common.problems import Problem
from common.web import guard
from hubformats.canonical import CanonicalError, b64u, unb64u
from hubformats.tlog import ProofRefused, verify_proof

router = APIRouter(prefix="/v1", tags=["entries"])
Verify = Annotated[Granted, guard.requires("audit.verify", operation="operation")]
ProofText = Annotated[
    str, StringConstraints(strip_whitespace=False, min_length=1, max_length=20_000)
]
"""Kept to the last newline: a signed note that lost it is no note any more."""
Index = Annotated[int, Path(ge=0, le=2**53)]


class ProvenEntryOut(EntryOut):
    """An entry with everything an outsider needs to check it: exact record and leaf bytes and salt
    (base64url), and a tlog-proof.
    """

    record_bytes: str
    salt: str
    leaf: str
    proof: ProofText
    verified: bool = Field(
        description="Checked here: the record is the one its leaf commits to, and the leaf is in "
        "the signed tree"
    )


class ProofIn(ApiModel):
    """A leaf (base64url of its exact bytes) and a tlog-proof of it."""

    leaf: Annotated[str, Field(min_length=1, max_length=2_000)]
    proof: ProofText


class VerificationOut(ApiModel):
    """Whether the proof holds under this log's key; `code` says why not."""

    verified: bool
    code: str = ""
    index: int | None = None
    size: int | None = None


@router.get("/entries/{index}", summary="Read one entry with its proof")
async def read_entry(request: Request, index: Index, granted: Read) -> ProvenEntryOut:
    """One entry, under the purpose last stated by POST /v1/queries; opening it is itself recorded
    first.
    """
    at = desk.writable(request)
    found, proof = await _opened(at, granted, index)
    entry = desk.shown(found)
    return ProvenEntryOut(
        **entry.model_dump(by_alias=False),
        record_bytes=b64u(found.record),
        salt=b64u(found.salt),
        leaf=b64u(found.leaf),
        proof=proof,
        verified=entry.intact and _proves(proof, found.leaf, at.vkey),
    )


@router.get(
    "/entries/{index}/proof",
    summary="The tlog-proof of one entry",
    response_class=PlainTextResponse,
)
async def read_proof(request: Request, index: Index, granted: Read) -> PlainTextResponse:
    """A C2SP tlog-proof under the newest signed head, for any verifier."""
    _, proof = await _opened(desk.writable(request), granted, index)
    return PlainTextResponse(proof)


@router.post("/verifications", summary="Check a proof")
async def check_proof(request: Request, body: ProofIn, _granted: Verify) -> VerificationOut:
    """Checks a leaf and its proof against this log's key.

    Better checked by your own software: docs/audit-format.md.
    """
    try:
        proven = verify_proof(body.proof, unb64u(body.leaf), desk.of(request).vkey)
    except ProofRefused as refused:
        return VerificationOut(verified=False, code=refused.code)
    except CanonicalError:
        return VerificationOut(verified=False, code="leaf-malformed")
    return VerificationOut(verified=True, index=proven.index, size=proven.size)


async def _opened(at: LogDesk, granted: Granted, index: int) -> tuple[Found, str]:
    """The entry and its proof, after the opening was recorded; refused and absent entries take the
    same road.
    """
    purpose = await at.store.read(lambda view: queries.purpose_now(view, granted, at.desk))
    await at.store.write(lambda tx: queries.open_entry(tx, granted, purpose, index))
    found = await at.store.read(lambda view: queries.entry(view, granted, at.desk, index))
    try:
        return found, await at.sequencer.prove(index)
    except IndexError:
        # Committed in this moment and not yet signed: the next head, some milliseconds away, covers
        # it.
        raise Problem("unavailable", headers={"Retry-After": "1"}) from None


def _proves(proof: str, leaf: bytes, vkey: str) -> bool:
    try:
        verify_proof(proof, leaf, vkey)
    except ProofRefused:
        return False
    return True
