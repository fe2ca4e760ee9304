"""Write docs/disclosure-states.md from the transition table of disclosures.

`python -m deploy.disclosure_states` writes it; a test holds it to the table.
"""

from pathlib import Path
from typing import Final

from sharing.disclosures.model.disclosure import TRANSITIONS, WAITING, Phase, State

PLACE: Final = Path(__file__).parents[1] / "docs" / "disclosure-states.md"
_HEAD: Final = """# States of a disclosure

Made by `python -m deploy.disclosure_states` from `TRANSITIONS` in
`services/sharing/src/sharing/disclosures/model/disclosure.py`, the only place where these words stand. Do not edit it here.

```mermaid
stateDiagram-v2
"""
_FOOT: Final = """```

A *released* disclosure is *proven* or *promised* towards its recipient; one *without proof* left on a promise that was
broken. Whether it is saved or acknowledged is noted beside its state.
"""


def page() -> str:
    """Write the whole page."""
    lines = [f"    [*] --> {_name(WAITING)}"]
    merged: dict[tuple[Phase, Phase], list[str]] = {}
    for (start, step), end in TRANSITIONS.items():
        merged.setdefault((start, end), []).append(step.value)
    lines += [
        f"    {_name(start)} --> {_name(end)}: {', '.join(steps)}"
        for (start, end), steps in merged.items()
    ]
    return _HEAD + "\n".join(lines) + "\n" + _FOOT


def _name(phase: Phase) -> str:
    if phase.state is not State.RELEASED:
        return phase.state.value
    standing = phase.standing.value if phase.standing else "without_proof"
    return f"{phase.state.value}_{standing}"


if __name__ == "__main__":
    PLACE.write_text(page(), "utf-8")
