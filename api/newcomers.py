"""Devices that are not registered, as the API shows them: what they said, bounded and escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from api.times import EXAMPLE, TimeOut, iso
from devices.newcomer import Said, said_in
from devices.topics import topic
from storage.ledger.enrolment import Newcomer, Refused, Sent

SHOWN_BYTES = 1000  # of a payload
SHOWN_NAME = 80  # characters of a name that a device chose


class RefusalOut(BaseModel):
    """Who refused a device and why. shown_again_at: what it sends later brings it up again."""

    at: TimeOut
    by: str
    reason: str
    shown_again_at: TimeOut


class SaidOut(BaseModel):
    """What its status message said; null where there was none that was readable."""

    kind: str | None
    interval_s: float | None
    firmware: str | None


class NewcomerOut(BaseModel):
    """A device that is not registered. Times are of receipt; messages: held in quarantine.

    kinds: which have all the metrics that were seen in its newest and oldest messages. refused:
    at last, also where it has sent something since.
    """

    device: str
    state: Literal["pending", "refused"]
    provinces: list[str]
    first_seen: TimeOut
    last_seen: TimeOut
    messages: int
    said: SaidOut
    metrics: list[str]
    kinds: list[str]
    refused: RefusalOut | None


class SentOut(BaseModel):
    """A message. payload: its beginning; what is not printable is escaped with a backslash."""

    topic: str
    received_at: TimeOut
    payload: str
    whole: bool


class NewcomerDetails(NewcomerOut):
    """A device that is not registered, with its newest message."""

    example: SentOut


class Accepted(BaseModel):
    """A device as it is registered now. messages: that were held and are replayed.

    unknown_metrics: that it sent and its kind does not have; they stay in quarantine.
    """

    device: str
    site: str
    kind: str
    interval_s: float
    uplink: int
    params: dict[str, Any]
    messages: int
    unknown_metrics: list[str]


NEWCOMER_EXAMPLE = {
    "device": "probe-0099",
    "state": "pending",
    "provinces": ["LA-LP"],
    "first_seen": "2026-10-05T01:12:00.000Z",
    "last_seen": EXAMPLE,
    "messages": 19,
    "said": {"kind": "connectivity-probe", "interval_s": 60.0, "firmware": "1.4.2"},
    "metrics": ["dns_ms", "nat_rtt_p50_ms"],
    "kinds": ["connectivity-probe"],
    "refused": None,
}
SENT_EXAMPLE = {
    "topic": "gov/v1/LA-LP/probe-0099/telemetry",
    "received_at": EXAMPLE,
    "payload": '{"v":1,"boot":"9f2c","seq":19,"ts":1791163800000,"m":{"dns_ms":14.2}}',
    "whole": True,
}
REFUSED_EXAMPLE = {
    **NEWCOMER_EXAMPLE,
    "state": "refused",
    "refused": {
        "at": EXAMPLE,
        "by": "S. Vong",
        "reason": "A test device of the workshop.",
        "shown_again_at": "2026-11-04T01:30:00.000Z",
    },
}
ACCEPTED_EXAMPLE = {
    "device": "probe-0099",
    "site": "lp-health-01",
    "kind": "connectivity-probe",
    "interval_s": 60.0,
    "uplink": 1,
    "params": {},
    "messages": 19,
    "unknown_metrics": [],
}


def said_of(sent: Sequence[Sent]) -> Said:
    """What messages of one device say of it, the newest first."""
    return said_in((one.topic.channel, one.payload, one.received_ms) for one in sent)


def newcomer_out(row: Newcomer, sent: Sequence[Sent]) -> dict[str, Any]:
    """A device as a NewcomerOut; sent: some of its messages, the newest first."""
    said = said_of(sent)
    return {
        "device": row.device,
        "state": row.state,
        "provinces": sorted({one.topic.province for one in sent}),
        "first_seen": iso(row.first_ms),
        "last_seen": iso(row.last_ms),
        "messages": row.messages,
        "said": {
            "kind": _name(said.kind),
            "interval_s": said.interval_s,
            "firmware": _name(said.firmware),
        },
        "metrics": names_out(said.metrics),
        "kinds": said.kinds,
        "refused": _refusal(row.refused),
    }


def _refusal(refused: Refused | None) -> dict[str, Any] | None:
    if refused is None:
        return None
    return {
        "at": iso(refused.at_ms),
        "by": refused.by,
        "reason": refused.reason,
        "shown_again_at": iso(refused.shown_again_ms),
    }


def example_out(sent: Sent) -> dict[str, Any]:
    """A message as a SentOut."""
    shown = sent.payload[:SHOWN_BYTES]
    return {
        "topic": topic(*sent.topic),
        "received_at": iso(sent.received_ms),
        "payload": _printable(shown.decode("utf-8", "backslashreplace")),
        "whole": len(shown) == len(sent.payload),
    }


def names_out(names: Sequence[str]) -> list[str]:
    """Names that a device chose, as they may be shown."""
    return [_printable(name[:SHOWN_NAME]) for name in names]


def _name(name: str | None) -> str | None:
    return None if name is None else _printable(name[:SHOWN_NAME])


def _printable(text: str) -> str:
    """Without control, format and other characters that are not seen, which are escaped."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
