"""Stories of one case each: forms sent and vetoes set, in order, for the golden snapshots."""

import copy
import json
from pathlib import Path
from typing import Any, Final

_EXAMPLES: Final = Path(__file__).parents[2] / "examples"
FULL: Final[dict[str, Any]] = json.loads((_EXAMPLES / "referral-full.json").read_text("utf-8"))
URGENT: Final[dict[str, Any]] = json.loads((_EXAMPLES / "referral-urgent.json").read_text("utf-8"))


def full(**changes: Any) -> dict[str, Any]:
    """The full example with some members replaced."""
    return {**copy.deepcopy(FULL), **changes}


def urgent(**changes: Any) -> dict[str, Any]:
    """The urgent example with some members replaced."""
    return {**copy.deepcopy(URGENT), **changes}


def _open_address() -> dict[str, Any]:
    form = full()
    form["people"][0]["addresses"] = [
        {"lines": ["14 Larkspur Row"], "postcode": "ZZ99 3VZ", "areaCode": "Somewhere else"}
    ]
    form["people"][2] |= {"role": "household_member", "birthDates": ["2019-05-01"]}
    form["safeContact"]["means"].append(
        {"channel": "post", "value": "8 Corran Steps", "safe": "no"}
    )
    return form


def _judged() -> dict[str, Any]:
    form = full(source="third_party")
    form["risk"]["answers"] = form["risk"]["answers"][:2]
    form["risk"]["judgement"] = {"raises": True, "reason": "She is very frightened."}
    return form


def _named_as_before() -> dict[str, Any]:
    form = full()
    form["people"][0]["name"] = {"full": URGENT["name"]}
    return form


_VETO: Final = {"veto": {"agency": "northmoor-housing", "category": "*"}}
_PHONE: Final = {"veto": {"agency": "*", "category": "victim_phone"}}

STORIES: Final[dict[str, list[dict[str, Any]]]] = {
    "full": [{"form": full()}],
    "full-open-address": [{"form": _open_address()}],
    "full-judged-third-party": [{"form": _judged()}],
    "full-not-assessed": [{"form": full(risk=None)}],
    "urgent": [{"form": urgent()}],
    "urgent-shielded": [{"form": urgent(placeShielded=True, area="nowhere")}],
    "urgent-callback": [{"form": urgent(callback={"phone": "07700 900123", "note": "noon"})}],
    "full-vetoed-twice": [{"form": full()}, _VETO, _PHONE],
    "completed": [{"form": urgent()}, {"form": full(), "completes": True}],
    "completed-shielded-vetoed": [
        {"form": urgent(placeShielded=True)},
        _VETO,
        {"form": _open_address(), "completes": True},
        _PHONE,
    ],
    "completed-not-assessed": [
        {"form": urgent()},
        {"form": full(risk=None), "completes": True},
        _VETO,
    ],
    "completed-named-as-before": [
        {"form": urgent()},
        {"form": _named_as_before(), "completes": True},
    ],
}
