"""What rulings add up to, what a veto covers, and names that tell nothing."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.events.case import Fact, Marking
from hubformats.audit_record import Leaf, content_commitment, new_salt, record_hash
from hubformats.canonical import canonical
from hubformats.categories import CATEGORIES
from hubformats.tlog import Signer, format_proof, leaf_hash
from hubformats.tlog.checkpoint import Checkpoint
from sharing.agreements.model import child_present
from sharing.content.model.projection import SubjectCategory
from sharing.content.model.reader import SnapshotReader
from sharing.content.model.vetoed import covers, people_of
from sharing.decisions.model import delivery_id, fingerprint, questions
from sharing.directory.model import Agency
from sharing.disclosures.model.disclosure import Disclosure, State, wait
from sharing.disclosures.model.evidence import Evidence, Prepared, ProofWrong, check_proof, package
from tests.support.content import is_location_shielded, subject_categories
from tests.support.snapshots import ELDER, SUSPECT, VICTIM, YOUNGER, marking, snapshot

IDVA = "northmoor-idva"
NOBODY = UUID(int=99)
"""Nobody on the case: the full form named its people anew."""


@pytest.mark.parametrize(
    ("veto", "agency", "subject_category", "covered"),
    [
        (marking("must_not_disclose"), IDVA, SubjectCategory("incident"), True),
        (marking("must_not_disclose", agency=IDVA), IDVA, SubjectCategory("incident"), True),
        (
            marking("must_not_disclose", agency="northmoor-school"),
            IDVA,
            SubjectCategory("incident"),
            False,
        ),
        (
            marking("must_not_disclose", category="child_school"),
            IDVA,
            SubjectCategory("child_school", ELDER),
            True,
        ),
        (
            marking("must_not_disclose", category="child_school"),
            IDVA,
            SubjectCategory("child_identity", ELDER),
            False,
        ),
        (
            marking("must_not_disclose", subject=ELDER),
            IDVA,
            SubjectCategory("child_school", ELDER),
            True,
        ),
        (
            marking("must_not_disclose", subject=ELDER),
            IDVA,
            SubjectCategory("child_school", YOUNGER),
            False,
        ),
        (marking("must_not_disclose", subject=ELDER), IDVA, SubjectCategory("incident"), False),
        (marking("conflict", agency=IDVA), IDVA, SubjectCategory("incident"), True),
        (marking("informant"), IDVA, SubjectCategory("incident"), False),
        (marking("informant"), IDVA, SubjectCategory("referrer"), True),
        (
            marking("informant", subject=SUSPECT),
            IDVA,
            SubjectCategory("perpetrator_identity", SUSPECT),
            True,
        ),
        (
            marking("location_shield", subject=VICTIM),
            IDVA,
            SubjectCategory("victim_identity", VICTIM),
            False,
        ),
        (marking("legal_hold", subject=NOBODY), IDVA, SubjectCategory("incident"), True),
        (
            marking("informant", subject=NOBODY),
            IDVA,
            SubjectCategory("perpetrator_identity", SUSPECT),
            True,
        ),
        (
            marking("must_not_disclose", category="child_school", subject=NOBODY),
            IDVA,
            SubjectCategory("child_school", YOUNGER),
            True,
        ),
        (
            marking("must_not_disclose", category="child_school", subject=NOBODY),
            IDVA,
            SubjectCategory("incident"),
            False,
        ),
    ],
)
def test_what_a_veto_covers(
    veto: Marking, agency: str, subject_category: SubjectCategory, covered: bool
) -> None:
    assert covers(veto, agency, subject_category, people_of(snapshot())) is covered


def test_every_recipient_is_asked_about_every_parcel() -> None:
    recipients = (
        Agency(IDVA, "idva_service", "northmoor"),
        Agency("northmoor-school", "education", "northmoor"),
    )
    asked = questions(SnapshotReader(snapshot()), recipients)
    assert [(q.recipient.id, q.subject_category) for q in asked] == [
        (r.id, subject_category)
        for r in recipients
        for subject_category in subject_categories(snapshot())
    ]


def test_a_victim_under_18_is_a_child() -> None:
    alone = tuple(
        s.model_copy(update={"under_18": True}) for s in snapshot().subjects if s.role == "victim"
    )
    assert child_present(snapshot(subjects=alone))
    at_home = tuple(
        s.model_copy(update={"role": "household_member"}) if s.role == "child" else s
        for s in snapshot().subjects
    )
    assert child_present(snapshot(subjects=at_home))
    grown = tuple(s for s in snapshot().subjects if s.role in {"victim", "perpetrator"})
    assert not child_present(snapshot(subjects=grown))
    for value, present in (("yes", True), ("no", False), ("unknown", False)):
        said = Fact(
            path="incident.children_present",
            category="incident_children",
            label="Children present",
            value=value,
        )
        assert child_present(snapshot(subjects=grown, facts=(*snapshot().facts, said))) is present
    suspect_alone = tuple(s.model_copy(update={"under_18": s.role == "perpetrator"}) for s in grown)
    assert not child_present(snapshot(subjects=suspect_alone))


@given(st.sets(st.sampled_from(sorted(CATEGORIES)), max_size=6), st.booleans())
def test_another_shield_never_shows_more(codes: set[str], on_child: bool) -> None:
    """Redaction never widens: adding a shield can only take subject_categories away."""
    before = {
        SubjectCategory(code, who) for code in codes for who in (VICTIM, SUSPECT, ELDER, None)
    }
    shielded = snapshot(
        markings=(marking("location_shield", subject=ELDER if on_child else VICTIM),)
    )
    twice = snapshot(markings=(*shielded.markings, marking("location_shield", 2, subject=SUSPECT)))
    open_ = {p for p in before if not is_location_shielded(snapshot(), p)}
    once = {p for p in before if not is_location_shielded(shielded, p)}
    assert {p for p in before if not is_location_shielded(twice, p)} <= once <= open_


def test_delivery_ids_are_repeatable_and_tell_nothing() -> None:
    def made(**changes: object) -> UUID:
        of = snapshot(
            case_id=changes.pop("case_id", UUID(int=7)), version=changes.pop("version", 1)
        )
        named = {"recipient": IDVA, "agreement_hash": "h", **changes}
        return delivery_id(b"k" * 32, of, **named)  # type: ignore[arg-type]

    assert made() == made()
    assert (made().version, made().variant) == (8, "specified in RFC 4122")
    assert (
        len(
            {
                made(),
                made(version=2),
                made(recipient="x"),
                made(agreement_hash="i"),
                made(case_id=UUID(int=8)),
                made(ordinal=1),
            }
        )
        == 6
    )
    assert delivery_id(b"j" * 32, snapshot(case_id=UUID(int=7)), IDVA, "h") != made()


def test_a_fingerprint_looks_at_what_is_said() -> None:
    said = {"deliveryId": "a", "kind": "disclosure", "asOf": "t", "sections": [1]}
    assert fingerprint(b"k", said) == fingerprint(
        b"k", {**said, "deliveryId": "b", "kind": "correction", "asOf": "u"}
    )
    assert fingerprint(b"k", said) != fingerprint(b"k", {**said, "sections": [2]})


def test_waits_double_and_end() -> None:
    waits = [wait(attempts).total_seconds() for attempts in range(12)]
    assert waits[:3] == [0.25, 0.5, 1.0]
    assert waits == sorted(waits)
    assert waits[-1] == 30.0


LOG = Signer("log.test.example.org/hub", bytes(32))


def prepared(**record: str) -> Prepared:
    """A disclosure of which a one-leaf log holds the record; `record` changes what that record
    says.
    """
    content, salt, record_salt = b'{"v":1}', new_salt(), new_salt()
    said = {"dl": str(UUID(int=1)), "rcp": IDVA, "dc": content_commitment(salt, content), **record}
    raw = canonical(said)
    leaf = Leaf(src="s", ep=1, seq=1, tr=1, h=record_hash(record_salt, raw)).encode()
    note = LOG.sign(Checkpoint("log.test.example.org/hub", 1, leaf_hash(leaf)).text())
    disclosure = Disclosure(
        id=UUID(int=1),
        decision_id=UUID(int=2),
        case_id=UUID(int=3),
        snapshot_version=1,
        recipient=IDVA,
        kind="disclosure",
        clause="NM-2",
        state=State.PROVEN,
        record_id=UUID(int=4),
        commitment=said["dc"],
        fingerprint="f",
        decided_at=datetime(2026, 11, 21, tzinfo=UTC),
    )
    return Prepared(
        disclosure, Evidence(content, salt, raw, record_salt, leaf, format_proof(0, [], note))
    )


def test_a_sound_proof_passes_and_travels() -> None:
    sound = prepared()
    check_proof(sound, LOG.verifier)
    sent = package(sound)
    assert (sent.promise, sent.kind, sent.delivery_id) == (None, "disclosure", UUID(int=1))
    assert (
        Evidence.decode(
            sound.evidence.encode(), leaf=sound.evidence.leaf, proof=sound.evidence.proof
        )
        == sound.evidence
    )


@pytest.mark.parametrize(
    "part", ["content", "content_salt", "record", "record_salt", "leaf", "proof"]
)
def test_any_exchanged_part_breaks_the_proof(part: str) -> None:
    sound, other = prepared(), prepared()
    mixed = {
        name: getattr(sound.evidence, name)
        for name in ("content", "content_salt", "record", "record_salt", "leaf", "proof")
    }
    mixed[part] = b'{"v":2}' if part == "content" else getattr(other.evidence, part)
    with pytest.raises(ProofWrong):
        check_proof(Prepared(sound.disclosure, Evidence(**mixed)), LOG.verifier)


@pytest.mark.parametrize(
    "change", [{"dl": str(UUID(int=9))}, {"rcp": "northmoor-school"}, {"dc": "A" * 43}]
)
def test_a_record_about_something_else_proves_nothing(change: dict[str, str]) -> None:
    with pytest.raises(ProofWrong, match="record-of-another-disclosure"):
        check_proof(prepared(**change), LOG.verifier)


def test_a_leaf_that_is_none_proves_nothing() -> None:
    sound = prepared()
    for leaf in (b"", b"{}", json.dumps({"v": 1}).encode()):
        spoilt = Evidence(b"", b"", sound.evidence.record, b"", leaf, sound.evidence.proof)
        with pytest.raises(ProofWrong, match="leaf-malformed"):
            check_proof(Prepared(sound.disclosure, spoilt), LOG.verifier)
