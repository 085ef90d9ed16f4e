"""MQTT topics: who speaks to whom about what."""

from __future__ import annotations

import re
from typing import NamedTuple

UP_CHANNELS = ("telemetry", "backfill", "status")  # from a device
DOWN_CHANNELS = ("receipt", "resend")  # to a device
CHANNELS = UP_CHANNELS + DOWN_CHANNELS
PREFIX = "gov/v1"

_TOPIC = re.compile(r"gov/v1/([A-Z]{2}-[A-Z0-9]{1,3})/([a-z0-9-]{1,63})/([a-z]+)")


class TopicError(ValueError):
    """The topic is not one of the contract; the message says what is wrong with it."""


class Topic(NamedTuple):
    """province: ISO 3166-2 code. device: its id. channel: one of CHANNELS."""

    province: str
    device: str
    channel: str


def parse_topic(text: str) -> Topic:
    """The parts of a topic; TopicError unless it is gov/v1/{province}/{device}/{channel}.

    Only the form is checked: the registry knows which provinces and devices exist.
    """
    match = _TOPIC.fullmatch(text)
    if match is None:
        raise TopicError(f"{text[:120]!r} is not gov/v1/{{province}}/{{device}}/{{channel}}")
    province, device, channel = match.groups()
    if channel not in CHANNELS:
        raise TopicError(f"channel {channel[:40]!r}; allowed: {', '.join(CHANNELS)}")
    return Topic(province, device, channel)


def topic(province: str, device: str, channel: str) -> str:
    """The text of a topic; TopicError when a part is not of the contract's form."""
    text = f"{PREFIX}/{province}/{device}/{channel}"
    parse_topic(text)
    return text
