"""SenML packs in JSON and CBOR: base fields, names, times, units, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import cbor2
import pytest
from hypothesis import given

from devices.kinds import KINDS, Kind
from devices.wire import Message, Round, decode, encode_senml_cbor, encode_senml_json
from devices.wire.senml import LABELS
from tests.devices.messages import AT, NOW, fault, messages, read, refused

T = AT / 1000
WATER = KINDS["water-level"]


def pack(*records: dict[str, Any]) -> str:
    """A pack in JSON."""
    return json.dumps(records)


def labelled(*records: dict[str, Any]) -> bytes:
    """The same pack in CBOR."""
    return cbor2.dumps([{LABELS[key]: value for key, value in r.items()} for r in records])


def values_of(*records: dict[str, Any], kind: Kind = WATER) -> dict[str, float]:
    """The values of a pack that is one round, the same in JSON and in CBOR."""
    message = read(pack(*records), kind)
    assert not message.refusals
    assert read(labelled(*records), kind) == message
    (said,) = message.rounds
    return said.values


@given(messages())
def test_all_formats_say_the_same(example: tuple[Kind, Message]) -> None:
    """Decode of encode is the identity in SenML too, so that all formats give equal messages."""
    kind, message = example
    for payload in (encode_senml_json(message, kind), encode_senml_cbor(message, kind)):
        assert decode(payload, kind, NOW) == message


def test_base_fields_hold_from_their_record_on() -> None:
    """Base name, time, unit and value apply until they are set again (RFC 8428 section 4.1)."""
    message = read(
        pack(
            {"bn": "urn:dev:tank:", "bt": T, "bu": "cm", "n": "level_m", "v": 150},
            {"n": "battery_v", "u": "V", "v": 3.6},
            {"bu": "m", "bv": 2, "n": "level_m", "t": 60, "v": 0.5},
            {"n": "level_m", "t": 120},
            {"bn": "urn:dev:other/", "bt": T + 600, "bv": 0, "n": "level_m", "v": 3},
        ),
        WATER,
    )
    assert message.refusals == []
    assert message.rounds == [
        Round(None, AT, {"level_m": 1.5, "battery_v": 3.6}, None),
        Round(None, AT + 60_000, {"level_m": 2.5}, None),
        Round(None, AT + 120_000, {"level_m": 2.0}, None),
        Round(None, AT + 600_000, {"level_m": 3.0}, None),
    ]


def test_white_space_before_a_pack_is_no_fault() -> None:
    """A pack from a file with an indent is read."""
    payload = pack({"n": "level_m", "t": T, "v": 1})
    assert read(f"\n  {payload}\n", WATER) == read(payload, WATER)


def test_a_record_of_base_fields_only_sets_them() -> None:
    """A first record without a name or value is no fault."""
    assert values_of({"bn": "a/b:", "bt": T}, {"n": "level_m", "v": 1}) == {"level_m": 1.0}


@pytest.mark.parametrize("name", ["level_m", "urn:dev:mac:0024befffe80:level_m", "tank/level_m"])
def test_a_name_is_a_metric_by_its_last_part(name: str) -> None:
    """A plain metric name, or one after ':' or '/', is that metric."""
    assert values_of({"n": name, "t": T, "v": 1}) == {"level_m": 1.0}
    assert values_of({"bn": name, "t": T, "v": 1}) == {"level_m": 1.0}


@pytest.mark.parametrize(("time_s", "at_ms"), [(0, NOW), (-60, NOW - 60_000), (2, NOW + 2000)])
def test_small_times_are_relative_to_now(time_s: float, at_ms: int) -> None:
    """A time below 2**28 counts from the receive time; no time is now (section 4.5.3)."""
    assert read(pack({"n": "level_m", "t": time_s, "v": 1}), WATER).rounds[0].at_ms == at_ms
    if not time_s:
        assert read(pack({"n": "level_m", "v": 1}), WATER).rounds[0].at_ms == at_ms


def test_times_keep_their_milliseconds() -> None:
    """Base time and time are added before they become milliseconds."""
    assert read(pack({"bt": T - 0.1, "t": 0.1, "n": "level_m", "v": 1}), WATER).rounds[0][1] == AT


def test_the_envelope_is_in_records_of_its_own() -> None:
    """seq, boot and up say what they say in native JSON, and texts are attributes."""
    message = read(
        pack(
            {"bt": T, "n": "seq", "v": 7},
            {"n": "link_active", "vs": "4g"},
            {"n": "boot", "vs": "9f2c"},
            {"n": "up", "u": "s", "v": 60},
        )
    )
    assert message == Message("9f2c", [Round(7, AT, {}, {"link_active": "4g"})], [], 60.0)


def test_booleans_and_switches() -> None:
    """vb is yes or no, and so is 0 or 1 with the unit '/' that RFC 8428 gives a switch."""
    assert values_of({"n": "pump_on", "t": T, "vb": True}) == {"pump_on": True}
    assert values_of({"n": "pump_on", "t": T, "u": "/", "v": 1}) == {"pump_on": 1.0}


def test_units_become_the_metrics() -> None:
    """A value in another unit of the same quantity is converted."""
    assert values_of({"n": "level_m", "t": T, "u": "cm", "v": 150}) == {"level_m": 1.5}
    assert values_of({"n": "level_m", "t": T, "u": "m", "v": 1.5}) == {"level_m": 1.5}
    probe = KINDS["connectivity-probe"]
    assert values_of({"n": "dns_ms", "t": T, "u": "s", "v": 0.0125}, kind=probe) == {"dns_ms": 12.5}


@pytest.mark.parametrize(
    ("record", "reason", "where"),
    [
        ({"n": "level_m", "u": "furlong", "v": 1}, "unknown-unit", "[1].u"),
        ({"n": "level_m", "u": "V", "v": 1}, "wrong-unit", "[1].u"),
        ({"n": "level_m", "u": 7, "v": 1}, "bad-senml", "[1].u"),
        ({"n": "level_m", "v": "1"}, "bad-value", "[1].v"),
        ({"n": "level_m", "v": True}, "bad-value", "[1].v"),
        ({"n": "level_m", "vb": True}, "bad-value", "[1].vb"),
        ({"n": "pump_on", "vb": 1}, "bad-value", "[1].vb"),
        ({"n": "level_m", "vs": "1"}, "bad-value", "[1].vs"),
        ({"n": "note", "vs": 1}, "bad-value", "[1].vs"),
        ({"n": "level_m", "vd": "aGk"}, "bad-value", "[1].vd"),
        ({"n": "level_m", "s": 5}, "bad-value", "[1].s"),
        ({"n": "level_m"}, "bad-senml", "[1]"),
        ({"n": "level_m", "v": 1, "vs": "x"}, "bad-senml", "[1]"),
        ({"v": 1}, "bad-senml", "[1].n"),
        ({"n": 7, "v": 1}, "bad-senml", "[1].n"),
        ({"n": "a:", "v": 1}, "bad-senml", "[1].n"),
        ({"n": "level_m", "t": "x", "v": 1}, "bad-senml", "[1].t"),
        ({"n": "level_m", "t": 1e300, "v": 1}, "bad-senml", "[1].t"),
        ({"n": "seq", "v": -1}, "bad-envelope", "[1].v"),
        ({"n": "seq", "v": 1.5}, "bad-envelope", "[1].v"),
        ({"n": "boot", "vs": ""}, "bad-envelope", "[1].vs"),
        ({"n": "boot", "vs": "a\0"}, "bad-envelope", "[1].vs"),
        ({"n": "up", "u": "h", "v": 1}, "bad-envelope", "[1].v"),
    ],
)
def test_a_bad_record_does_not_block_the_others(
    record: dict[str, Any], reason: str, where: str
) -> None:
    """A record that is refused leaves the rest of the pack, in JSON as in CBOR."""
    good = {"n": "battery_v", "t": T, "v": 3.6}
    for payload in (pack(good, record), labelled(good, record)):
        message = read(payload, WATER)
        assert refused(message) == [(reason, where)]
        assert message.rounds == [Round(None, AT, {"battery_v": 3.6}, None)]


def test_an_unknown_field_does_not_block_its_record() -> None:
    """A field that RFC 8428 does not have is refused by itself; ut is known and not needed."""
    message = read(pack({"n": "level_m", "t": T, "ut": 60, "v": 1, "gps": 1}), WATER)
    assert refused(message) == [("unknown-key", "[0].gps")]
    assert message.rounds[0].values == {"level_m": 1.0}
    payload = cbor2.dumps([{0: "level_m", 6: T, 2: 1, 99: 1}])
    assert refused(read(payload, WATER)) == [("unknown-key", "[0].99")]


@pytest.mark.parametrize(
    ("records", "reason", "where"),
    [
        ([], "empty", ""),
        ([{"bn": "a"}], "empty", ""),
        ([{"n": "boot", "vs": "9f2c"}], "empty", ""),
        ([{"n": "level_m", "v": 1}, {"bn": 7}], "bad-senml", "[1].bn"),
        ([{"bt": "now", "n": "level_m", "v": 1}], "bad-senml", "[0].bt"),
        ([{"bver": "x", "n": "level_m", "v": 1}], "bad-senml", "[0].bver"),
        ([{"bver": 11, "n": "level_m", "v": 1}], "bad-version", "[0].bver"),
        ([{"n": "level_m", "v": 1, "must_": 1}], "bad-senml", "[0].must_"),
        ([{"n": "level_m", "v": 1e308, "bv": 1e308}], "number-too-large", "[0].v"),
        ([{"n": "level_m", "u": "km", "v": 1e308}], "number-too-large", "[0].v"),
        ([{"n": "level_m", "t": n, "v": 1} for n in range(1001)], "oversize", "[1000]"),
        ([{"n": f"m{n}", "v": 1} for n in range(257)], "too-many-fields", "[256]"),
        ([{}] * 16_385, "oversize", ""),
    ],
)
def test_a_bad_pack_is_refused(records: list[dict[str, Any]], reason: str, where: str) -> None:
    """A fault that may reach other records refuses the whole pack."""
    assert fault(json.dumps(records), WATER) == (reason, where)


def test_versions_10_and_26_are_known() -> None:
    """26 is version 10 with secondary units (RFC 9100)."""
    for version in (10, 26):
        assert values_of({"bver": version, "n": "level_m", "t": T, "v": 1}) == {"level_m": 1.0}


def test_a_record_that_is_no_object_is_refused_alone() -> None:
    """A stray item of the array leaves the others."""
    message = read(json.dumps([7, {"n": "level_m", "t": T, "v": 1}]), WATER)
    assert refused(message) == [("bad-senml", "[0]")]
    assert len(message.rounds) == 1


def test_cbor_may_name_its_fields() -> None:
    """A field is known by its label or its name, but not by both at once."""
    assert read(cbor2.dumps([{"n": "level_m", 6: T, 2: 1.5}]), WATER).rounds[0][2] == {
        "level_m": 1.5
    }
    assert fault(cbor2.dumps([{"n": "level_m", 0: "level_m", 2: 1}]), WATER)[0] == "bad-cbor"


def test_what_a_pack_cannot_say_is_not_encoded() -> None:
    """A time that SenML would take as relative, and a message of nothing, are errors."""
    probe = KINDS["connectivity-probe"]
    early = Message(None, [Round(None, 1000, {"dns_ms": 1.0}, None)], [], None)
    nothing = Message(None, [Round(None, AT, {}, None)], [], None)
    with pytest.raises(ValueError, match="relative"):
        encode_senml_json(early, probe)
    with pytest.raises(ValueError, match="nothing"):
        encode_senml_cbor(nothing, probe)
