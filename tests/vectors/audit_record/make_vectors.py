"""Write the golden file of audit record v1 if there is none. One that exists is never changed: v1
is frozen."""

import sys
from pathlib import Path

from tests.vectors.audit_record.cases import files

FOLDER = Path(__file__).parent


def main() -> int:
    """Answer 1 when an existing file differs: the change needs a record v2."""
    frozen = 0
    for name, content in files().items():
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
