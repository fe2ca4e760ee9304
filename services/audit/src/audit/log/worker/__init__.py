"""The sequencer: committed entries become tiles, signed heads and receipts."""
