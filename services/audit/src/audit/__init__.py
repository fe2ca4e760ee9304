"""The transparency log: sole writer, public reader, auditor queries."""
