"""The Northmoor agreement holds its own examples; a bundle that is incoherent, unsigned or too wide
is refused."""

import time
from datetime import UTC, date, datetime
from typing import Any

import cedarpy
import pytest
import yaml

from common.events.case import CaseSnapshot, Consent, Fact, Marking, RiskSummary
from hubformats.keys import generate_signing
from sharing.agreements.model import RULE_FAILED, Agreement, Clause
from sharing.agreements.repository import (
    AgreementRefused,
    Bundle,
    CedarRules,
    load,
    read_bundle,
    sign_bundle,
    verify_bundle,
)
from sharing.content.model.reader import SnapshotReader
from sharing.decisions.model import SharingDecision, conclude, due, questions
from sharing.directory.model import Agency
from tests.support.snapshots import VICTIM, marking, snapshot, urgent

BUNDLE = read_bundle("northmoor")
RULES = CedarRules(BUNDLE)
EXAMPLES: list[dict[str, Any]] = yaml.safe_load(BUNDLE.parts["decisions.yaml"])
TYPES = {
    "northmoor-police": "police",
    "northmoor-idva": "idva_service",
    "northmoor-social-care": "childrens_social_care",
    "northmoor-victim-support": "victim_support",
    "northmoor-probation": "probation",
    "northmoor-housing": "housing_la",
    "northmoor-health": "nhs_community",
    "northmoor-school": "education",
}


def agencies(suspended: tuple[str, ...] = ()) -> tuple[Agency, ...]:
    return tuple(Agency(name, kind, "northmoor", name in suspended) for name, kind in TYPES.items())


def decide(
    snap: CaseSnapshot,
    *,
    on: date = date(2026, 11, 21),
    suspended: tuple[str, ...] = (),
    rules: CedarRules = RULES,
) -> SharingDecision:
    asked = questions(SnapshotReader(snap), due(snap, rules.agreement, agencies(suspended)))
    rulings = rules.rule(snap, asked, agencies(suspended))
    return conclude(
        snap,
        rules.agreement,
        asked,
        rulings,
        as_of=datetime(on.year, on.month, on.day, 12, tzinfo=UTC),
    )


def example_snapshot(given: dict[str, Any]) -> CaseSnapshot:
    plain = urgent() if given.get("urgent") else snapshot()
    changes: dict[str, Any] = {}
    if "risk" in given:
        changes["risk"] = plain.risk.model_copy(update={"level": given["risk"]})
    if "agrees" in given:
        changes["consent"] = plain.consent.model_copy(update={"agrees_to_support": given["agrees"]})
    if given.get("children") is False:
        changes["subjects"] = tuple(s for s in plain.subjects if s.role != "child")
    if given.get("children") == "household":
        changes["subjects"] = tuple(
            s.model_copy(update={"role": "household_member"}) if s.role == "child" else s
            for s in plain.subjects
        )
    if "children_seen" in given:
        seen = Fact(
            path="incident.children_present",
            category="incident_children",
            label="Children present",
            value=given["children_seen"],
        )
        changes["facts"] = (*(f for f in plain.facts if not f.category.startswith("child_")), seen)
    if "referrer" in given:
        changes["referrer_agency"] = given["referrer"]
    marks = [*given.get("markings", []), *([given["marking"]] if "marking" in given else [])]
    made = [marking(number=place, **mark) for place, mark in enumerate(marks)]
    if "shield" in given:
        made.append(marking("location_shield", 99, subject=VICTIM))
    return plain.model_copy(update={**changes, "markings": tuple(made)})


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["name"].replace(" ", "-"))
def test_decision_table(example: dict[str, Any]) -> None:
    given = example["given"]
    decision = decide(
        example_snapshot(given),
        on=given.get("day", date(2026, 11, 21)),
        suspended=tuple(given.get("suspended", ())),
    )
    decided = {r.recipient.id: r for r in decision.recipients}
    for name, expected in example["then"].items():
        if expected == "none":
            assert name not in decided
            continue
        found = decided[name]
        if "withhold" in expected:
            assert (found.permitted, found.reason) == (False, expected["withhold"])
            continue
        assert found.permitted, found.reason
        assert found.projection.clauses[0].id == expected["permit"]
        carried = {subject_category.category for subject_category in found.projection.permitted}
        assert set(expected.get("has", ())) <= carried
        assert not set(expected.get("lacks", ())) & carried


DUTIES_TO_THE_ADVOCATE = {
    "no-perpetrator-contact",
    "agree-perpetrator-contact",
    "tell-idva-first",
    "go-through-idva",
}
VETOES = {
    "conflict": marking("conflict", agency="northmoor-idva"),
    "somebody on the case works there": marking("employee_subject", agency="northmoor-idva"),
    "must not be told": marking("must_not_disclose", agency="northmoor-idva"),
    "must not be told of the victim": marking(
        "must_not_disclose", agency="northmoor-idva", subject=VICTIM
    ),
}


def duties(snap: CaseSnapshot) -> dict[str, set[str]]:
    """What each agency that is told anything must do."""
    return {
        each.recipient.id: {
            code for told in each.projection.clauses for code, _ in told.obligations
        }
        for each in decide(snap).recipients
        if each.permitted
    }


@pytest.mark.parametrize("veto", VETOES.values(), ids=VETOES)
def test_nobody_is_sent_to_an_advocate_whom_a_veto_keeps_out(veto: Marking) -> None:
    """The IDVA service may be where the person alleged works: others must not ring it first."""
    usual, then = duties(snapshot()), duties(snapshot(markings=(veto,)))
    told = set(usual) - {"northmoor-idva"}
    assert "northmoor-idva" not in then
    assert set(then) == told
    for agency in told:
        assert usual[agency] & DUTIES_TO_THE_ADVOCATE
        assert not then[agency] & DUTIES_TO_THE_ADVOCATE
        assert "ask-referrer-first" in then[agency]


def test_while_an_advocate_may_be_told_others_go_through_them() -> None:
    veto = marking("must_not_disclose", agency="northmoor-idva", category="child_school")
    assert duties(snapshot(markings=(veto,))) == duties(snapshot())


def test_every_clause_and_every_veto_has_an_example() -> None:
    used = {
        text
        for example in EXAMPLES
        for then in example["then"].values()
        if then != "none"
        for text in (then.get("permit"), then.get("withhold"))
    }
    clauses = {clause.id for clause in RULES.agreement.terms.clause}
    assert clauses <= used
    # These vetoes take single categories away and show in `lacks`, or guard what no clause offers.
    assert set(RULES.agreement.terms.veto) - used <= {
        "location-shield",
        "informant",
        "informant-never",
        "legal-hold",
        "immigration-firewall",
    }


def test_immigration_status_never_reaches_police_even_if_a_clause_would_carry_it() -> None:
    wide = BUNDLE.parts["agreement.toml"].replace(
        b'    "danger_summary", "danger_place"',
        b'    "immigration_status", "informant_identity", "danger_summary", "danger_place"',
        1,
    )
    rules = CedarRules(Bundle({**BUNDLE.parts, "agreement.toml": wide}))
    plain = snapshot()
    told = tuple(f for f in plain.facts if f.category == "immigration_status")
    mixed = urgent(referrer_agency="northmoor-housing").model_copy(
        update={"facts": (*urgent().facts, *told)}
    )
    decided = {r.recipient.id: r for r in decide(mixed, rules=rules).recipients}
    assert "immigration_status" in {
        p.category for p in decided["northmoor-idva"].projection.permitted
    }
    assert "immigration-firewall" in decided["northmoor-police"].withheld.values()


def test_the_same_inputs_give_the_same_decision() -> None:
    assert decide(snapshot()) == decide(snapshot())
    assert decide(snapshot()).inputs_hash != decide(snapshot(version=2)).inputs_hash


def test_clauses_tell_the_recipient_its_own_regime() -> None:
    agreement: Agreement = RULES.agreement
    urgent_clause = agreement.clause("NM-1")
    assert agreement.told(urgent_clause, "police").lawful_basis == "P3_necessary"
    assert agreement.told(urgent_clause, "idva_service").lawful_basis == "6ea_emergency"


def test_a_rule_that_cannot_be_evaluated_denies_and_says_so() -> None:
    broken = snapshot().model_copy(update={"kind": 3})
    decision = decide(snapshot())
    assert all(r.reason != RULE_FAILED for r in decision.recipients)
    asked = questions(SnapshotReader(snapshot()), due(snapshot(), RULES.agreement, agencies()))
    rulings = RULES.rule(broken, asked, agencies())
    assert {r.reasons for r in rulings} == {(RULE_FAILED,)}
    assert not any(r.permitted for r in rulings)


@pytest.mark.parametrize(
    ("changes", "suspended"),
    [
        ({}, ("northmoor-idva",)),
        ({"kind": "stalking"}, ()),
        ({"urgent": True}, ()),
        ({"provisional": True}, ()),
        ({"referrer_agency": "northmoor-housing"}, ()),
        (
            {
                "risk": RiskSummary(
                    instrument="dash",
                    instrument_version="1",
                    score=3,
                    dont_know=0,
                    level="standard",
                    rule="none",
                )
            },
            (),
        ),
        ({"consent": Consent(aware="no", agrees_to_support="yes", lawful_basis="6e")}, ()),
        ({"consent": Consent(aware="yes", agrees_to_support="no", lawful_basis="6e")}, ()),
        (
            {
                "subjects": snapshot().subjects[:2],
                "facts": tuple(f for f in snapshot().facts if not f.category.startswith("child")),
            },
            (),
        ),
        ({"markings": (marking("must_not_disclose"),)}, ()),
        ({"markings": (marking("location_shield"),)}, ()),
    ],
)
def test_a_ruling_is_kept_only_for_a_request_that_is_the_same_in_every_part(
    changes: dict[str, Any], suspended: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ask = cedarpy.is_authorized_batch

    def counted(requests: list[Any], *rest: Any) -> Any:
        asked.append(len(requests))
        return ask(requests, *rest)

    monkeypatch.setattr(cedarpy, "is_authorized_batch", counted)
    used = CedarRules(BUNDLE)
    first = decide(snapshot(), rules=used)
    assert decide(snapshot(), rules=used) == first
    assert len(asked) == 1, "the same requests were put to Cedar twice"
    told = decide(snapshot(**changes), rules=used, suspended=suspended)
    assert len(asked) == 2, "something that rules may look at changed, and Cedar was not asked"
    assert told == decide(snapshot(**changes), rules=CedarRules(BUNDLE), suspended=suspended)
    assert decide(snapshot(), rules=used) == first


def test_a_failed_rule_is_evaluated_again_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = questions(SnapshotReader(snapshot()), due(snapshot(), RULES.agreement, agencies()))
    used, ask, fail = CedarRules(BUNDLE), cedarpy.is_authorized_batch, [True]
    monkeypatch.setattr(
        cedarpy,
        "is_authorized_batch",
        lambda requests, *rest: ask(
            [{**r, "context": {}} for r in requests] if fail[0] else requests, *rest
        ),
    )
    assert {r.reasons for r in used.rule(snapshot(), asked, agencies())} == {(RULE_FAILED,)}
    fail[0] = False
    assert used.rule(snapshot(), asked, agencies()) == RULES.rule(snapshot(), asked, agencies())


def test_a_nation_of_decisions_is_affordable() -> None:
    """One event's batch must stay far under the time a referral takes; 50 ms is ten times what it
    needs on a busy core.
    """
    decide(snapshot())
    started = time.perf_counter()
    decide(snapshot())
    assert time.perf_counter() - started < 0.25


class TestBundle:
    operator = generate_signing("operator")

    def test_signature_round_trip(self) -> None:
        signature = sign_bundle(BUNDLE, self.operator)
        verify_bundle(BUNDLE, signature, self.operator.public())
        rules, notice = load(
            BUNDLE,
            on=date(2026, 11, 21),
            signature=signature,
            operator=self.operator.public(),
            unsigned_allowed=False,
        )
        assert (rules.agreement.hash, notice) == (BUNDLE.hash, "")

    def test_unsigned_is_for_demonstrations_only(self) -> None:
        with pytest.raises(AgreementRefused, match="agreement-unsigned"):
            load(
                BUNDLE,
                on=date(2026, 11, 21),
                signature=None,
                operator=self.operator.public(),
                unsigned_allowed=False,
            )
        _, notice = load(
            BUNDLE,
            on=date(2026, 11, 21),
            signature=None,
            operator=self.operator.public(),
            unsigned_allowed=True,
        )
        assert notice == "agreement-unsigned"

    def test_a_lapsed_review_date_alarms(self) -> None:
        signature = sign_bundle(BUNDLE, self.operator)
        _, notice = load(
            BUNDLE,
            on=date(2028, 1, 1),
            signature=signature,
            operator=self.operator.public(),
            unsigned_allowed=False,
        )
        assert notice == "agreement-review-lapsed"

    @pytest.mark.parametrize("part", BUNDLE.parts)
    def test_any_changed_byte_breaks_the_signature(self, part: str) -> None:
        signature = sign_bundle(BUNDLE, self.operator)
        with pytest.raises(AgreementRefused):
            verify_bundle(
                Bundle({**BUNDLE.parts, part: BUNDLE.parts[part] + b"\n"}),
                signature,
                self.operator.public(),
            )

    def test_another_signer_is_refused_even_in_a_demonstration(self) -> None:
        signature = sign_bundle(BUNDLE, generate_signing("operator"))
        with pytest.raises(AgreementRefused, match="agreement-signer-unknown"):
            load(
                BUNDLE,
                on=date(2026, 11, 21),
                signature=signature,
                operator=self.operator.public(),
                unsigned_allowed=True,
            )

    @pytest.mark.parametrize(
        ("part", "old", "new", "code"),
        [
            (
                "clauses.cedar",
                b"context.urgent",
                b"context.urgnt",
                "agreement-rules-outside-schema",
            ),
            ("clauses.cedar", b"permit (", b"permit ((", "agreement-rules-unreadable"),
            (
                "clauses.cedar",
                b'principal in Recipients::"NM-3"',
                b"principal",
                "agreement-rule-wider-than-its-clause",
            ),
            (
                "clauses.cedar",
                b'resource in Categories::"NM-3"',
                b'resource in Categories::"NM-2"',
                "agreement-rule-wider-than-its-clause",
            ),
            ("clauses.cedar", b'@id("NM-4")', b'@id("NM-3")', "agreement-rule-without-own-id"),
            ("clauses.cedar", b'@id("NM-4")', b"", "agreement-rule-without-own-id"),
            ("vetoes.cedar", b"forbid", b"permit", "agreement-clauses-and-rules-differ"),
            (
                "vetoes.cedar",
                b'@id("conflict")',
                b'@id("conflicted")',
                "agreement-vetoes-and-rules-differ",
            ),
            (
                "agreement.toml",
                b'"danger_summary", ',
                b'"star_sign", ',
                "agreement-terms-malformed",
            ),
            (
                "agreement.toml",
                b'essential = ["danger_summary"]',
                b'essential = ["victim_employer"]',
                "agreement-terms-malformed",
            ),
            (
                "agreement.toml",
                b'purpose = "support_offer"',
                b'purpose = "immigration_enforcement"',
                "agreement-terms-malformed",
            ),
            (
                "agreement.toml",
                b"review_by = 2027",
                b"review_by = 2025",
                "agreement-terms-malformed",
            ),
        ],
    )
    def test_incoherent_bundles_are_refused(
        self, part: str, old: bytes, new: bytes, code: str
    ) -> None:
        assert old in BUNDLE.parts[part]
        with pytest.raises(AgreementRefused, match=code):
            CedarRules(Bundle({**BUNDLE.parts, part: BUNDLE.parts[part].replace(old, new, 1)}))


_PERSON_WORDS = ("names", "dates of birth", "gender", "nhs number")
NAMED: dict[str, tuple[str, ...]] = {
    "danger_summary": ("immediate danger",),
    "danger_place": ("in danger, where",),
    "callback": ("called back",),
    "concern": ("kind of concern",),
    "risk_summary": ("how high the risk is",),
    "victim_identity": _PERSON_WORDS,
    "child_identity": ("who the child", *_PERSON_WORDS),
    "perpetrator_identity": ("cause the harm",),
    "victim_phone": ("phone numbers",),
    "victim_safe_contact": ("safely be contacted",),
    "victim_area": ("area",),
    "child_school": ("school",),
    "child_needs": ("child needs",),
    "relationship": ("how the people are related",),
    "incident": ("when", "crime reference", "weapons"),
    "incident_place": ("where it happened",),
    "incident_children": ("whether children were there",),
    "referrer": ("who sent the referral and how to reach them",),
}
"""The words by which a clause's text names a category; a category that is new to a clause needs
some.
"""
WHOLE = "the whole referral apart from what is shielded"


@pytest.mark.parametrize("clause", RULES.agreement.terms.clause, ids=lambda clause: clause.id)
def test_the_text_of_a_clause_is_never_narrower_than_what_it_carries(clause: Clause) -> None:
    text = clause.text.replace("when and where", "when it happened and where").casefold()
    if WHOLE not in text:
        unnamed = {
            category: word
            for category in clause.categories
            for word in NAMED[category]
            if word not in text
        }
        assert not unnamed


def test_the_idva_is_not_told_to_speak_with_herself() -> None:
    terms = RULES.agreement.terms
    for clause in terms.clause:
        if "idva_service" in clause.recipient_types:
            texts = [terms.obligation[code] for code in clause.obligations]
            assert not [
                text
                for text in texts
                if "speaking with the IDVA" in text
                or "Tell the victim's IDVA" in text
                or "through her" in text
            ]
