"""Vetoes and second looks in memory, held to the contract suite of the real clients."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from common.access import Granted
from portal.second_look.model import Look
from portal.second_look.model import Reasons as LookReasons
from portal.shell.model import CallRefused
from portal.vetoes.model import CONFIRM, CaseVetoes, Lifting, Reasons, Sent, Veto

REASONS = Reasons(
    {
        "conflict": {"declared": "A worker there has declared a link"},
        "legal_hold": {"review": "A death or safeguarding review is under way"},
    },
    {"no_longer_so": "What it was for has ended"},
    {"still_so": "What it is for still stands", "taken_back": "Whoever asked takes it back"},
)
LOOK_REASONS: LookReasons = {
    "reasonable": {"needed": "It was needed, and said why"},
    "ask_the_person": {"unclear": "The reason does not say enough"},
    "escalate": {"harm": "It may have done harm"},
}


@dataclass
class MemoryLooks:
    """Fulfils `portal.second_look.ports.Looks`."""

    done: list[str] = field(default_factory=list)
    items: list[Look] = field(default_factory=list)
    against: Exception | None = None

    async def listed(self, granted: Granted, *, closed: bool) -> Sequence[Look]:
        assert granted.scope == "case.read"
        return [each for each in self.items if each.waits is not closed]

    async def one(self, granted: Granted, look_id: str) -> Look:
        assert granted.scope == "case.read", "a grant to write opens nothing to read"
        for each in self.items:
            if each.look_id == look_id:
                return each
        raise CallRefused(404, "not-found")

    async def reasons(self, granted: Granted) -> LookReasons:
        assert granted.scope == "case.read", "a grant to write opens nothing to read"
        return LOOK_REASONS

    async def take(self, granted: Granted, look_id: str) -> None:
        await self._change(granted, look_id, owner="you")

    async def answer(
        self, granted: Granted, look_id: str, outcome: str, code: str, reason: str
    ) -> None:
        assert reason
        if self.against is not None:
            raise self.against
        await self._change(granted, look_id, state=outcome, outcome_code=code, next=())
        self.done.append(f"answered {outcome}/{code}")

    async def _change(self, granted: Granted, look_id: str, **changes: object) -> None:
        assert granted.scope == "case.write"
        found = next((each for each in self.items if each.look_id == look_id), None)
        if found is None or not found.waits:
            raise CallRefused(409 if found else 404, "conflict" if found else "not-found")
        changed = replace(found, **changes)  # type: ignore[arg-type]  # fields of Look, by name
        self.items = [changed if each.look_id == look_id else each for each in self.items]


@dataclass
class MemoryVetoes:
    """Fulfils `portal.vetoes.ports.Vetoes` for one referral."""

    done: list[str] = field(default_factory=list)
    referrals: list[Sent] = field(default_factory=list)
    in_force: list[Veto] = field(default_factory=list)
    liftings: list[Lifting] = field(default_factory=list)
    outcomes: dict[str, str] = field(default_factory=dict)
    against: Exception | None = None

    async def sent(self, granted: Granted) -> Sequence[Sent]:
        assert granted.scope == "referral.read"
        return self.referrals

    async def of_referral(self, granted: Granted, referral_id: str) -> CaseVetoes:
        assert granted.scope == "referral.read"
        for each in self.referrals:
            if each.referral_id == referral_id:
                known = (self.in_force, self.liftings, each.own_reference, self.outcomes)
                return CaseVetoes(each.case_reference, *known)
        raise CallRefused(404, "not-found")

    async def reasons(self) -> Reasons:
        return REASONS

    async def set(
        self, granted: Granted, referral_id: str, choice: str, agency: str, reason: str
    ) -> str:
        self._act(granted, "referral.write", reason)
        assert referral_id
        self.done.append(f"set {choice} on {agency}")
        return self.in_force[0].veto_id

    async def ask(
        self, granted: Granted, referral_id: str, veto_id: str, code: str, reason: str
    ) -> None:
        self._act(granted, "referral.write", reason)
        assert referral_id
        assert veto_id
        self.done.append(f"asked {code}")

    async def waiting(self, granted: Granted) -> Sequence[Lifting]:
        assert granted.scope == "case.read"
        return [each for each in self.liftings if each.state in {"asked", "lapsed"}]

    async def lapsed(self, granted: Granted) -> Sequence[Lifting]:
        assert granted.scope == "referral.read"
        return [each for each in self.liftings if each.state == "lapsed"]

    async def lifting(self, granted: Granted, lifting_id: str) -> Lifting:
        assert granted.scope == "case.read"
        for each in self.liftings:
            if each.lifting_id == lifting_id:
                return each
        raise CallRefused(404, "not-found")

    async def settle(self, granted: Granted, lifting_id: str, choice: str, reason: str) -> None:
        self._act(granted, "case.write", reason)
        after = "confirmed" if choice.startswith(CONFIRM) else "refused"
        self.liftings = [
            replace(each, state=after) if each.lifting_id == lifting_id else each
            for each in self.liftings
        ]
        self.done.append(f"settled {choice}")

    def _act(self, granted: Granted, scope: str, reason: str) -> None:
        assert granted.scope == scope
        assert reason
        if self.against is not None:
            raise self.against
