"""What was refused, as the API shows it."""

from __future__ import annotations

import base64

import pytest

from tests.api.world import World


def test_kept_messages_are_listed_newest_first_without_payload(world: World) -> None:
    """A list row has topic, device and reasons."""
    rows = world.items("/quarantine")
    assert [row["reason"] for row in rows] == ["bad-utf8", "bad-version"]
    assert world.items("/quarantine", limit=1) == rows
    assert "payload" not in rows[0]
    assert rows[1]["refusals"] == [{"reason": "bad-version", "where": "v", "detail": "9 is not 1"}]


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        ({"reason": "bad-version"}, ["bad-version"]),
        ({"device": "ghost"}, ["bad-utf8"]),
        ({"state": "held"}, ["bad-utf8", "bad-version"]),
        ({"state": "replayed"}, []),
    ],
)
def test_kept_messages_are_filtered(
    world: World, asked: dict[str, str], reasons: list[str]
) -> None:
    """By reason, device and state."""
    assert [row["reason"] for row in world.items("/quarantine", **asked)] == reasons


def test_a_payload_is_text_where_it_can_be(world: World) -> None:
    """UTF-8 comes as text, anything else as base64."""
    broken, text = world.items("/quarantine")
    kept = world.get(f"/quarantine/{text['id']}")
    assert (kept["payload"], kept["payload_b64"]) == ('{"v":9}', None)
    kept = world.get(f"/quarantine/{broken['id']}")
    assert kept["payload"] is None
    assert base64.b64decode(kept["payload_b64"]) == b"\xff\x00"


@pytest.mark.parametrize(
    ("number", "status"), [("99", 404), (str(2**63), 422), ("-1", 422), ("one", 422), ("1.5", 422)]
)
def test_an_id_that_is_none(world: World, number: str, status: int) -> None:
    """Unknown is a 404, impossible a 422."""
    world.problem(status, f"/quarantine/{number}")
