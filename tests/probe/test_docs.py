"""The probe's page of the documentation holds a configuration that the probe understands."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from devices.probe.config import ProbeConfig, read_config

PAGE = (Path(__file__).parents[2] / "docs/probe.md").read_text("utf-8")


def test_the_example_names_every_key_and_can_be_read(tmp_path: Path) -> None:
    """probe.toml of the page is complete and valid."""
    found = re.search(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    file = tmp_path / "probe.toml"
    file.write_text(found[1])
    config = read_config(file, {})
    assert config.device == "probe-0042"
    assert {"isp", "nat", "int"} <= set(config.targets)
    for field in fields(ProbeConfig):
        assert re.search(rf"^(\[)?{field.name}\b", found[1], re.MULTILINE), field.name
