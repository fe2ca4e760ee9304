"""A log that appends, signs and publishes until it is killed; says on its output what was durable
or promised when.

Lines: `committed FIRST LAST` after the transaction, `receipted SEQ INDEX` after the second one,
`published NOTE-IN-BASE64`.
"""

import base64
import sys
from pathlib import Path

from hubformats.clock import SystemClock
from tests.support.audit_log import LogHarness, check_receipts, records


def say(line: str) -> None:
    """At once, because the next moment may be the last."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(folder: Path, first: int, size: int, batches: int) -> None:
    """Append `batches` batches of `size` records, numbered from `first`."""
    harness = await LogHarness(folder, SystemClock()).open()
    seen = 0
    for number in range(batches):
        start = first + number * size
        await harness.append(records(start, start + size - 1))
        say(f"committed {start} {start + size - 1}")
        await harness.sequencer.round()
        receipts = harness.receipts()
        for place, index in check_receipts(receipts[seen:], harness.log).items():
            say(f"receipted {place[2]} {index}")
        seen = len(receipts)
        await harness.sequencer.publish()
        say(f"published {base64.b64encode(harness.checkpoint.encode()).decode()}")
    await harness.close()
