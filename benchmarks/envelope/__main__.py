"""`python -m benchmarks.envelope`: our seal and open per event, beside the primitives alone and beside
joserfc's JWS in JWE."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from joserfc import jwe, jws
from joserfc.jwk import ECKey

from benchmarks import measuring
from benchmarks.envelope import primitives
from hubformats.envelope import Message, open_envelope, seal
from hubformats.ids import uuid7
from hubformats.keys import OpeningKey, StaticKeys, generate_opening, generate_signing

CASES: Final = ((1, "small"), (3, "small"), (1, "referral"), (3, "referral"), (5, "referral"))
MEASURED_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Subject:
    """One case: what is sealed, and how each side does both directions."""

    name: str
    size: int
    sides: Mapping[str, Callable[[], object]]


def main() -> None:
    """Measure and report."""
    chosen = measuring.parser(__doc__).parse_args()
    per_round = 0.0 if chosen.smoke else MEASURED_S
    rounds = 1 if chosen.smoke else chosen.rounds
    report = measuring.Report(
        "envelope",
        "hubformats.envelope seal and open, beside the same primitives with nothing around them, and "
        "beside joserfc (JWS ES256 in JWE JSON)",
        f"{rounds - 1 if rounds > 1 else 1} counted rounds of {per_round} s for each side of each "
        "case",
        smoke=chosen.smoke,
        packages=("cryptography", "joserfc"),
    )
    for recipients, body in CASES:
        subject = _subject(recipients, body)
        times = measuring.in_turn(
            rounds, {name: _timed(work, per_round) for name, work in subject.sides.items()}
        )
        _say(report, subject, times)
    _where_it_goes(report, per_round)
    report.bottleneck = (
        "CPU of this one process: P-256 arithmetic in OpenSSL; the share of each "
        "primitive is listed above"
    )
    report.finish()


def _subject(recipients: int, body: str) -> Subject:
    sender = generate_signing("svc:referral")
    mine = [generate_opening(f"agency-{number}") for number in range(recipients)]
    keys = StaticKeys(sender)
    data = _data(body)
    value = _sealed(data, sender, mine)
    opened = open_envelope(value, me=mine[0].owner, opening={mine[0].kid: mine[0]}, keys=keys)
    payload = opened.jws.encode()
    jose_seal, jose_open = _joserfc(payload.decode(), sender.jwk(private=True), mine)
    privates = [key.private for key in mine]
    sides: dict[str, Callable[[], object]] = {
        "ours seal": lambda: _sealed(data, sender, mine),
        "floor seal": primitives.sealing(
            payload, sender.private, [key.public_key() for key in privates]
        ),
        "joserfc seal": jose_seal,
        "ours open": lambda: open_envelope(
            value, me=mine[0].owner, opening={mine[0].kid: mine[0]}, keys=keys
        ),
        "floor open": primitives.opening(payload, sender.private, privates[0]),
        "joserfc open": jose_open,
    }
    return Subject(
        f"{recipients} recipient{'s' if recipients > 1 else ''}, {len(payload):,} B signed",
        len(payload),
        sides,
    )


def _data(body: str) -> dict[str, Any]:
    form: dict[str, Any] = json.loads(
        (measuring.ROOT / "examples/referral-full.json").read_text("utf-8")
    )
    # A small event is one receipt's worth; the full referral stands for a case snapshot.
    return (
        {"externalReference": form["externalReference"], "kind": form["kind"]}
        if body == "small"
        else form
    )


def _sealed(data: Mapping[str, Any], sender: Any, mine: list[OpeningKey]) -> bytes:
    return seal(
        Message(
            type="CaseSnapshot",
            version=1,
            data=data,
            stream="hub.case.v1/x",
            seq=1,
            id=uuid7(),
            issued_at=datetime.now(UTC),
        ),
        sender=sender,
        recipients=[key.public() for key in mine],
    )


def _joserfc(
    payload: str, signing: dict[str, str], mine: list[OpeningKey]
) -> tuple[Callable[[], object], Callable[[], object]]:
    """The same work by a general library: sign, then encrypt to each recipient; the first recipient
    decrypts and verifies.
    """
    signer = ECKey.import_key(dict(signing))
    readers = [ECKey.import_key(dict(key.jwk(private=True))) for key in mine]
    claims = payload.split(".")[1]
    algorithms = ["ECDH-ES+A256KW", "A256GCM"]

    def sealed() -> dict[str, Any]:
        text = jws.serialize_compact(
            {"alg": "ES256", "kid": signing["kid"]}, claims, signer, algorithms=["ES256"]
        )
        message = jwe.GeneralJSONEncryption({"enc": "A256GCM"}, text.encode(), aad=b"aad")
        for reader, key in zip(readers, mine, strict=True):
            message.add_recipient({"alg": "ECDH-ES+A256KW", "kid": key.kid}, reader)
        return dict(jwe.encrypt_json(message, None, algorithms=algorithms))

    value = json.dumps(sealed())

    def opened() -> object:
        received = json.loads(value)
        received["recipients"] = received["recipients"][
            :1
        ]  # it would try the other recipients' entries too
        message = jwe.decrypt_json(received, readers[0], algorithms=algorithms)
        assert message.plaintext is not None
        return jws.deserialize_compact(message.plaintext, signer, algorithms=["ES256"])

    return lambda: json.dumps(sealed()), opened


def _timed(work: Callable[[], object], seconds: float) -> Callable[[], float]:
    """Microseconds of CPU per call, measured for about `seconds`."""

    def measured() -> float:
        calls, began, end = 0, time.process_time(), time.process_time() + seconds
        while calls < 3 or time.process_time() < end:
            work()
            calls += 1
        return (time.process_time() - began) / calls * 1e6

    return measured


def _say(report: measuring.Report, subject: Subject, times: Mapping[str, list[float]]) -> None:
    found = {
        name: report.figure(f"{name}: {subject.name}", "µs", values).median
        for name, values in times.items()
    }
    for direction in ("seal", "open"):
        ours = found[f"ours {direction}"]
        report.ratio(
            f"{direction}, {subject.name}: ours / primitives alone",
            ours / found[f"floor {direction}"],
        )
        report.ratio(
            f"{direction}, {subject.name}: ours / joserfc", ours / found[f"joserfc {direction}"]
        )


def _where_it_goes(report: measuring.Report, seconds: float) -> None:
    for name, work in primitives.singles(bytes(16_384)).items():
        report.figure(f"{name}, 16 KiB where it has a body", "µs", [_timed(work, seconds / 2)()])


if __name__ == "__main__":
    main()
