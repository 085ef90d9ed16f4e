"""Native JSON: what is kept, what is refused, and for which reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given

from devices.kinds import KINDS, Kind
from devices.wire import Message, PayloadError, Round, encode, encode_batch
from devices.wire.lenient import decode_leniently
from devices.wire.native import decode_native
from tests.devices.messages import AT, fault, messages, read, refused

SINGLE: dict[str, Any] = {
    "v": 1,
    "boot": "9f2c",
    "seq": 4711,
    "ts": AT,
    "up": 86400,
    "m": {"nat_rtt_p50_ms": 21.4, "content_ok": True},
}


def single(**changes: Any) -> str:
    """A good payload of one round, with some keys changed or, by ..., left out."""
    tree = {key: value for key, value in (SINGLE | changes).items() if value is not ...}
    return json.dumps(tree)


def batch(*rounds: Any, **changes: Any) -> str:
    """A good payload of these rounds."""
    return json.dumps({"v": 1, "boot": "9f2c", "r": list(rounds)} | changes)


def a_round(seq: int = 1, **changes: Any) -> dict[str, Any]:
    """A good round of a batch, with some keys changed."""
    return {"seq": seq, "ts": AT + seq, "m": {"dns_ms": 14.2}} | changes


def test_one_round_is_read() -> None:
    """Envelope and values of a single payload are all in the message."""
    values = {"nat_rtt_p50_ms": 21.4, "content_ok": True}
    assert read(single()) == Message("9f2c", [Round(4711, AT, values, None)], [], 86400.0)


def test_a_device_need_not_count_nor_tell_its_uptime() -> None:
    """boot, seq, up and a are optional, absent or null."""
    expected = Message(None, [Round(None, AT, {"dns_ms": 1.0}, None)], [], None)
    assert read(f'{{"v":1,"ts":{AT},"m":{{"dns_ms":1}}}}') == expected
    nulls = '"boot":null,"seq":null,"up":null,"a":null,"r":null'
    assert read(f'{{"v":1,"ts":{AT},"m":{{"dns_ms":1}},{nulls}}}') == expected
    assert read(f'{{"v":1,"ts":{AT},"m":{{"dns_ms":1}},{nulls},"z":1}}').rounds == expected.rounds


def test_a_batch_is_read_in_its_order() -> None:
    """Rounds keep their order, and the uptime is that of the last round that tells it."""
    message = read(batch(a_round(2), a_round(1, up=70, a={"link_active": "4g"}), up=60))
    assert [said.seq for said in message.rounds] == [2, 1]
    assert message.rounds[1].attributes == {"link_active": "4g"}
    assert message.uptime_s == 70.0


def test_what_was_not_measured_is_absent() -> None:
    """A null is neither a value nor a fault, and a round may hold nothing."""
    message = read(single(m={"dns_ms": None, "tcp_ms": 3}))
    assert message.rounds[0].values == {"tcp_ms": 3.0}
    assert read(single(m={})).rounds[0].values == {}
    assert not message.refusals


def test_white_space_around_the_payload_is_no_fault() -> None:
    """A payload from a file with an indent and a last line end is read."""
    assert read(f"  {single()}\r\n") == read(single())


@pytest.mark.parametrize(
    ("payload", "reason", "where"),
    [
        ("", "empty", ""),
        ('{"v":1,"boot":', "bad-json", ""),
        ("hello", "bad-json", ""),
        ("\ufeff{}", "bad-json", ""),
        ('"text"', "bad-json", ""),
        (single() + "x", "bad-json", ""),
        (single() + single(), "bad-json", ""),
        (b'{"v":1,"boot":"\xff"}', "bad-utf8", ""),
        (b'{"v":1,"\xed\xa0\x80":1}', "bad-utf8", ""),
        (single().replace("9f2c", "\\ud800"), "bad-utf8", ""),
        (single().replace("9f2c", "\\udc00"), "bad-utf8", ""),
        (single().replace("9f2c", "\\ud83d\\u0041"), "bad-utf8", ""),
        (single().replace("9f2c", "\\ud83dx\\ude00"), "bad-utf8", ""),
        (single().replace("21.4", "NaN"), "not-a-number", ""),
        (single().replace("21.4", "nan"), "not-a-number", ""),
        (single().replace("21.4", "Infinity"), "not-a-number", ""),
        (single().replace("21.4", "-Infinity"), "not-a-number", ""),
        (single().replace("21.4", "-inf"), "not-a-number", ""),
        (single().replace("21.4", "1e400"), "number-too-large", ""),
        (single().replace("21.4", "-1e400"), "number-too-large", ""),
        (single().replace("21.4", "9" * 400), "number-too-large", ""),
        (single().replace("21.4", "9" * 5000), "number-too-large", ""),
        (single().replace("86400", "9" * 400), "number-too-large", ""),
        (single(x=[[[[[[[[]]]]]]]]), "too-deep", ""),
        ('{"v":1,"x":' + "[" * 20 + "]" * 20 + "}", "too-deep", ""),
        ('{"v":1,"x":' + "[" * 100_000, "too-deep", ""),
        ("[" * 100_000, "too-deep", ""),
        (single(m={f"m{n}": 1 for n in range(257)}), "too-many-fields", ""),
        (single(a={f"a{n}": "x" for n in range(257)}), "too-many-fields", ""),
        (json.dumps(SINGLE | {f"k{n}": 1 for n in range(257)}), "too-many-fields", ""),
        (batch(a_round(m={f"m{n}": 1 for n in range(257)})), "too-many-fields", ""),
        (single(x="x" * 262_144), "oversize", ""),
        (batch(*[a_round(m={})] * 1001), "oversize", "r"),
        (batch(), "empty", "r"),
        (single(v=...), "bad-envelope", "v"),
        (single(v=True), "bad-envelope", "v"),
        (single(v="1"), "bad-envelope", "v"),
        (single(v=2), "bad-version", "v"),
        (single(boot=""), "bad-envelope", "boot"),
        (single(boot="x" * 65), "bad-envelope", "boot"),
        (single(boot="a\0"), "bad-envelope", "boot"),
        (batch(boot="\0"), "bad-envelope", "boot"),
        (single(boot=7), "bad-envelope", "boot"),
        (single(seq=-1), "bad-envelope", "seq"),
        (single(seq=1.0), "bad-envelope", "seq"),
        (single(seq=True), "bad-envelope", "seq"),
        (single(seq=2**53), "bad-envelope", "seq"),
        (single(ts=...), "bad-envelope", "ts"),
        (single(ts="noon"), "bad-envelope", "ts"),
        (single(ts=float(AT)), "bad-envelope", "ts"),
        (single(ts=10**17), "bad-envelope", "ts"),
        (single(up=-1), "bad-envelope", "up"),
        (single(up=True), "bad-envelope", "up"),
        (single(m=[1]), "bad-envelope", "m"),
        (single(a="x"), "bad-envelope", "a"),
        (single(m=...), "bad-envelope", ""),
        (single(r=[a_round()]), "bad-envelope", ""),
        (batch(r={}), "bad-envelope", "r"),
    ],
)
def test_a_bad_payload_is_refused_for_its_reason(
    payload: bytes | str, reason: str, where: str
) -> None:
    """A fault of the whole payload refuses it, with the reason and the place."""
    assert fault(payload) == (reason, where)


@pytest.mark.parametrize("payload", [single(ts="1790000000123"), single(m={"dns_ms": "3"})])
def test_a_number_in_quotes_is_shown_in_quotes(payload: bytes) -> None:
    """Who reads the refusal sees why it was one."""
    try:
        detail = read(payload).refusals[0].detail
    except PayloadError as exc:
        detail = exc.detail
    assert detail.startswith("'")
    assert "'; allowed: " in detail


def test_limits_are_inclusive() -> None:
    """What is just within a limit is read."""
    assert len(read(batch(*[a_round(m={})] * 1000)).rounds) == 1000
    assert len(read(single(m={f"m{n}": 1 for n in range(256)})).rounds[0].values) == 256
    assert refused(read(single(x=[[[[[[[]]]]]]]))) == [("unknown-key", "x")]
    filler = 262_144 - len(single(x=""))
    assert refused(read(single(x="x" * filler))) == [("unknown-key", "x")]


def test_an_unknown_key_does_not_block_the_rest() -> None:
    """Each key that the contract does not have is a refusal beside the values."""
    message = read(single(gps=[17.9, 102.6], note=None))
    assert refused(message) == [("unknown-key", "gps"), ("unknown-key", "note")]
    assert message.rounds == read(single()).rounds
    message = read(batch(a_round(1, gps=1), a_round(2), ts=AT))
    assert refused(message) == [("unknown-key", "ts"), ("unknown-key", "r[0].gps")]
    assert [said.seq for said in message.rounds] == [1, 2]


def test_a_bad_value_does_not_block_the_rest() -> None:
    """A value of a wrong type is refused by itself."""
    values = {"dns_ms": "14", "tcp_ms": [1], "tls_ms": {}, "up_mbps": True, "content_ok": False}
    message = read(single(m=values, a={"link_active": "4g", "asn": 9873}))
    assert refused(message) == [
        ("bad-value", "a.asn"),
        ("bad-value", "m.dns_ms"),
        ("bad-value", "m.tcp_ms"),
        ("bad-value", "m.tls_ms"),
        ("bad-value", "m.up_mbps"),
    ]
    assert message.rounds[0].values == {"content_ok": False}
    assert message.rounds[0].attributes == {"link_active": "4g"}


def test_a_boolean_for_a_quantity_is_refused_in_an_otherwise_good_payload() -> None:
    """true is no number of milliseconds; where it is yes or no, it is kept."""
    message = read(single(m={"dns_ms": True, "content_ok": True}))
    assert refused(message) == [("bad-value", "m.dns_ms")]
    assert message.rounds[0].values == {"content_ok": True}


def test_a_bad_round_does_not_block_the_others() -> None:
    """A round that is refused leaves the others of its batch."""
    message = read(batch(a_round(1), a_round(2, ts="x"), 7, a_round(4), {"ts": AT}))
    assert refused(message) == [
        ("bad-envelope", "r[1].ts"),
        ("bad-envelope", "r[2]"),
        ("bad-envelope", "r[4].m"),
    ]
    assert [said.seq for said in message.rounds] == [1, 4]


def test_a_long_list_of_refusals_is_cut() -> None:
    """A payload made of faults does not fill the quarantine with their descriptions."""
    message = read(batch(*[a_round(x=1)] * 1000))
    assert len(message.rounds) == 1000
    assert len(message.refusals) == 257
    assert message.refusals[-1] == ("unknown-key", "", "and 744 more refusals")


def test_an_unprintable_name_is_shown_as_text() -> None:
    """What a refusal shows is short and printable, whatever the payload holds."""
    (refusal,) = read(single(**{"x\x00\u202e" + "y" * 300: 1})).refusals
    assert refusal.where.isprintable()
    assert len(refusal.where) < 100


@given(messages())
def test_decode_of_encode_is_the_identity(example: tuple[Kind, Message]) -> None:
    """Single or batch, what is encoded is read back, also by the field-by-field way."""
    kind, message = example
    for payload in (encode(message), encode_batch(message)):
        assert decode_native(payload, kind) == message
        assert decode_leniently(payload, kind) == message


def test_one_round_is_encoded_as_a_single_payload() -> None:
    """encode writes the form of the contract's example."""
    message = Message("9f2c", [Round(4711, AT, {"dns_ms": 14.2}, None)], [], None)
    expected = {"v": 1, "boot": "9f2c", "seq": 4711, "ts": AT, "m": {"dns_ms": 14.2}}
    assert json.loads(encode(message)) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_is_not_encoded(value: float) -> None:
    """A NaN is an error at its source, never a null on the wire."""
    with pytest.raises(ValueError, match="not finite"):
        encode(Message(None, [Round(None, AT, {"dns_ms": value}, None)], [], None))


def test_what_no_decoder_would_take_is_not_encoded() -> None:
    """No rounds, too many rounds and too many bytes are errors at their source."""
    said = Round(None, AT, {}, {"note": "x" * 300})
    for count in (0, 1001, 1000):
        with pytest.raises(ValueError, match="allowed"):
            encode(Message(None, [said] * count, [], None))


def test_reasons_are_those_of_the_table() -> None:
    """A PayloadError tells its reason, place and what was allowed."""
    with pytest.raises(PayloadError, match="bad-version at v: 2; allowed: 1"):
        decode_native(single(v=2).encode(), KINDS["power"])
