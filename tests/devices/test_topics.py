"""Topics are taken apart as the contract writes them, and refused otherwise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.topics import CHANNELS, Topic, TopicError, parse_topic, topic


@given(
    st.sampled_from(["LA-LP", "LA-VT", "TH-50"]),
    st.from_regex(r"[a-z0-9-]{1,63}", fullmatch=True),
    st.sampled_from(CHANNELS),
)
def test_a_topic_is_read_as_it_is_written(province: str, device: str, channel: str) -> None:
    """Parsing the text of a topic gives its parts back."""
    assert parse_topic(topic(province, device, channel)) == Topic(province, device, channel)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "gov/v1/LA-LP/p1",
        "gov/v1/LA-LP/p1/telemetry/x",
        "gov/v2/LA-LP/p1/telemetry",
        "/gov/v1/LA-LP/p1/telemetry",
        "gov/v1/la-lp/p1/telemetry",
        "gov/v1/LA-LP/P1/telemetry",
        "gov/v1/LA-LP//telemetry",
        "gov/v1/LA-LP/p_1/telemetry",
        "gov/v1/LA-LP/p1/commands",
        "gov/v1/LA-LP/p1/telemetry\n",
        f"gov/v1/LA-LP/{'p' * 64}/telemetry",
        "gov/v1/+/p1/telemetry",
    ],
)
def test_other_topics_are_refused(text: str) -> None:
    """A topic that is not of the contract's form is a TopicError that shows it."""
    with pytest.raises(TopicError, match=r"gov/v1|allowed"):
        parse_topic(text)


def test_a_topic_is_not_made_of_wrong_parts() -> None:
    """A device id that would add a level is refused when the topic is made."""
    with pytest.raises(TopicError):
        topic("LA-LP", "a/b", "telemetry")


@given(st.text())
def test_any_text_is_a_topic_or_a_topic_error(text: str) -> None:
    """No text makes anything else happen."""
    try:
        parts = parse_topic(text)
    except TopicError:
        return
    assert topic(*parts) == text
