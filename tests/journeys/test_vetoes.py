"""What stops a disclosure at the last moment: must-not-disclose while sharing is stopped, and the
suspension of an agency; in both modes."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import httpx2
import pytest

from hubpartner.answers import ProblemAnswer
from hubpartner.client import HubClient
from hubpartner.profile import read_profile
from tests.support.cases import (
    CARE,
    IDVA,
    POLICE,
    SUPPORT,
    TOLD,
    counts,
    decided_and_waiting,
    outcomes,
    received,
    standing,
    submitted,
    switch,
    until_entries,
    until_outcomes,
)
from tests.support.fresh_hub import MODES, fresh_hub
from tests.support.hubs import RunningHub, as_agency, wait_for

pytestmark = [pytest.mark.xdist_group("hubs"), pytest.mark.timeout(600)]
RELEASED = dict.fromkeys(TOLD, "released")


@pytest.fixture(scope="module", params=MODES)
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningHub]:
    """One hub per mode for the whole module."""
    with fresh_hub(request.param, tmp_path_factory.mktemp(f"vetoes-{request.param}")) as made:
        yield made


async def between_receipt_and_release(hub: RunningHub) -> dict[str, Any]:
    """A referral whose disclosures have their receipts and have not left; sharing is stopped,
    everything else runs.

    Referral holds its answers about vetoes back until sharing is stopped, so the moment is not a
    matter of luck.
    """
    referral = await decided_and_waiting(hub)
    await switch(hub, "referral", on=False)
    await switch(hub, "audit", on=True)
    waiting = dict.fromkeys(TOLD, ("proven", "no-answer"))
    await wait_for(lambda: standing(hub, referral), lambda found: found == waiting)
    if hub.mode == "stack":
        await asyncio.to_thread(hub.kill, "sharing")
    else:  # one process: the operator's switch is what stops one service there
        await switch(hub, "sharing", on=False)
    await switch(hub, "referral", on=True)
    return referral


async def go_on(hub: RunningHub) -> None:
    """Sharing runs again."""
    if hub.mode == "stack":
        await asyncio.to_thread(hub.restart, "sharing")
    else:
        await switch(hub, "sharing", on=True)


async def forbidden(hub: RunningHub, referral: Mapping[str, Any], agency: str) -> None:
    """The referrer forbids disclosure of its case."""
    await as_agency(
        hub,
        POLICE,
        lambda client: client.forbid_disclosure(
            referral["referralId"], agency=agency, category="*", reason="She asked for it."
        ),
    )


def withheld(entries: list[dict[str, Any]]) -> set[str]:
    """Who is on record as not having been given something. No entry counts the case's versions."""
    assert not any("rv" in e["record"] for e in entries if e["operation"] != "audit_query")
    return {
        e["record"]["rcp"]
        for e in entries
        if (e["operation"], e["outcome"]) == ("disclosure", "withhold")
    }


async def test_must_not_disclose_while_sharing_is_stopped(hub: RunningHub) -> None:
    """Nothing leaves, the referrer sees no release, and each withholding is recorded."""
    before = await counts(hub)
    referral = await between_receipt_and_release(hub)
    await forbidden(hub, referral, "*")
    await go_on(hub)
    logged = await until_entries(hub, referral, lambda found: set(TOLD) <= withheld(found))
    stopped = {e["record"]["rcp"]: e["reason"] for e in logged if e["operation"] == "blocked"}
    assert stopped.keys() == set(TOLD)
    assert not [e for e in logged if e["operation"] == "delivered"]
    assert all(
        state in {"superseded", "blocked"} for state, _ in (await standing(hub, referral)).values()
    )
    assert await counts(hub) == before
    assert "released" not in (await outcomes(hub, referral)).values()


async def test_a_crash_between_the_last_look_and_the_release(hub: RunningHub) -> None:
    """Sharing dies after it was told that nothing stands against it: what is set before it comes
    back counts all the same.
    """
    before = await counts(hub)
    referral = await decided_and_waiting(hub)
    await asyncio.to_thread(hub.kill, "sharing")
    await asyncio.to_thread(_armed, hub)
    if hub.mode == "stack":  # standalone came back with audit running
        await switch(hub, "audit", on=True)
    await wait_for(lambda: asyncio.to_thread(hub.alive, "sharing"), lambda alive: not alive)
    if hub.mode == "stack":
        await forbidden(hub, referral, "*")
        await asyncio.to_thread(hub.restart, "sharing")
        await until_entries(hub, referral, lambda found: set(TOLD) <= withheld(found))
        assert await counts(hub) == before
    else:  # nothing can be set while the only process is down; what it prepared leaves once
        await asyncio.to_thread(hub.restart, "sharing")
        await until_outcomes(hub, referral, lambda found: found == RELEASED)
        assert await counts(hub) == before + Counter(TOLD)


def _armed(hub: RunningHub) -> None:
    extra = {"HUB_TEST_BUILD": "1", "HUB_CRASH_AT": "sharing.release-checked"}
    try:
        hub.restart("sharing", extra)
    except RuntimeError:  # it may reach the point before it is ready
        if hub.alive("sharing"):
            raise


async def test_a_marking_for_one_agency_spares_the_others(hub: RunningHub) -> None:
    """The others get theirs after the new decision, once each; the marked one gets nothing."""
    before = await counts(hub)
    referral = await between_receipt_and_release(hub)
    await forbidden(hub, referral, IDVA)
    await go_on(hub)
    await until_outcomes(
        hub, referral, lambda found: {found.get(CARE), found.get(SUPPORT)} == {"released"}
    )
    logged = await until_entries(hub, referral, lambda found: IDVA in withheld(found))
    assert Counter(e["record"]["rcp"] for e in logged if e["operation"] == "delivered") == Counter(
        [CARE, SUPPORT]
    )
    assert await counts(hub) == before + Counter([CARE, SUPPORT])
    for agency in (CARE, SUPPORT):
        last = (await received(hub, agency))[-1]
        assert last.verdict.standing == "proven"
        assert "rv" not in last.verdict.record, "a version counts what others did to the case"


async def test_a_marking_after_the_release_repeats_nothing(hub: RunningHub) -> None:
    """Those who know everything already are not told again, and nobody learns that another was
    marked; what the marked one had is gone from its list, and a withdrawal stands there.
    """
    referral = await submitted(hub)
    await until_outcomes(hub, referral, lambda found: found == RELEASED)
    before = await counts(hub)
    await forbidden(hub, referral, SUPPORT)
    logged = await until_entries(hub, referral, lambda found: set(TOLD) <= withheld(found))
    reasons = {
        e["record"]["rcp"]: e["reason"]
        for e in logged
        if (e["operation"], e["outcome"]) == ("disclosure", "withhold")
    }
    assert reasons[IDVA] == reasons[CARE] == "nothing-new"
    states = await until_outcomes(hub, referral, lambda found: found[SUPPORT] == "withdrawn")
    assert states == RELEASED | {SUPPORT: "withdrawn"}
    found = await wait_for(lambda: counts(hub), lambda now: now == before)
    assert found == before, "one envelope left the list, and one came"
    last = (await received(hub, SUPPORT))[-1]
    assert (last.package.kind, last.verdict.standing) == ("withdrawal", "proven")


async def test_suspension_bites_with_a_valid_token(hub: RunningHub) -> None:
    """Within sixty seconds its token opens nothing and releases to it stop; restored, it gets what
    waited and what it missed, once.
    """
    before = await counts(hub)
    waiting = await decided_and_waiting(hub)
    async with httpx2.AsyncClient(timeout=20.0) as http:
        suspended = HubClient(read_profile(hub.profiles / f"{SUPPORT}.toml"), http)
        await suspended.inbox()
        await as_agency(hub, "operator", lambda client: client.suspend(SUPPORT, "key-compromise"))
        began = time.monotonic()
        try:
            assert await wait_for(lambda: _refusal(suspended), bool) == (403, "agency-suspended")
            assert time.monotonic() - began < 60
            await switch(hub, "audit", on=True)
            expected = {
                IDVA: ("released", ""),
                CARE: ("released", ""),
                SUPPORT: ("proven", "recipient-suspended"),
            }
            await wait_for(lambda: standing(hub, waiting), lambda found: found == expected)
            later = await submitted(hub)
            others = {IDVA: "released", CARE: "released"}
            await until_outcomes(
                hub, later, lambda found: {who: found.get(who) for who in others} == others
            )
            assert "released" not in {
                state for who, state in (await outcomes(hub, later)).items() if who == SUPPORT
            }
        finally:
            await switch(hub, "audit", on=True)
            await as_agency(hub, "operator", lambda client: client.restore(SUPPORT))
        for referral in (waiting, later):
            await until_outcomes(hub, referral, lambda found: found == RELEASED)
        await wait_for(lambda: _refusal(suspended), lambda refusal: refusal is None)
    assert await counts(hub) == before + Counter([IDVA, CARE, SUPPORT, IDVA, CARE, SUPPORT])


async def _refusal(client: HubClient) -> tuple[int, str] | None:
    try:
        await client.inbox()
    except ProblemAnswer as problem:
        return problem.status, problem.code
    return None
