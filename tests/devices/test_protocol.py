"""docs/protocol.md is the contract that the code keeps: examples, units, limits and reasons."""

from __future__ import annotations

import re
from pathlib import Path

from devices import topics
from devices.kinds import KINDS, Kind
from devices.wire import (
    Message,
    Receipt,
    Resend,
    Round,
    Status,
    decode_receipt,
    decode_resend,
    decode_status,
)
from devices.wire.message import MAX_BYTES, MAX_DEPTH, MAX_FIELDS, MAX_ROUNDS
from devices.wire.reasons import REASONS
from devices.wire.units import CONVERSIONS
from tests.devices.messages import AT, PROBE, read
from tests.project.documents import rows_of, section, text_of

TEXT = text_of(Path("docs/protocol.md"))
WATER = KINDS["water-level"]


def examples(heading: str, language: str = "json") -> list[str]:
    """The blocks of one language under a heading."""
    return re.findall(rf"```{language}\n(.*?)\n```", section(TEXT, heading), re.S)


def said(payload: str | bytes, kind: Kind) -> Message:
    """What an example says; nothing of it may be refused."""
    message = read(payload, kind)
    assert not message.refusals
    return message


def test_the_examples_of_json_are_read() -> None:
    """The single payload and the batch say what the text says of them."""
    one, several = examples("## Telemetry in JSON")
    values = {"nat_rtt_p50_ms": 21.4, "nat_loss_pct": 0.0, "content_ok": True}
    assert said(one, PROBE) == Message(
        "9f2c", [Round(4711, AT, values, {"link_active": "fibre"})], [], 86400.0
    )
    assert [r.seq for r in said(several, PROBE).rounds] == [4711, 4712]


def test_the_examples_of_senml_are_read() -> None:
    """The pack says the same in JSON and in CBOR, and may carry the envelope."""
    pack, with_envelope = examples("## Telemetry in SenML")
    (cbor,) = examples("## Telemetry in SenML", "text")
    values = {"level_m": 2.31, "battery_v": 3.62, "pump_on": True}
    assert said(pack, WATER) == Message(None, [Round(None, AT, values, None)], [], None)
    assert said(bytes.fromhex(cbor), WATER) == said(pack, WATER)
    assert said(with_envelope, WATER) == Message(
        "9f2c", [Round(4711, AT, {"level_m": 2.31}, None)], [], 86400.0
    )


def test_the_examples_of_status_receipt_and_resend_are_read() -> None:
    """Birth, Last Will, receipt and resend are in the forms that the decoders read."""
    birth, will = examples("## Status")
    assert decode_status(birth.encode()).kind == "connectivity-probe"
    assert decode_status(will.encode()) == Status("offline", "9f2c")
    receipt, resend = examples("## Receipts and resends")
    assert decode_receipt(receipt.encode()) == Receipt("9f2c", 4711)
    assert decode_resend(resend.encode()) == Resend("9f2c", 4600, 4655)


def test_the_table_of_reasons_is_the_codes() -> None:
    """Every reason, what it refuses and why."""
    rows = rows_of(section(TEXT, "## What is refused"))[1:]
    assert {row[0].strip("`"): (row[1], row[2]) for row in rows} == REASONS


def test_the_table_of_units_is_the_codes() -> None:
    """Every conversion, by the metric's unit."""
    rows = rows_of(section(TEXT, "### Units"))[1:]
    written = {row[0].strip("`"): re.findall("`([^`]+)`", row[1]) for row in rows}
    assert written == {unit: list(others) for unit, others in CONVERSIONS.items()}


def test_the_channels_and_limits_are_the_codes() -> None:
    """Channels by direction, and the numbers under Limits."""
    rows = rows_of(section(TEXT, "## Topics"))[1:]
    up = tuple(row[0].strip("`") for row in rows if row[1] == "up")
    down = tuple(row[0].strip("`") for row in rows if row[1] == "down")
    assert (up, down) == (topics.UP_CHANNELS, topics.DOWN_CHANNELS)
    limits = section(TEXT, "## Limits")
    for text in (f"{MAX_BYTES:,} bytes", f"{MAX_ROUNDS:,} rounds", f"{MAX_FIELDS} fields"):
        assert text in limits
    assert f"Depth: {MAX_DEPTH}" in limits
