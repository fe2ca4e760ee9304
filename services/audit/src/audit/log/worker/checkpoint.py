"""The log's own signature: heads are made here and nowhere else."""

from hubformats.tlog import Checkpoint, Signer, Verifier, open_checkpoint


class HeadSigner:
    """Signs heads of one log.

    The seed stays in this object; Ed25519 is deterministic, so a repeated head is the same bytes.
    """

    def __init__(self, origin: str, seed: bytes) -> None:
        self._signer = Signer(origin, seed)

    @property
    def verifier(self) -> Verifier:
        """The public key that outsiders check heads with."""
        return self._signer.verifier

    def sign(self, size: int, root: bytes) -> str:
        """Sign a checkpoint.

        The caller vouches that this (size, root) extends every head signed before.
        """
        return self._signer.sign(Checkpoint(self.verifier.name, size, root).text())

    def open(self, note: str) -> Checkpoint:
        """Read back a head of ours. Raises ProofRefused."""
        return open_checkpoint(note, self.verifier)
