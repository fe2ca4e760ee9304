"""Bad referrals: each refused as a documented problem that names the place and repeats nothing,
with nothing stored."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from hubformats.ids import opaque, uuid7
from tests.support.inner_hub import FULL, POLICE, URGENT, InnerHub, inner_hub
from tests.support.modes import Mode
from tests.support.refusals import (
    MARKER,
    STORED,
    changed,
    denials,
    denied_in_the_log,
    leaves,
    objects,
    pointer,
    refused,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hub(mode: Mode, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[InnerHub]:
    """One hub for the whole module."""
    async with inner_hub(tmp_path_factory.mktemp("hub"), mode) as made:
        yield made


def fresh(form: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The form under a reference of its own."""
    return {**form, "externalReference": f"T-{opaque(9)}", **changes}


BAD_DAYS = (
    "31/01/2026",
    "2026-02-30",
    "2026-1-1",
    0,
    1_700_000_000,
    "1700000000",
    True,
    "2026-01-31T00:00:00Z",
    MARKER,
)
BAD_TIMES = (
    "2026-01-31",
    "2026-01-31T00:00:00",
    1_700_000_000,
    "1700000000000000000000",
    "2026-13-01T00:00:00Z",
    f"{MARKER} at midnight",
)
BAD_FLAGS = ("yes", "true", 1, 0, MARKER)


@pytest.mark.parametrize("form", [FULL, URGENT], ids=["full", "urgent"])
async def test_a_value_of_the_wrong_type_is_named_wherever_it_stands(
    hub: InnerHub, form: dict[str, Any]
) -> None:
    before = hub.counts("referral", STORED)
    for path in leaves(form):
        if path == ("form",):
            continue
        body = refused(
            hub, await hub.submit(changed(form, path, {MARKER: MARKER})), 422, "validation-failed"
        )
        named = [fault["pointer"] for fault in body["errors"]]
        assert all(
            place == pointer(path) or place.startswith(f"{pointer(path)}/") for place in named
        ), (pointer(path), body["errors"])
    assert hub.counts("referral", STORED) == before


@pytest.mark.parametrize("form", [FULL, URGENT], ids=["full", "urgent"])
async def test_an_unknown_field_is_named_wherever_it_stands(
    hub: InnerHub, form: dict[str, Any]
) -> None:
    before = hub.counts("referral", STORED)
    for path in objects(form):
        named = changed(form, (*path, "somethingElse"), MARKER)
        refused(
            hub,
            await hub.submit(named),
            422,
            "validation-failed",
            pointer((*path, "somethingElse")),
        )
        hidden = changed(form, (*path, f"{MARKER} 07700 900461"), MARKER)
        refused(hub, await hub.submit(hidden), 422, "validation-failed", pointer((*path, "*")))
    assert hub.counts("referral", STORED) == before


@pytest.mark.parametrize("form", [FULL, URGENT], ids=["full", "urgent"])
async def test_what_was_typed_into_good_fields_does_not_come_back_either(
    hub: InnerHub, form: dict[str, Any]
) -> None:
    """Every text of the form holds the marker; one other field is wrong."""
    marked = form
    for path in leaves(form):
        value: Any = form
        for part in path:
            value = value[part]
        if (
            isinstance(value, str)
            and " " in value
            and "nhsNumber" not in path
            and "postcode" not in path
            and "phone" not in path
        ):
            marked = changed(marked, path, f"{value} {MARKER}")
    assert json.dumps(marked).count(MARKER) >= 2
    refused(hub, await hub.submit({**marked, "area": 7}), 422, "validation-failed", "/area")


DAYS = [("people", 0, "birthDates", 0), ("risk", "assessedOn"), ("safeContact", "lastVerified")]


@pytest.mark.parametrize("bad", BAD_DAYS)
@pytest.mark.parametrize("path", DAYS, ids=pointer)
async def test_a_bad_date_is_refused_not_guessed(
    hub: InnerHub, path: tuple[str | int, ...], bad: Any
) -> None:
    refused(
        hub, await hub.submit(changed(FULL, path, bad)), 422, "validation-failed", pointer(path)
    )


@pytest.mark.parametrize("bad", BAD_TIMES)
async def test_a_bad_time_is_refused_not_guessed(hub: InnerHub, bad: Any) -> None:
    path = ("incident", "occurredAt")
    refused(
        hub, await hub.submit(changed(FULL, path, bad)), 422, "validation-failed", pointer(path)
    )


@pytest.mark.parametrize("bad", BAD_FLAGS)
async def test_a_shield_is_true_or_false_and_nothing_else(hub: InnerHub, bad: Any) -> None:
    path = ("people", 0, "addresses", 0, "shielded")
    refused(
        hub, await hub.submit(changed(FULL, path, bad)), 422, "validation-failed", pointer(path)
    )
    refused(
        hub,
        await hub.submit({**URGENT, "placeShielded": bad}),
        422,
        "validation-failed",
        "/placeShielded",
    )


MEANINGLESS = [
    pytest.param({"area": f"{MARKER}-shire"}, "/area", id="area"),
    pytest.param(
        {"risk": {**FULL["risk"], "version": MARKER}}, "/risk/version", id="instrument-version"
    ),
    pytest.param(
        {"risk": {**FULL["risk"], "answers": [{"concept": "zzmarkerzz", "answer": "yes"}]}},
        "/risk/answers/0/concept",
        id="concept",
    ),
    pytest.param(
        {"risk": {**FULL["risk"], "answers": FULL["risk"]["answers"] * 2}},
        f"/risk/answers/{len(FULL['risk']['answers'])}/concept",
        id="concept-twice",
    ),
    pytest.param({"completes": MARKER}, "/completes", id="completes-no-uuid"),
    pytest.param({"completes": "-" * 36}, "/completes", id="completes-dashes"),
    pytest.param({"completes": str(uuid7())}, "/completes", id="completes-nothing"),
    pytest.param({"kind": MARKER}, "/kind", id="kind"),
    pytest.param({"source": MARKER}, "/source", id="source"),
    pytest.param(
        {"consent": {**FULL["consent"], "lawfulBasis": MARKER}}, "/consent/lawfulBasis", id="basis"
    ),
    pytest.param({"people": FULL["people"][1:]}, "/people", id="no-victim"),
    pytest.param(
        {"people": [*FULL["people"][1:], {"ref": "v", "role": "victim"}]},
        f"/people/{len(FULL['people']) - 1}/name",
        id="no-name",
    ),
    pytest.param(
        {"people": [{"ref": "v", "role": "victim", "name": {"full": MARKER}}, *FULL["people"][1:]]},
        "/people/0",
        id="neither-birth-nor-address",
    ),
    pytest.param(
        {"people": [*FULL["people"], FULL["people"][1]]},
        f"/people/{len(FULL['people'])}/ref",
        id="ref-twice",
    ),
    pytest.param(
        {"safeContact": {"status": "known", "means": []}},
        "/safeContact/means",
        id="known-without-means",
    ),
    pytest.param({"form": MARKER}, "/form", id="form"),
    pytest.param(
        changed(FULL, ("people", 0, "birthDates", 0), "2991-08-23"),
        "/people/0/birthDates/0",
        id="born-in-the-future",
    ),
    pytest.param(
        changed(FULL, ("people", 2, "birthDates"), ["2018-03-30", "2918-03-30"]),
        "/people/2/birthDates/1",
        id="one-of-two",
    ),
    pytest.param(
        changed(FULL, ("incident", "occurredAt"), "2999-01-01T00:00:00Z"),
        "/incident/occurredAt",
        id="happens-in-the-future",
    ),
    pytest.param(
        changed(FULL, ("risk", "assessedOn"), "2998-01-01"),
        "/risk/assessedOn",
        id="assessed-in-the-future",
    ),
    pytest.param(
        changed(FULL, ("safeContact", "lastVerified"), "2062-11-20"),
        "/safeContact/lastVerified",
        id="verified-in-the-future",
    ),
]


@pytest.mark.parametrize(("change", "place"), MEANINGLESS)
async def test_what_no_list_holds_is_named_and_a_dry_run_says_the_same(
    hub: InnerHub, change: dict[str, Any], place: str
) -> None:
    before = hub.counts("referral", STORED)
    body = {
        **fresh(FULL),
        **{name: value for name, value in change.items() if name != "externalReference"},
    }
    real = refused(hub, await hub.submit(body), 422, "validation-failed", place)
    rehearsed = refused(
        hub,
        await hub.submit(body, path="/v1/referrals?dryRun=true"),
        422,
        "validation-failed",
        place,
    )
    assert real["errors"] == rehearsed["errors"]
    assert hub.counts("referral", STORED) == before


BODIES = [
    pytest.param(
        b'{"form": "urgent", "name": "' + b"x" * 2_000_000 + b'"}', 413, "body-too-large", id="2-MB"
    ),
    pytest.param(
        json.dumps(fresh(FULL)).encode().replace(b"Marisol", b"Mar\xff\xfeisol"),
        400,
        "malformed-json",
        id="invalid-utf-8",
    ),
    pytest.param(json.dumps(URGENT).encode("utf-16"), 400, "malformed-json", id="utf-16"),
    pytest.param(json.dumps(fresh(FULL)).encode()[:-20], 400, "malformed-json", id="truncated"),
    pytest.param(
        f'{{"form": "urgent", "form": "{MARKER}"}}'.encode(), 400, "malformed-json", id="name-twice"
    ),
    pytest.param(b'{"form": "urgent", "name": "a\\u0000b"}', 400, "malformed-json", id="nul"),
    pytest.param(
        b'{"form": "urgent", "name": "\\ud800"}', 400, "malformed-json", id="lone-surrogate"
    ),
    pytest.param(b'{"form": NaN}', 400, "malformed-json", id="nan"),
    pytest.param(b"[" * 100_000, 400, "malformed-json", id="deep"),
    pytest.param(MARKER.encode(), 400, "malformed-json", id="no-json"),
    pytest.param(b"[]", 422, "validation-failed", id="array"),
    pytest.param(b"", 422, "validation-failed", id="empty"),
]


@pytest.mark.parametrize(("content", "status", "code"), BODIES)
async def test_an_unreadable_body_is_refused_and_audited(
    hub: InnerHub, content: bytes, status: int, code: str
) -> None:
    before, known = hub.counts("referral", STORED), len(denials(hub, POLICE))
    answer = await hub.call(
        POLICE,
        "POST",
        "referral",
        "/v1/referrals",
        content=content,
        headers={"Content-Type": "application/json"},
    )
    refused(hub, answer, status, code)
    assert hub.counts("referral", STORED) == before
    found = await denied_in_the_log(hub, POLICE, known, code)
    assert {(record["op"], record["out"], record["rt"]) for record in found} == {
        ("denied", "refused", "route")
    }


async def test_a_body_of_another_kind_is_refused(hub: InnerHub) -> None:
    answer = await hub.call(
        POLICE,
        "POST",
        "referral",
        "/v1/referrals",
        content=f"<name>{MARKER}</name>",
        headers={"Content-Type": "text/xml"},
    )
    refused(hub, answer, 415, "unsupported-media-type")
    latin = json.dumps(fresh(FULL), ensure_ascii=False).encode("latin-1", "replace")
    kind = {"Content-Type": "application/json; charset=latin-1"}
    refused(
        hub,
        await hub.call(POLICE, "POST", "referral", "/v1/referrals", content=latin, headers=kind),
        415,
        "unsupported-media-type",
    )


async def test_more_text_than_a_package_can_seal_is_refused_and_just_under_it_arrives(
    hub: InnerHub,
) -> None:
    """A referral that is accepted must be deliverable: the limit is one of the packages, not of the
    request alone.
    """
    before = hub.counts("referral", STORED)
    people = [
        {"ref": f"p-{number}", "role": "household_member", "whereabouts": "w" * 8_000}
        for number in range(18)
    ]
    over = fresh(FULL, people=[*FULL["people"], *people])
    refused(hub, await hub.submit(over), 413, "body-too-large")
    assert hub.counts("referral", STORED) == before
    answer = await hub.submit(fresh(FULL, people=[*FULL["people"], *people[:13]]))
    assert answer.status_code == 201
    assert await hub.outcomes(answer.json()["referralId"]) == {"released"}


async def test_a_parameter_nobody_knows_or_of_the_wrong_type_is_refused(hub: InnerHub) -> None:
    refused(
        hub,
        await hub.submit(fresh(URGENT), path=f"/v1/referrals?dryRun={MARKER}"),
        422,
        "validation-failed",
        "/dryRun",
    )
    refused(
        hub,
        await hub.submit(fresh(URGENT), path=f"/v1/referrals?victim={MARKER}"),
        422,
        "validation-failed",
        "/victim",
    )
    path = f"/v1/referrals/{MARKER}"
    refused(
        hub,
        await hub.call(POLICE, "GET", "referral", path, scope="referral.read"),
        422,
        "validation-failed",
        "/referralId",
    )


async def test_nothing_typed_lies_in_any_file_of_the_hub(hub: InnerHub) -> None:
    """Last in this module: everything refused above left no trace on disk; a referral's own text is
    only there sealed.
    """
    assert (await hub.submit(fresh(URGENT, name=f"{MARKER} Pellworth"))).status_code == 201
    found = [
        path.name
        for path in hub.folder.rglob("*")
        if path.is_file() and MARKER.encode() in path.read_bytes()
    ]
    assert found == []
