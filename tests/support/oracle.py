"""The judge after the faults (performance reference 7): what partners were told, against what the
hub delivered and what its log says."""

import asyncio
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx2
import psycopg

from common import topics
from common.bus_kafka import KafkaBus
from common.web.client import ServiceClient
from deploy.stack import topology
from hubformats.audit_record import Leaf
from hubformats.canonical import unb64u
from hubformats.envelope import EnvelopeRefused, digest
from hubformats.ids import opaque
from hubformats.package_proof import PackageRefused
from hubformats.tlog import ProofRefused, Verifier, leaf_hash, node_hash, open_checkpoint
from hubformats.tlog.checkpoint import Proof
from hubformats.tlog.whole_log import check_whole_log
from hubpartner.client import HubClient
from hubpartner.delivery import Delivery
from hubpartner.profile import read_profile
from tests.support.cases import client_of
from tests.support.hubs import RunningHub, StackHub, StandaloneHub, whole_inbox
from tests.support.senders import POLICE, TOLD, Acknowledged

SERVICES: Final = ("referral", "sharing", "audit", "identity", "portal")
QUIET_S: Final = 90.0


def rows(hub: RunningHub, service: str, query: str) -> list[tuple[Any, ...]]:
    """What a query finds in a service's own database, read behind its back."""
    if isinstance(hub, StandaloneHub):
        with closing(
            sqlite3.connect(f"file:{hub.folder / 'hub' / service / service}.db?mode=ro", uri=True)
        ) as file:
            return file.execute(query).fetchall()
    assert isinstance(hub, StackHub)
    server = hub.stack.postgres
    with psycopg.connect(
        host="127.0.0.1",
        port=server.port,
        user="postgres",
        password=server.password,
        dbname=service,
    ) as connection:
        return connection.execute(query.encode()).fetchall()


@dataclass(slots=True)
class Heads:
    """Every checkpoint anybody saw while the hub ran; none may contradict the log as it is at the
    end.
    """

    hub: RunningHub
    notes: set[str] = field(default_factory=set)

    async def watch(self, stop: asyncio.Event) -> None:
        """Keep what `/checkpoint` says twice a second; while audit is down it says nothing."""
        async with httpx2.AsyncClient(timeout=2.0) as http:
            while not stop.is_set():
                with suppress(httpx2.HTTPError):
                    answer = await http.get(f"{self.hub.url('audit')}/log/checkpoint")
                    if answer.status_code == 200:
                        self.notes.add(answer.text)
                await asyncio.sleep(0.5)


class Growth:
    """The tree's root after each entry, by the textbook: a second opinion on the log's own
    arithmetic.
    """

    def __init__(self) -> None:
        self._edge: list[bytes] = []
        self.roots: list[bytes] = []

    def add(self, index: int, entry: bytes) -> None:
        """Append an entry."""
        node = leaf_hash(entry)
        while index & 1:
            node = node_hash(self._edge.pop(), node)
            index >>= 1
        self._edge.append(node)
        root = node
        for left in reversed(self._edge[:-1]):
            root = node_hash(left, root)
        self.roots.append(root)


@dataclass(slots=True)
class Verdict:
    """What was found wrong, and how much was looked at."""

    wrong: list[str] = field(default_factory=list)
    figures: dict[str, int] = field(default_factory=dict)

    def check(self, right: bool, what: str) -> None:
        """Note `what` unless `right`."""
        if not right:
            self.wrong.append(what)


@dataclass(slots=True)
class Oracle:
    """Judges one hub.

    `acknowledged` is all the referrals it ever had: nothing else may have used it.
    """

    hub: RunningHub
    acknowledged: Sequence[Acknowledged]
    heads: Heads
    verdict: Verdict = field(default_factory=Verdict)
    _opened: dict[tuple[str, str], Delivery] = field(default_factory=dict)

    async def judge(self) -> Verdict:
        """Wait for quiet, then look at everything."""
        await self._quiet()
        async with httpx2.AsyncClient(timeout=30.0) as http:
            await self._referrals(http)
            previews = await self._previews(http)
            for agency in topology.AGENCIES:
                await self._inbox(self._client(agency, http), agency)
            self._as_the_rules_say(previews)
            await self._log(http)
        if isinstance(self.hub, StackHub):
            for agency in topology.AGENCIES:
                await self._topic(self.hub, agency)
        self._nothing_left_over()
        return self.verdict

    def _client(self, name: str, http: httpx2.AsyncClient) -> HubClient:
        return HubClient(read_profile(self.hub.profiles / f"{name}.toml"), http)

    async def _quiet(self) -> None:
        """Until nothing is under way anywhere: nothing to send, no record without its receipt, no
        disclosure on its way.
        """
        released = sum(len(TOLD[each.form]) for each in self.acknowledged)
        loop = asyncio.get_running_loop()
        end = loop.time() + QUIET_S
        while True:
            waiting = await asyncio.to_thread(_under_way, self.hub)
            waiting["outcomes not heard"] = max(
                0, released - _count(self.hub, "referral", "outcome WHERE state = 'released'")
            )
            if not any(waiting.values()):
                return
            if loop.time() > end:
                self.verdict.wrong.append(
                    f"not quiet after {QUIET_S:.0f} s: "
                    f"{ {what: n for what, n in waiting.items() if n} }"
                )
                return
            await asyncio.sleep(0.25)

    async def _referrals(self, http: httpx2.AsyncClient) -> None:
        """Every acknowledged referral exists once, under its own id, and says who was told."""
        ids = {each.referral_id for each in self.acknowledged}
        self.verdict.check(
            len(ids) == len(self.acknowledged), "two acknowledged referrals share an id"
        )
        stored = _count(self.hub, "referral", "referral")
        self.verdict.check(
            stored == len(ids), f"{len(ids)} referrals acknowledged, {stored} stored"
        )
        police = self._client(POLICE, http)
        for each in self.acknowledged:
            read = await police.read_referral(each.referral_id)
            self.verdict.check(
                read["externalReference"] == each.external_reference,
                f"{each.external_reference} became another",
            )
            states = {outcome["recipient"]: outcome["state"] for outcome in read["outcomes"]}
            expected = dict.fromkeys(TOLD[each.form], "released")
            self.verdict.check(
                states == expected,
                f"{each.external_reference} ({each.form}): the referrer hears {states}",
            )
        self.verdict.figures["referrals"] = len(ids)

    async def _previews(self, http: httpx2.AsyncClient) -> dict[tuple[str, str], Mapping[str, Any]]:
        """What the rules give today for each case: (agency, delivery id) → content."""
        sharing = client_of(self.hub, POLICE, "sharing", http)
        found: dict[tuple[str, str], Mapping[str, Any]] = {}
        for each in self.acknowledged:
            answer = await sharing.call(
                "POST",
                "/v1/decisions/preview",
                scope="sharing.request",
                json={"caseReference": each.case_reference},
                idempotency_key=opaque(),
            )
            contents = {
                each["agency"]: each["content"]
                for each in answer.json()["recipients"]
                if each["outcome"] == "permit"
            }
            self.verdict.check(
                contents.keys() == TOLD[each.form],
                f"{each.external_reference}: the rules tell {sorted(contents)}",
            )
            found |= {
                (agency, content["deliveryId"]): content for agency, content in contents.items()
            }
        return found

    async def _inbox(self, client: HubClient, agency: str) -> None:
        """Every item opens and is proven; no delivery and no case comes twice."""
        cases: Counter[str] = Counter()
        for item in await whole_inbox(client):
            place = (agency, item.delivery_id)
            self.verdict.check(
                place not in self._opened, f"{agency} was sent delivery {item.delivery_id} twice"
            )
            try:
                opened = client.open(item)
            except (EnvelopeRefused, PackageRefused) as refused:
                self.verdict.wrong.append(f"{agency} cannot open {item.delivery_id}: {refused}")
                continue
            self._opened[place] = opened
            self.verdict.check(
                opened.verdict.standing == "proven", f"{agency} got {item.delivery_id} unproven"
            )
            cases[opened.verdict.content["caseReference"]] += 1
        self.verdict.check(
            not [case for case, times in cases.items() if times > 1],
            f"{agency} heard of a case more than once",
        )

    def _as_the_rules_say(self, previews: Mapping[tuple[str, str], Mapping[str, Any]]) -> None:
        for place in previews.keys() - self._opened.keys():
            self.verdict.wrong.append(f"{place[0]} never got delivery {place[1]}")
        for place in self._opened.keys() - previews.keys():
            self.verdict.wrong.append(f"{place[0]} got delivery {place[1]}, which no rule gives it")
        for place in previews.keys() & self._opened.keys():
            same = self._opened[place].verdict.content == previews[place]
            self.verdict.check(
                same, f"what {place[0]} got as {place[1]} is not what the rules give"
            )
        self.verdict.figures["deliveries"] = len(self._opened)

    async def _topic(self, hub: StackHub, agency: str) -> None:
        """The agency's Kafka topic: the same envelopes as its inbox.

        One may come again, byte for byte; the bus promises no more.
        """
        account = read_profile(hub.profiles / f"{agency}.toml").kafka
        assert account is not None
        bus = KafkaBus(account.bootstrap, account.user, account.password)
        await bus.start()
        try:
            seen = Counter(
                digest(record.value) for record in await bus.read(topics.disclosure(agency))
            )
        finally:
            await bus.stop()
        offered = {
            opened.envelope_digest for (to, _), opened in self._opened.items() if to == agency
        }
        self.verdict.check(
            seen.keys() == offered,
            f"topic and inbox of {agency} differ by {len(seen.keys() ^ offered)} envelopes",
        )
        self.verdict.figures["repeats on topics"] = (
            self.verdict.figures.get("repeats on topics", 0) + seen.total() - len(seen)
        )

    async def _log(self, http: httpx2.AsyncClient) -> None:
        """Entries and deliveries join one to one, sequences have no hole, and no head ever signed
        contradicts the log.
        """
        audit = client_of(self.hub, "auditor", "audit", http)
        decided = await _entries(audit, "disclosure")
        delivered = await _entries(audit, "delivered")
        self._joined(decided, delivered)
        await _published(audit)
        complete = (await audit.call("GET", "/v1/completeness", scope="audit.read")).json()
        gaps = [producer["service"] for producer in complete["producers"] if producer["gaps"]]
        self.verdict.check(
            complete["verdict"] == "complete",
            f"the log is {complete['verdict']} {complete['halted']} {gaps}",
        )
        await self._whole(http)

    def _joined(
        self, decided: Sequence[Mapping[str, Any]], delivered: Sequence[Mapping[str, Any]]
    ) -> None:
        permits = Counter(
            (e["record"]["rcp"], e["record"]["dl"]) for e in decided if e["outcome"] == "permit"
        )
        left = Counter(
            (e["record"]["rcp"], e["record"]["dl"], e["record"]["ed"]) for e in delivered
        )
        ours = Counter(
            (agency, delivery, opened.envelope_digest)
            for (agency, delivery), opened in self._opened.items()
        )
        for place in permits.keys() ^ self._opened.keys():
            self.verdict.wrong.append(
                f"{place}: {permits[place]} entries, {int(place in self._opened)} deliveries"
            )
        self.verdict.check(permits.total() == len(permits), "a disclosure has two entries")
        self.verdict.check(
            left == ours,
            f"'delivered' entries and envelopes differ: {list((left - ours) + (ours - left))[:3]}",
        )
        by_index = {entry["index"]: entry for entry in decided}
        for (agency, delivery), opened in self._opened.items():
            entry = by_index.get(opened.verdict.index if opened.verdict.index is not None else -1)
            same = (
                entry is not None
                and entry["intact"]
                and entry["record"] == dict(opened.verdict.record)
            )
            self.verdict.check(
                same, f"the entry that {agency} holds for {delivery} is not the one in the log"
            )
        kept = [e for e in (*decided, *delivered) if e["rejected"]]
        self.verdict.check(not kept, f"{len(kept)} records were rejected")

    async def _whole(self, http: httpx2.AsyncClient) -> None:
        prefix, log = (
            f"{self.hub.url('audit')}/log",
            read_profile(self.hub.profiles / "auditor.toml").log,
        )
        growth = Growth()
        leaves: list[bytes] = []

        def keep(index: int, entry: bytes) -> None:
            leaves.append(entry)
            growth.add(index, entry)

        with httpx2.Client(timeout=20.0) as plain:
            try:
                whole = await asyncio.to_thread(
                    check_whole_log,
                    lambda path: _file(plain, f"{prefix}/{path}"),
                    log,
                    on_entry=keep,
                )
            except ProofRefused as refused:
                self.verdict.wrong.append(f"the log does not verify: {refused}")
                return
        self._heads_agree(log, growth.roots, whole.checkpoint.size)
        self._sequences(leaves)
        for (agency, delivery), opened in self._opened.items():
            index = opened.verdict.index
            there = (
                index is not None
                and index < len(leaves)
                and leaves[index] == unb64u(opened.package.leaf)
            )
            self.verdict.check(there, f"the leaf of {agency}'s {delivery} is not in the public log")
        self.verdict.figures["log entries"] = whole.checkpoint.size

    def _heads_agree(self, log: Verifier, roots: Sequence[bytes], size: int) -> None:
        notes = self.heads.notes | {
            Proof.parse(opened.package.proof).checkpoint for opened in self._opened.values()
        }
        for note in notes:
            head = open_checkpoint(note, log)
            agrees = 0 < head.size <= size and roots[head.size - 1] == head.root
            self.verdict.check(
                agrees, f"a head signed at size {head.size} contradicts the log of {size}"
            )
        self.verdict.figures["heads"] = len(notes)

    def _sequences(self, leaves: Sequence[bytes]) -> None:
        """Each producer epoch numbers without hole or repeat, and the log's time never goes
        back.
        """
        numbers: dict[tuple[str, int], list[int]] = defaultdict(list)
        last = 0
        for leaf in map(Leaf.decode, leaves):
            numbers[leaf.src, leaf.ep].append(leaf.seq)
            self.verdict.check(leaf.tr >= last, "the log's time went back")
            last = leaf.tr
        for (src, epoch), found in numbers.items():
            whole = (
                sorted(found) == list(range(min(found), min(found) + len(found)))
                and min(found) <= 1
            )
            self.verdict.check(
                whole,
                f"producer {src[:6]}, epoch {epoch}: {len(found)} numbers from {min(found)} to "
                f"{max(found)}",
            )

    def _nothing_left_over(self) -> None:
        for service in SERVICES:
            set_aside = rows(self.hub, service, "SELECT topic, reason FROM inbox_quarantine")
            self.verdict.check(not set_aside, f"{service} set aside {Counter(set_aside)}")
            missing = _count(self.hub, service, "inbox_stream WHERE missing > 0")
            self.verdict.check(missing == 0, f"{missing} streams of {service} have holes")
        odd = rows(
            self.hub, "sharing", "SELECT state, reason FROM disclosure WHERE state <> 'released'"
        )
        self.verdict.check(not odd, f"disclosures stand at {Counter(odd)}")


def _under_way(hub: RunningHub) -> dict[str, int]:
    waiting = {
        f"{service} outbox": _count(hub, service, "outbox WHERE sent_at IS NULL")
        for service in SERVICES
    }
    for service in SERVICES:
        waiting[f"{service} records"] = _count(
            hub, service, "audit_pending WHERE receipted_at IS NULL AND rejected IS NULL"
        )
    waiting["disclosures"] = _count(
        hub, "sharing", "disclosure WHERE state IN ('awaiting_receipt', 'proven')"
    )
    return waiting


def _count(hub: RunningHub, service: str, what: str) -> int:
    # Our own words
    return int(rows(hub, service, f"SELECT count(*) FROM {what}")[0][0])  # noqa: S608


async def _entries(audit: ServiceClient, operation: str) -> list[dict[str, Any]]:
    """Every entry of one operation, by an auditor who says why."""
    body = {
        "purpose": "integrity_and_security",
        "justification": "After the faults",
        "filter": {"operation": operation},
    }
    asked = await audit.call(
        "POST", "/v1/queries", scope="audit.read", json=body, idempotency_key=opaque()
    )
    found: list[dict[str, Any]] = []
    params: dict[str, str | int] = {"limit": 100}
    while True:
        page = (
            await audit.call(
                "GET",
                f"/v1/queries/{asked.json()['id']}/entries",
                scope="audit.read",
                params=params,
            )
        ).json()
        found += page["items"]
        if not page.get("nextCursor"):
            return found
        params["cursor"] = page["nextCursor"]


async def _published(audit: ServiceClient) -> None:
    """Wait until the public checkpoint covers everything that is in the log now."""
    size: int | None = None
    async with asyncio.timeout(30):
        while True:
            state = (await audit.call("GET", "/v1/completeness", scope="audit.read")).json()
            size = state["logSize"] if size is None else size
            if state["publishedSize"] >= size:
                return
            await asyncio.sleep(0.2)


def _file(http: httpx2.Client, url: str) -> bytes:
    answer = http.get(url)
    if answer.status_code != 200:
        raise OSError("the log does not serve this file")
    return answer.content
