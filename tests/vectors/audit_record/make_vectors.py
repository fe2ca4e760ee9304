"""Write the golden files of the audit record where there are none. One that exists is never changed:
each version is frozen."""

import sys
from pathlib import Path

from tests.vectors.audit_record import cases, cases_v2

FOLDER = Path(__file__).parent


def main() -> int:
    """Answer 1 when an existing file differs: the change needs a further version."""
    frozen = 0
    for name, content in {**cases.files(), "record_v2.json": cases_v2.file()}.items():
        path = FOLDER / name
        if not path.exists():
            path.write_bytes(content)
            print(f"new: {name}")
        elif path.read_bytes() != content:
            frozen = 1
            print(f"frozen, not changed: {name}")
    return frozen


if __name__ == "__main__":
    sys.exit(main())
