"""Names: series numbers keep up with the registry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from devices.registry import Registry
from storage.influx.names import Names
from storage.ledger.migrations import open_ledger
from storage.ledger.registry import add_registry
from storage.ledger.series import add_series
from tests.path.platform import one_office
from tests.project.broker import wait_for


def test_names_follow_the_ledger(tmp_path: Path) -> None:
    """A new series is known at once, a moved device soon, an unknown number never."""
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    country = one_office()
    add_registry(ledger, country)
    add_series(ledger, [(0, "p0", "dns_ms")])
    names = Names(ledger)
    assert names(0)[:5] == ("connectivity-probe", "dns_ms", "LA-LP", "office", "p0")
    add_series(ledger, [(1, "c0", "temperature_c")])
    assert names(1).kind == "cold-chain"
    with pytest.raises(KeyError):
        names(2)
    moved = replace(country.sites["office"], province="LA-VT", district="chanthabuly")
    add_registry(ledger, Registry({"office": moved}, country.devices))
    wait_for(lambda: names(0).province == "LA-VT", "the move is known", 3)
    ledger.close()
