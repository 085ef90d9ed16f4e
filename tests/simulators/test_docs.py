"""The simulation's page of the documentation names everything that a scenario may hold."""

from __future__ import annotations

from pathlib import Path

import yaml

from simulators.malformed import MALFORMED
from simulators.scenario import COMMON_KEYS, SELECT_KEYS, TYPES, built_in, parse_scenario

PAGE = (Path(__file__).parents[2] / "docs/simulation.md").read_text("utf-8")


def test_every_key_type_and_payload_is_documented() -> None:
    """Fault types, their keys, malformed payloads and built-in scenarios stand on the page."""
    own = [key for shape in TYPES.values() for key in shape.keys]
    for word in [*COMMON_KEYS, *SELECT_KEYS, *TYPES, *own, *MALFORMED, *built_in()]:
        assert f"`{word}`" in PAGE, word


def test_the_documented_keys_make_a_scenario() -> None:
    """A fault with every documented common key is understood."""
    text = """
    about: x
    faults:
      - {fault: a, type: drift, select: {kind: solar, province: LA-LP, site: s, count: 2},
         metric: battery_v, start: 2h, duration: 12 rounds, size: x0.5, nature: condition,
         cause: power}
    """
    assert parse_scenario(yaml.safe_load(text), "page").entries[0].count == 2
