"""Signed key sets, as the directory judges them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hubformats.bootstrap import BootstrapRefused, KeySet, read_key_set
from hubformats.keys import retired_jwk


class KeySetRefused(Exception):
    """A key set that counts for nothing. `code` names the defect."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Retirement:
    """A signing key that its agency retires: in `key_set`, signed by the agency's root.

    `compromised_since` is the moment from which somebody else may have signed with it.
    """

    key_set: str
    kid: str
    at: datetime
    compromised_since: datetime | None


def read_signed(key_set: str, owner: str, root: Mapping[str, str]) -> KeySet:
    """Read a set that `root` signed. Raises KeySetRefused."""
    try:
        return read_key_set(key_set, owner, root)
    except BootstrapRefused as refused:
        raise KeySetRefused(refused.code) from None


def check_retirement(old: KeySet, new: KeySet, wanted: Retirement, now: datetime) -> None:
    """Check that `new` retires exactly the key that is meant, and drops or revives no other.

    A key that left its set could no longer be known as compromised by who reads it first. New keys
    may be added in the same act. Without one an agency with a single key could not retire it.

    Raises KeySetRefused.
    """
    if new.issued <= old.issued:
        raise KeySetRefused("key-set-outdated")
    if max(wanted.at, wanted.compromised_since or wanted.at) > now:
        raise KeySetRefused("retirement-in-the-future")
    before, after = _by_kid(old), _by_kid(new)
    if wanted.kid not in before or before[wanted.kid].get("use") == "enc":
        raise KeySetRefused("key-unknown")
    since = wanted.compromised_since
    retired = retired_jwk(before[wanted.kid], since or wanted.at, compromised=since is not None)
    was = before[wanted.kid].get("revoked")
    if was is not None and not _graver(was, retired["revoked"]):
        raise KeySetRefused("key-retired-before")
    if {kid: after.get(kid) for kid in before} != {**before, wanted.kid: retired}:
        raise KeySetRefused("key-set-changes-other-keys")
    if not any(jwk.get("use") == "sig" and "revoked" not in jwk for jwk in new.jwks):
        raise KeySetRefused("no-signing-key-left")


def _graver(was: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Tell whether the second end of a key takes more away than the first: never less."""
    if now["reason"] != "compromised":
        return False
    return bool(was["reason"] != "compromised" or now["revoked_at"] < was["revoked_at"])


def _by_kid(keys: KeySet) -> dict[str, Mapping[str, Any]]:
    return {str(jwk["kid"]): jwk for jwk in keys.jwks if "kid" in jwk}
