"""Requests to lift a veto, in memory."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from common.access import Granted
from referral.cases.model.authority import (
    AuthorisedCase,
    NotAllowed,
    Opens,
    Relation,
    relation_of,
)
from referral.vetoes.model import Lapsed, Lifting, LiftingOver, LiftState
from tests.support.referral_held import Held


class FakeLiftings:
    """Fulfils `vetoes.ports.Liftings`."""

    def __init__(self, held: Held) -> None:
        self.held = held

    def add(self, proof: AuthorisedCase, lifting: Lifting) -> None:
        """Keep it."""
        proof.require(Opens.REVISION)
        self._of(proof, lifting)
        self.held.liftings[lifting.id] = lifting

    def case_of(self, lifting_id: UUID) -> UUID | None:
        """By id."""
        found = self.held.liftings.get(lifting_id)
        return None if found is None else found.case_id

    def get(self, proof: AuthorisedCase, lifting_id: UUID) -> Lifting | None:
        """By id and case."""
        return next((one for one in self.of_case(proof) if one.id == lifting_id), None)

    def of_case(self, proof: AuthorisedCase) -> tuple[Lifting, ...]:
        """None of an erased case."""
        proof.require(Opens.OUTLINE)
        if proof.case_id in self.held.erased:
            return ()
        found = [one for one in self.held.liftings.values() if one.case_id == proof.case_id]
        return tuple(sorted(found, key=lambda one: one.id))

    def replace(self, proof: AuthorisedCase, old: Lifting, new: Lifting) -> None:
        """Compare and swap."""
        proof.require(Opens.REVISION)
        self._of(proof, new)
        if self.held.liftings[old.id].state is not old.state:
            raise LiftingOver
        self.held.liftings[new.id] = new

    def waiting(self, granted: Granted, now: datetime, limit: int) -> tuple[UUID, ...]:
        """Oldest first."""
        agency = granted.principal.agency
        is_officer = relation_of(granted) is Relation.PRIVACY_OFFICER
        found = [
            one.id
            for one in self.held.liftings.values()
            if one.state is LiftState.ASKED
            and one.lapses_at > now
            and (is_officer or one.asked_by.agency == agency)
            and agency not in self.held.cases[one.case_id].outline.barred
        ]
        return tuple(sorted(found)[:limit])

    def lapse(self, now: datetime, limit: int) -> tuple[Lapsed, ...]:
        """Oldest first."""
        due = [one for one in self.held.liftings.values() if one.state is LiftState.ASKED]
        due = sorted((one for one in due if one.lapses_at <= now), key=lambda one: one.id)[:limit]
        for one in due:
            done = replace(one, state=LiftState.LAPSED, settled_at=now)
            self.held.liftings[one.id] = done
        return tuple(Lapsed(one.id, one.case_id, one.asked_by.agency) for one in due)

    def lapsed(self, granted: Granted, since: datetime, limit: int) -> tuple[UUID, ...]:
        """Newest first."""
        agency = granted.principal.agency
        found = [
            one.id
            for one in self.held.liftings.values()
            if one.state is LiftState.LAPSED
            and one.lapses_at > since
            and one.asked_by.agency == agency
            and agency not in self.held.cases[one.case_id].outline.barred
        ]
        return tuple(sorted(found, reverse=True)[:limit])

    def _of(self, proof: AuthorisedCase, lifting: Lifting) -> None:
        if lifting.case_id != proof.case_id:
            raise NotAllowed
