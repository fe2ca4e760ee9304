"""For any data: what is sealed comes out, one turned bit never does, and only the named recipients
get in."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hubformats.canonical import canonical, parse
from hubformats.envelope import (
    EnvelopeRefused,
    Message,
    Opened,
    open_envelope,
    peek,
    seal,
    verify_statement,
)
from hubformats.ids import uuid7
from hubformats.keys import OpeningKey, StaticKeys, generate_opening, generate_signing
from hubformats.statement import _octets_padded, octets

SENDER = generate_signing("svc:sharing")
AGENCIES = [generate_opening(f"agency-{number}") for number in range(4)]
KEYS = StaticKeys(SENDER, *AGENCIES)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
documents = st.dictionaries(text, values, max_size=5)


def sealed(data: dict[str, Any], to: Sequence[OpeningKey], seq: int = 1) -> bytes:
    """An envelope of sharing to these agencies."""
    return seal(
        Message(
            type="hub.test",
            version=1,
            data=data,
            stream="s",
            seq=seq,
            id=uuid7(),
            issued_at=datetime(2026, 11, 20, tzinfo=UTC),
        ),
        sender=SENDER,
        recipients=[key.public() for key in to],
    )


def opened(value: bytes, key: OpeningKey) -> Opened:
    """Open as the key's owner."""
    return open_envelope(value, me=key.owner, opening={key.kid: key}, keys=KEYS)


@given(values)
def test_canonical_text_reads_back_and_has_one_spelling(value: object) -> None:
    assert parse(canonical(value)) == value
    assert canonical(parse(canonical(value))) == canonical(value)


@given(
    st.text("MDAw0_-A", max_size=9),
    st.integers(0, 60),
    st.text("MDAw0_-A", max_size=9),
    st.integers(0, 60),
    st.text("MDAw", max_size=9),
)
@example("", 40, "", 0, "")
@example("AAAA", 40, "AAAA", 40, "")
@example("M", 40, "", 0, "AAA")
def test_padding_that_is_not_decoded_is_what_decoding_gives(
    before: str, zeros: int, between: str, more: int, after: str
) -> None:
    encoded = before + "MDAw" * zeros + between + "MDAw" * more + after
    try:
        expected = octets(encoded)
    except EnvelopeRefused:
        with pytest.raises(EnvelopeRefused):
            _octets_padded(encoded)
    else:
        assert _octets_padded(encoded) == expected


@given(documents, st.sets(st.sampled_from(range(4)), min_size=1), st.integers(0, 2**53 - 1))
def test_each_recipient_gets_exactly_what_was_sealed_and_nobody_else(
    data: dict[str, Any], chosen: set[int], seq: int
) -> None:
    value = sealed(data, [AGENCIES[number] for number in chosen], seq)
    for number, key in enumerate(AGENCIES):
        if number in chosen:
            found = opened(value, key)
            assert (found.data, found.seq) == (data, seq)
            assert verify_statement(found.jws, KEYS).data == data
        else:
            with pytest.raises(EnvelopeRefused):
                opened(value, key)


ONE = sealed({"name": "Nadia Example"}, AGENCIES[:1])
THREE = sealed({"name": "Nadia Example"}, AGENCIES[:3])


@settings(max_examples=1500)
@given(st.integers(0, len(ONE) * 8 - 1))
@example(0)
@example(len(ONE) * 8 - 1)
def test_one_turned_bit_is_always_refused(bit: int) -> None:
    turned = bytearray(ONE)
    turned[bit // 8] ^= 1 << bit % 8
    with pytest.raises(EnvelopeRefused):
        opened(bytes(turned), AGENCIES[0])


@settings(max_examples=500)
@given(st.integers(0, len(THREE) * 8 - 1))
def test_a_bit_of_another_recipients_entry_changes_nothing_for_us(bit: int) -> None:
    turned = bytearray(THREE)
    turned[bit // 8] ^= 1 << bit % 8
    try:
        found = opened(bytes(turned), AGENCIES[0])
    except EnvelopeRefused:
        return
    assert replace(found, digest="") == replace(opened(THREE, AGENCIES[0]), digest="")


@given(st.integers(0, len(ONE)), st.binary(max_size=20))
def test_cut_and_lengthened_envelopes_are_refused(length: int, tail: bytes) -> None:
    value = ONE[:length] + tail
    if value.rstrip(b" \t\r\n") == ONE:
        return
    with pytest.raises(EnvelopeRefused):
        opened(value, AGENCIES[0])


@given(st.binary(max_size=300) | values.map(canonical))
def test_anything_at_all_is_refused_with_a_code(value: bytes) -> None:
    with pytest.raises(EnvelopeRefused):
        opened(value, AGENCIES[0])
    with pytest.raises(EnvelopeRefused):
        peek(value)


@given(st.sampled_from(sorted(json.loads(ONE))), values)
def test_any_value_in_any_member_is_refused(member: str, instead: object) -> None:
    found = json.loads(ONE)
    if found[member] == instead:
        return
    with pytest.raises(EnvelopeRefused):
        opened(canonical({**found, member: instead}), AGENCIES[0])
