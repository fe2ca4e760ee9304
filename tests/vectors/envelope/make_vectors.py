"""Writes the golden files of hub-event+jwe v1, the same bytes each time: `python -m
tests.vectors.envelope.make_vectors`.

v1 is frozen. A file that exists may never come out differently: a defect newly thought of gets a
new file.
"""

from pathlib import Path

from tests.vectors.envelope.cases import files

HERE = Path(__file__).parent


def main() -> None:
    """Write every file; git shows what differs."""
    for name, content in files().items():
        (HERE / name).write_bytes(content)
        print(name, len(content))


if __name__ == "__main__":
    main()
