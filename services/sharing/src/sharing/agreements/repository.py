"""Read, check and verify signed bundles of sharing agreements, and ask them through Cedar."""

import hashlib
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import cedarpy
from pydantic import ValidationError

from common.events.case import CaseSnapshot
from hubformats import jws
from hubformats.bootstrap import OPERATOR
from hubformats.canonical import b64u, canonical, parse
from hubformats.categories import CATEGORIES
from hubformats.keys import SigningKey, VerificationKey, signing_from_jwk
from sharing.agreements.model import RULE_FAILED, Agreement, Question, Ruling, Terms, child_present
from sharing.directory.model import Agency

PARTS: Final = (
    "agreement.toml",
    "schema.cedarschema",
    "clauses.cedar",
    "vetoes.cedar",
    "decisions.yaml",
)
SIGNATURE_TYPE: Final = "hub-agreement+jws"
_ACTION: Final = {"type": "Action", "id": "disclose"}
_KNOWN_LIMIT: Final = 20_000
"""Rulings kept in memory, some megabytes; past it all are forgotten and asked for again."""

_Same = tuple[str, str, bool, frozenset[str]]


class AgreementRefused(ValueError):
    """A bundle is incomplete, incoherent or not signed by the operator.

    `code` names the defect; the service must not start on it.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one agreement, unchecked."""

    parts: Mapping[str, bytes]

    @property
    def hash(self) -> str:
        """The agreement hash that every disclosure names.

        It is the base64url SHA-256 over the canonical list of the files' SHA-256.
        """
        listed = {name: b64u(hashlib.sha256(data).digest()) for name, data in self.parts.items()}
        return b64u(hashlib.sha256(canonical(listed)).digest())

    @property
    def policies(self) -> dict[str, str]:
        """The policies as text, by file."""
        return {part: self.parts[part].decode() for part in ("clauses.cedar", "vetoes.cedar")}


def read_bundle(name: str) -> Bundle:
    """Read the bundle shipped under ``sharing/agreements/rules/<name>``.

    Raises AgreementRefused.
    """
    return read_folder(files("sharing") / "agreements" / "rules" / name)


def read_folder(folder: Traversable) -> Bundle:
    """Read the bundle in a folder. Raises AgreementRefused when a part is missing."""
    try:
        return Bundle({part: (folder / part).read_bytes() for part in PARTS})
    except OSError:
        raise AgreementRefused("agreement-incomplete") from None


def sign_bundle(bundle: Bundle, operator: SigningKey) -> str:
    """Sign a bundle's id, version and hash as the operator; return the compact JWS."""
    terms = _terms(bundle)
    claims = {"agreement": terms.id, "version": terms.version, "hash": bundle.hash}
    return jws.sign(claims, operator, typ=SIGNATURE_TYPE)


def verify_bundle(bundle: Bundle, signature: str, operator: VerificationKey) -> None:
    """Hold a bundle to the operator's signature. Raises AgreementRefused."""
    terms = _terms(bundle)
    try:
        claims = jws.verify(signature.strip(), operator, typ=SIGNATURE_TYPE)
    except jws.JwsRefused as refused:
        known = refused.code == "header"
        raise AgreementRefused(
            "agreement-signer-unknown" if known else "agreement-signature-wrong"
        ) from None
    if claims != {"agreement": terms.id, "version": terms.version, "hash": bundle.hash}:
        raise AgreementRefused("agreement-signed-for-other-content")


class CedarRules:
    """One loaded agreement, parsed once. Fulfils `agreements.ports.Rules`."""

    def __init__(self, bundle: Bundle) -> None:
        """Parse the bundle, once.

        Raises AgreementRefused unless terms and rules agree with each other and with the schema.
        """
        terms = _terms(bundle)
        self.agreement = Agreement(terms, bundle.hash)
        text = "\n".join(bundle.parts[part].decode() for part in ("clauses.cedar", "vetoes.cedar"))
        self._schema_text = bundle.parts["schema.cedarschema"].decode()
        try:
            self._schema = cedarpy.Schema.from_str(self._schema_text)
            checked = cedarpy.validate_policies(text, self._schema)
            raw = json.loads(cedarpy.policies_to_json_str(text))
        except ValueError:
            raise AgreementRefused("agreement-rules-unreadable") from None
        named = _named_policies(raw)
        if not checked.validation_passed:
            raise AgreementRefused("agreement-rules-outside-schema")
        _check_rules(named, terms)
        self._policies = cedarpy.PolicySet.from_json_str(
            json.dumps({"templates": {}, "staticPolicies": named, "templateLinks": []})
        )
        self._entities: tuple[tuple[tuple[str, str], ...], cedarpy.Entities] | None = None
        self._known: dict[tuple[str, tuple[Agency, ...]], dict[_Same, Ruling]] = {}

    def rule(
        self, snapshot: CaseSnapshot, asked: Sequence[Question], agencies: Sequence[Agency]
    ) -> tuple[Ruling, ...]:
        """Answer every question in at most one call.

        A rule that fails to evaluate denies with reason ``rule-failed``.
        """
        shared = self._shared_context(snapshot, agencies)
        known = self._known_under(shared, agencies)
        alike = [(_same(question), question) for question in asked]
        requests = {
            same: _request(question, shared)
            for same, question in dict(alike).items()
            if same not in known
        }
        if not requests:
            return tuple(known[same] for same, _ in alike)
        results = cedarpy.is_authorized_batch(
            list(requests.values()), self._policies, self._entities_of(agencies), self._schema
        )
        fresh = dict(zip(requests, (_ruling(result) for result in results), strict=True))
        # A rule that failed is evaluated, and alarmed, every time.
        known |= {
            same: ruling for same, ruling in fresh.items() if RULE_FAILED not in ruling.reasons
        }
        return tuple(fresh.get(same) or known[same] for same, _ in alike)

    def _known_under(
        self, shared: Mapping[str, Any], agencies: Sequence[Agency]
    ) -> dict[_Same, Ruling]:
        """Return rulings given before to requests that were the same in every part.

        Policies, schema and clauses never change within one object and Cedar reads no clock, so
        these are its only answers. The context is compared as JSON, the form in which Cedar gets
        it. Python holds 1 and True for the same.
        """
        if sum(map(len, self._known.values())) > _KNOWN_LIMIT:
            self._known = {}
        return self._known.setdefault((json.dumps(shared, sort_keys=True), tuple(agencies)), {})

    def _shared_context(self, snapshot: CaseSnapshot, agencies: Sequence[Agency]) -> dict[str, Any]:
        types = {agency.id: agency.type for agency in agencies}
        return {
            "kind": snapshot.kind,
            "urgent": snapshot.urgent,
            "provisional": snapshot.provisional,
            "riskLevel": snapshot.risk.level,
            "childPresent": child_present(snapshot),
            "aware": snapshot.consent.aware,
            "agreesToSupport": snapshot.consent.agrees_to_support,
            "referrer": {"__entity": {"type": "Agency", "id": snapshot.referrer_agency}},
            "referrerType": types.get(snapshot.referrer_agency, ""),
        }

    def _entities_of(self, agencies: Sequence[Agency]) -> cedarpy.Entities:
        """Hang agencies and categories under the clauses that name them.

        They are parsed again only when the agencies change.
        """
        wanted = tuple((agency.id, agency.type) for agency in agencies)
        if self._entities is None or self._entities[0] != wanted:
            self._entities = (
                wanted,
                cedarpy.Entities.from_json_str(
                    json.dumps(self._graph(wanted)), schema=self._schema_text
                ),
            )
        return self._entities[1]

    def _graph(self, agencies: tuple[tuple[str, str], ...]) -> list[dict[str, Any]]:
        clauses = self.agreement.terms.clause
        parties = set(self.agreement.terms.parties)
        groups = [
            _entity(kind, clause.id, {}, [])
            for clause in clauses
            for kind in ("Recipients", "Categories")
        ]
        served = [
            _entity(
                "Agency",
                name,
                {"agencyType": kind},
                [
                    ("Recipients", c.id)
                    for c in clauses
                    if name in parties and kind in c.recipient_types
                ],
            )
            for name, kind in agencies
        ]
        carried = [
            _entity(
                "Category",
                code,
                {"givesLocation": about.gives_location, "about": about.about},
                [("Categories", c.id) for c in clauses if code in c.categories],
            )
            for code, about in CATEGORIES.items()
        ]
        return groups + served + carried


def load(
    bundle: Bundle,
    *,
    on: date,
    signature: str | None,
    operator: VerificationKey,
    unsigned_allowed: bool,
) -> tuple[CedarRules, str]:
    """Check, verify and parse a bundle for use on a day.

    Also answers what its owner must be told: empty, or a code.

    An unsigned bundle is used only where `unsigned_allowed`, which is for demonstrations. Raises
    AgreementRefused.
    """
    if signature is not None:
        verify_bundle(bundle, signature, operator)
    elif not unsigned_allowed:
        raise AgreementRefused("agreement-unsigned")
    rules = CedarRules(bundle)
    return rules, "agreement-review-lapsed" if rules.agreement.lapsed(
        on
    ) else "agreement-unsigned" if signature is None else ""


def _terms(bundle: Bundle) -> Terms:
    try:
        return Terms.model_validate(tomllib.loads(bundle.parts["agreement.toml"].decode()))
    except (KeyError, UnicodeDecodeError, tomllib.TOMLDecodeError, ValidationError):
        raise AgreementRefused("agreement-terms-malformed") from None


def _named_policies(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the policies by their @id.

    Cedar would report them as policy0, policy1 …, which explains nothing (security reference 4).
    """
    policies = list(raw["staticPolicies"].values())
    named = {str(policy.get("annotations", {}).get("id", "")): policy for policy in policies}
    if raw.get("templates") or "" in named or len(named) != len(policies):
        raise AgreementRefused("agreement-rule-without-own-id")
    return named


def _check_rules(named: Mapping[str, Mapping[str, Any]], terms: Terms) -> None:
    """Hold every clause to exactly its permit, bounded by its own recipients and categories.

    Every other rule must be a listed veto.

    Raises AgreementRefused.
    """
    permits = {name: policy for name, policy in named.items() if policy["effect"] == "permit"}
    if set(permits) != {clause.id for clause in terms.clause}:
        raise AgreementRefused("agreement-clauses-and-rules-differ")
    for name, policy in permits.items():
        for scope, kind in (("principal", "Recipients"), ("resource", "Categories")):
            if policy[scope] != {"op": "in", "entity": {"type": kind, "id": name}}:
                raise AgreementRefused("agreement-rule-wider-than-its-clause")
    if {name for name, policy in named.items() if policy["effect"] == "forbid"} != set(terms.veto):
        raise AgreementRefused("agreement-vetoes-and-rules-differ")


def _entity(
    kind: str, name: str, attributes: dict[str, Any], parents: list[tuple[str, str]]
) -> dict[str, Any]:
    return {
        "uid": {"type": kind, "id": name},
        "attrs": attributes,
        "parents": [{"type": t, "id": i} for t, i in parents],
    }


def _same(question: Question) -> _Same:
    """Make the key of a question: those that differ only in the subject have one answer."""
    return (
        question.recipient.id,
        question.subject_category.category,
        question.location_shielded,
        question.markings,
    )


def _request(question: Question, shared: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "principal": {"type": "Agency", "id": question.recipient.id},
        "action": _ACTION,
        "resource": {"type": "Category", "id": question.subject_category.category},
        "context": {
            **shared,
            "suspended": question.recipient.suspended,
            "locationShielded": question.location_shielded,
            "markings": sorted(question.markings),
        },
    }


def _ruling(result: cedarpy.AuthzResult) -> Ruling:
    if result.diagnostics.errors or result.decision not in {
        cedarpy.Decision.Allow,
        cedarpy.Decision.Deny,
    }:
        return Ruling(permitted=False, reasons=(RULE_FAILED,))
    return Ruling(
        permitted=result.decision is cedarpy.Decision.Allow,
        reasons=tuple(sorted(result.diagnostics.reasons)),
    )


def signature_path(bootstrap_file: Path, area: str) -> Path:
    """Say where the operator's signature over an area's agreement lies.

    It is ``agreements/<area>.jws`` beside the bootstrap file.
    """
    folder = bootstrap_file if bootstrap_file.is_dir() else bootstrap_file.parent
    return folder / "agreements" / f"{area}.jws"


def sign_shipped(folder: Path, area: str) -> None:
    """Sign the shipped agreement of an area with the operator's key in a hub folder.

    The signature lies where `agreement` looks for it.

    For hubs whose operator key lies beside them (demonstrations, the stack); elsewhere the operator
    signs away from the hub.
    """
    bundle = read_bundle(area)
    operator = signing_from_jwk(
        parse((folder / "keyring" / OPERATOR / "operator.json").read_bytes()), OPERATOR
    )
    place = signature_path(folder, area)
    place.parent.mkdir(mode=0o700, exist_ok=True)
    place.write_text(sign_bundle(bundle, operator) + "\n", "utf-8")
