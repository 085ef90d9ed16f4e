"""The probe's configuration: from flags and a file, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devices.probe.config import (
    ProbeConfigError,
    Target,
    default_gateway,
    parse_targets,
    read_config,
)

WHO = {"device": "probe-1", "province": "LA-LP"}


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """A key that is given beside the file replaces the file's."""
    file = tmp_path / "probe.toml"
    file.write_text(
        'device = "probe-1"\nprovince = "LA-LP"\ninterval_s = 30\n'
        '[targets]\nisp = "192.0.2.1"\nnat = "tcp://portal.example.la:8443"\n'
    )
    config = read_config(file, {"interval_s": 10.0, "packets": None})
    assert (config.interval_s, config.packets) == (10.0, 10)
    assert config.targets == {
        "isp": Target("192.0.2.1"),
        "nat": Target("portal.example.la", 8443, tcp_only=True),
    }


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("192.0.2.1", Target("192.0.2.1", 443)),
        ("host.la:80", Target("host.la", 80)),
        ("2001:db8::1", Target("2001:db8::1", 443)),
        ("[2001:db8::1]:80", Target("2001:db8::1", 80)),
        ("tcp://[2001:db8::1]", Target("2001:db8::1", 443, tcp_only=True)),
    ],
)
def test_targets_name_a_host_and_a_port(text: str, target: Target) -> None:
    """Names, IPv4 and IPv6 addresses, with and without a port, forced to TCP or not."""
    assert parse_targets(f"nat={text}") == {"nat": target}


def test_only_what_is_asked_for_is_measured() -> None:
    """Without targets, zone and page a probe measures itself alone."""
    config = read_config(None, WHO)
    assert (config.targets, config.dns_zone, config.http_url) == ({}, "", "")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"device": "probe-1"}, "province is missing"),
        ({**WHO, "device": "Probe 1"}, "device is 'Probe 1'"),
        ({**WHO, "province": "LA-ZZ"}, "province is 'LA-ZZ'.*LA-VT"),
        ({**WHO, "interval": 3}, "unknown key interval; did you mean interval_s?"),
        ({**WHO, "interval_s": 0}, "interval_s is 0"),
        ({**WHO, "interval_s": "60"}, "interval_s is '60'; it must be a number"),
        ({**WHO, "packets": 0}, "packets is 0"),
        ({**WHO, "packets": True}, "packets is True"),
        ({**WHO, "http_url": "portal"}, "http_url is 'portal'"),
        ({**WHO, "targets": "nat"}, "must be like gw=gateway"),
        ({**WHO, "targets": {"lan": "x"}}, "targets.lan: unknown; a tier is one of gw, isp"),
        ({**WHO, "targets": "nat=host:99999"}, "a port is 1 to 65535"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], words: str) -> None:
    """A wrong configuration is refused with the key, what it has and what may be."""
    with pytest.raises(ProbeConfigError, match=words):
        read_config(None, given)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    """A file that is not there or not TOML is refused with its name."""
    with pytest.raises(ProbeConfigError, match=r"gone\.toml"):
        read_config(tmp_path / "gone.toml", WHO)


def test_the_default_gateway_is_read_from_the_kernels_table(tmp_path: Path) -> None:
    """The gateway of the default route; none where there is no such route or no table."""
    table = tmp_path / "route"
    head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    lan = "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    table.write_text(head + lan + "eth0\t00000000\t0102000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n")
    assert default_gateway(table) == "10.0.2.1"
    table.write_text(head + lan)
    assert default_gateway(table) is None
    assert default_gateway(tmp_path / "none") is None
