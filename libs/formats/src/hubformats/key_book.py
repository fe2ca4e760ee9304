"""A hub's public keys by id and by owner: of the bootstrap file, and of signed sets since."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from datetime import datetime

from hubformats.bootstrap import Bootstrap, BootstrapRefused, KeySet, read_key_set
from hubformats.canonical import CanonicalError, canonical, parse
from hubformats.key_schedule import periods_on
from hubformats.keys import RecipientKey, VerificationKey


class KeyBook:
    """Public keys of agencies and services.

    A key set counts only under the root its owner has in *our* bootstrap file. That is an agency's
    pinned root, or a service's own signing key. So whoever serves the sets can withhold keys, not
    forge them. A retired key still verifies what it signed; a compromised one what it signed before
    that.
    """

    def __init__(self, bootstrap: Bootstrap) -> None:
        """Begin with what the bootstrap file vouches for."""
        self._roots: dict[str, Mapping[str, str]] = {
            one.owner: one.signing[0] for one in bootstrap.services.values() if one.signing
        }
        self._roots |= {agency.id: agency.root for agency in bootstrap.agencies.values()}
        self._services = {one.owner for one in bootstrap.services.values() if one.signing}
        self._created = bootstrap.created
        self._fixed = [
            key for key in bootstrap.public_keys() if key.owner not in bootstrap.agencies
        ]
        self._sets: dict[str, KeySet] = {}
        self._texts: dict[str, str] = {}
        self._marks: dict[str, int | None] = {}  # by kid; outlives what the sets say
        self._verification: dict[str, VerificationKey] = {}
        self._recipients: dict[str, list[RecipientKey]] = {}
        self.heard = False
        """Whether a directory's word was taken in, now or by an earlier process."""
        for agency in bootstrap.agencies.values():
            self._sets[agency.id] = read_key_set(agency.key_set, agency.id, agency.root)
        self._index()

    def verification(self, kid: str) -> VerificationKey | None:
        """Return the verification key of that id, whatever its status, or None."""
        return self._verification.get(kid)

    def compromised(self) -> Sequence[VerificationKey]:
        """List the keys of which a moment of compromise is known, by id."""
        found = (self._verification[kid] for kid in sorted(self._verification))
        return [key for key in found if key.compromised_since is not None]

    def recipient(self, owner: str, now: datetime) -> RecipientKey | None:
        """Return the newest key of an owner that has begun, or None.

        None too for a service whose key of the bootstrap file may be destroyed, when nothing was
        heard for long. What is sealed to a destroyed key is lost.
        """
        begun = [key for key in self._recipients.get(owner, ()) if key.begins <= now.timestamp()]
        if not begun or not (self.heard or owner in self._sets or self._young(now)):
            return None
        return begun[-1]

    def opening(self, owner: str) -> Mapping[str, int]:
        """Tell by key id from when on senders seal to an owner's keys, in Unix seconds."""
        return {key.kid: key.begins for key in self._recipients.get(owner, ())}

    def issued(self, owner: str) -> int:
        """Tell when an owner's newest key set was signed, in Unix seconds; 0 when none was."""
        return self._sets[owner].issued if owner in self._sets else 0

    def silent(self, since: datetime) -> AbstractSet[str]:
        """Name the services that signed no key set since then, though each renews keys weekly."""
        moment = since.timestamp()
        return {owner for owner in self._services if self.issued(owner) < moment}

    def texts(self) -> Mapping[str, str]:
        """Return the signed sets that were taken in, by owner, as they came."""
        return self._texts

    def answer(self) -> bytes:
        """Write them as a directory answers them."""
        return canonical({"keySets": dict(self._texts)})

    def take(self, sets: Mapping[str, str]) -> Mapping[str, str]:
        """Take key sets in, by owner, unless a later one is known; strangers' are ignored.

        Returns the code of each that was refused, by owner: it changes nothing.
        """
        refused = {}
        for owner in sorted(sets.keys() & self._roots.keys()):
            try:
                found = read_key_set(sets[owner], owner, self._roots[owner])
            except BootstrapRefused as refusal:
                refused[owner] = refusal.code
                continue
            if found.issued >= self.issued(owner):
                self._sets[owner], self._texts[owner] = found, sets[owner]
        self.heard = True
        self._index()
        return refused

    def mark(self, kid: str, compromised_since: datetime | None) -> None:
        """Mark a key as retired, or as compromised since a moment, whatever the sets say.

        Compromise is never taken back, nor made shorter.
        """
        since = None if compromised_since is None else int(compromised_since.timestamp())
        known = self._marks.get(kid)
        if known is None or (since is not None and since < known):
            self._marks[kid] = since
        self._index()

    def _young(self, now: datetime) -> bool:
        periods = periods_on(now.date())
        return now < self._created + periods.used + periods.kept

    def _index(self) -> None:
        sets = self._sets.values()
        fixed = [
            key
            for key in self._fixed
            if isinstance(key, VerificationKey) or key.owner not in self._sets
        ]
        gone = self._marks.keys() | {
            str(jwk.get("kid")) for one in sets for jwk in one.jwks if "revoked" in jwk
        }
        # A key that left its set stays known: what it signed must still verify (and a compromised
        # one must still refuse).
        verification, recipients = dict(self._verification), dict[str, list[RecipientKey]]()
        for key in (*fixed, *(key for one in sets for key in one.keys)):
            if isinstance(key, VerificationKey):
                verification[key.kid] = key
            elif key.kid not in gone:
                recipients.setdefault(key.owner, []).append(key)
        for kid in self._marks.keys() & verification.keys():
            verification[kid] = _marked(verification[kid], self._marks[kid])
        for keys in recipients.values():
            keys.sort(key=lambda key: key.begins)
        self._verification, self._recipients = verification, recipients


def _marked(key: VerificationKey, since: int | None) -> VerificationKey:
    """Return the key as marked; of two moments of compromise the earlier counts."""
    known = key.compromised_since
    moments = [moment for moment in (since, known) if moment is not None]
    if not moments:
        return replace(key, status="retired")
    return replace(key, status="revoked", compromised_since=min(moments))


def served_sets(answer: bytes) -> dict[str, str]:
    """Read the key sets, by owner, of a directory's answer. Raises CanonicalError."""
    found = parse(answer)
    sets = found.get("keySets") if isinstance(found, dict) else None
    if not isinstance(sets, dict):
        raise CanonicalError("not a key directory")
    return {owner: text for owner, text in sets.items() if isinstance(text, str)}
