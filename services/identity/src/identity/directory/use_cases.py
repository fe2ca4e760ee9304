"""What the directory takes in, which is services' keys. How a suspension reaches the broker: the
agency's own topic is closed to it until it is restored."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

from common.access import Granted
from common.events.identity import KeyPublished, KeyRetired
from hubformats.audit_record import AuditEntry
from hubformats.bootstrap import Bootstrap, KeySet
from hubformats.keys import RecipientKey
from identity.agencies.model import NoSuchAgency
from identity.agencies.ports import AgencyStore, AgencyTx
from identity.agencies.use_cases import actor_of
from identity.directory.model import (
    KeySetRefused,
    Retirement,
    check_retirement,
    read_signed,
)
from identity.directory.ports import TopicAccess, TopicAccessUnavailable


async def settle(store: AgencyStore, access: TopicAccess) -> tuple[frozenset[str], frozenset[str]]:
    """Make the broker agree with who is suspended now. Returns whose topic was closed, and opened.

    Compares states instead of following events. So the next call makes good a crash, a broker that
    was away, or a rule lost there. One topic that cannot be closed or opened keeps no other from
    it.

    Raises TopicAccessUnavailable when any could not.
    """
    agencies = await store.read(lambda tx: tx.agencies.all())
    suspended = frozenset(agency.id for agency in agencies if agency.suspended_at is not None)
    found = await access.closed()
    to_close = suspended - found
    # Not of an agency we do not know: such a rule is not ours to take away.
    to_open = (found - suspended) & frozenset(agency.id for agency in agencies)
    failed: TopicAccessUnavailable | None = None
    for those, move in ((to_close, access.close), (to_open, access.open)):
        for agency in sorted(those):
            try:
                await move(agency)
            except TopicAccessUnavailable as unavailable:
                failed = unavailable
    if failed is not None:
        raise failed
    return to_close, to_open


def publish_service_keys(
    tx: AgencyTx, bootstrap: Bootstrap, service: str, key_set: str, now: datetime
) -> None:
    """Take in the opening keys of a service, as it signed them, and tell every service.

    Repeating it changes nothing.

    Raises KeySetRefused for a set that the service did not sign, or that holds anything but its
    opening keys. So also for one that is not newer than the one there is.
    """
    entry = bootstrap.services[service]
    found = _opening_set(key_set, entry.owner, entry.signing[0])
    kept = tx.service_keys.all().get(entry.owner)
    if kept == key_set:
        return
    known = _opening_set(kept, entry.owner, entry.signing[0]) if kept is not None else None
    if known is not None and found.issued <= known.issued:
        raise KeySetRefused("key-set-outdated")
    tx.service_keys.put(entry.owner, key_set)
    before = (
        {key.kid for key in known.keys} if known else {str(jwk["kid"]) for jwk in entry.opening}
    )
    for key in found.keys:
        if key.kid not in before and isinstance(key, RecipientKey):
            tx.publish(
                KeyPublished(
                    owner=entry.owner,
                    use="enc",
                    jwk=key.jwk(),
                    not_before=datetime.fromtimestamp(key.begins, UTC),
                    signed_by_root=key_set,
                )
            )
    for kid in sorted(before - {key.kid for key in found.keys}):
        tx.publish(KeyRetired(owner=entry.owner, kid=kid, at=now))


def _opening_set(key_set: str, owner: str, root: Mapping[str, str]) -> KeySet:
    found = read_signed(key_set, owner, root)
    if not found.keys or not all(isinstance(key, RecipientKey) for key in found.keys):
        raise KeySetRefused("key-set-malformed")
    return found


def retire_key(
    tx: AgencyTx, bootstrap: Bootstrap, granted: Granted, agency: str, wanted: Retirement
) -> None:
    """Retire an agency's signing key, as its root signed; the agency goes on working.

    Its own system's tokens end, because the key was what it proved itself with. If we crash after
    the commit, the outbox still tells the services; if before, nothing happened. Repeating it
    changes nothing.

    Raises NoSuchAgency, KeySetRefused.
    """
    state = tx.agencies.find(agency)
    if state is None:
        raise NoSuchAgency(agency)
    if state.key_set == wanted.key_set:
        return
    if state.custodial:
        raise KeySetRefused("keys-kept-by-the-hub")
    old = read_signed(state.key_set, agency, state.root)
    new = read_signed(wanted.key_set, agency, state.root)
    check_retirement(old, new, wanted, granted.at)
    tx.agencies.set_key_set(agency, wanted.key_set)
    clients = [one.id for one in bootstrap.clients.values() if one.agency == agency]
    ended = sum(tx.end_client(client) for client in clients)
    _tell(tx, old, new, wanted)
    _record(tx, granted, agency, wanted, ended)


def _tell(tx: AgencyTx, old: KeySet, new: KeySet, wanted: Retirement) -> None:
    known = {key.kid for key in old.keys}
    for key in new.keys:
        if key.kid not in known:
            use: Literal["sig", "enc"] = "enc" if isinstance(key, RecipientKey) else "sig"
            tx.publish(
                KeyPublished(
                    owner=key.owner,
                    use=use,
                    jwk=key.jwk(),
                    not_before=wanted.at,
                    signed_by_root=wanted.key_set,
                )
            )
    since = wanted.compromised_since
    tx.publish(
        KeyRetired(
            owner=new.agency, kid=wanted.kid, at=since or wanted.at, compromised=since is not None
        )
    )


def _record(tx: AgencyTx, granted: Granted, agency: str, wanted: Retirement, ended: int) -> None:
    compromised = wanted.compromised_since is not None
    tx.record(
        AuditEntry(
            operation="permission_change",
            outcome="done",
            actor=actor_of(granted),
            resource_type="signing-key",
            resource_id=wanted.kid,
            # the resource id becomes a handle; this says in clear which agency it concerns
            recipient=agency,
            field_set="retirement",
            reason_code="key-compromised" if compromised else "key-retired",
            count=ended,
        )
    )
