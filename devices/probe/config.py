"""What a probe measures, how often, and where it sends it."""

from __future__ import annotations

import difflib
import re
import socket
import struct
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from devices.geography import PROVINCES
from devices.kinds import TIERS
from devices.registry import DEVICE_ID

GATEWAY = "gateway"  # a target's host that stands for the default gateway
TCP = "tcp://"
DEFAULT_TCP_PORT = 443
ROUTE_FILE = Path("/proc/net/route")
ROUTE_UP_AND_GATEWAY = 0x3


class ProbeConfigError(Exception):
    """The probe's configuration is wrong; the text names the key, what it has, what may be."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a tier measures to. tcp_only: never ICMP. port: of TCP connects."""

    host: str
    port: int = DEFAULT_TCP_PORT
    tcp_only: bool = False


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """Everything that a probe has to know.

    interval_s, timeout_s: seconds of a round and of each reply in it. packets: a round to one
    target has. targets: by tier; what is not there is not measured. dns_server: an address, or
    "system" for the machine's own; dns_zone: a random label is asked under it, "" asks nothing.
    http_url: a page, "" asks none; http_expect: a text that its body must hold, "" any.
    outbox: file of the rounds without a receipt, "" for one in the data directory. buffer_rounds:
    rounds kept in it; beyond, the oldest is dropped.
    """

    device: str
    province: str
    interval_s: float = 60.0
    timeout_s: float = 3.0
    packets: int = 10
    targets: Mapping[str, Target] = field(default_factory=dict)
    dns_server: str = "system"
    dns_zone: str = ""
    http_url: str = ""
    http_expect: str = ""
    outbox: str = ""
    buffer_rounds: int = 10_000


def read_config(file: Path | None, given: Mapping[str, Any]) -> ProbeConfig:
    """The configuration from a TOML file (or none) and what was given beside it, which wins.

    Raises ProbeConfigError. `targets` is a table, or a text such as "gw=gateway,nat=192.0.2.1".
    """
    tree: dict[str, Any] = {}
    if file is not None:
        try:
            tree = tomllib.loads(file.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
            raise ProbeConfigError(f"{file}: {exc}") from exc
    tree |= {key: value for key, value in given.items() if value is not None}
    known = [f.name for f in fields(ProbeConfig)]
    for key in tree:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise ProbeConfigError(f"unknown key {key}; {hint}")
    for key in ("device", "province"):
        if key not in tree:
            raise ProbeConfigError(f"{key} is missing: who is this probe?")
    tree["targets"] = parse_targets(tree.get("targets", {}))
    return _checked(tree)


def parse_targets(given: str | Mapping[str, Any]) -> dict[str, Target]:
    """Targets by tier, from a table or a text. "gw=gateway" is left out where there is none."""
    if isinstance(given, str):
        pairs = [part.split("=", 1) for part in given.split(",") if part.strip()]
        if any(len(pair) != 2 for pair in pairs):
            raise ProbeConfigError(f"targets {given!r}: must be like gw=gateway,nat=192.0.2.1")
        given = {tier.strip(): host.strip() for tier, host in pairs}
    targets: dict[str, Target] = {}
    for tier, text in given.items():
        if tier not in TIERS:
            raise ProbeConfigError(f"targets.{tier}: unknown; a tier is one of {', '.join(TIERS)}")
        if not isinstance(text, str) or not text:
            raise ProbeConfigError(f"targets.{tier} is {text!r}; it must be a host or an address")
        target = _target(tier, text)
        if target is not None:
            targets[tier] = target
    return targets


def _target(tier: str, text: str) -> Target | None:
    tcp_only = text.startswith(TCP)
    host, port = text.removeprefix(TCP), DEFAULT_TCP_PORT
    match = re.fullmatch(r"\[(.+)\](?::(\d+))?|([^:]+):(\d+)", host)
    if match is not None:
        host = match[1] or match[3]
        port = int(match[2] or match[4] or DEFAULT_TCP_PORT)
    if not 0 < port < 65536:
        raise ProbeConfigError(f"targets.{tier} is {text!r}; a port is 1 to 65535")
    if host != GATEWAY:
        return Target(host, port, tcp_only)
    gateway = default_gateway()
    return None if gateway is None else Target(gateway, port, tcp_only)


def default_gateway(route_file: Path = ROUTE_FILE) -> str | None:
    """The IPv4 address of the default gateway, None where there is none.

    From the kernel's table, in which addresses are hexadecimal in the byte order of the machine.
    """
    try:
        lines = route_file.read_text("ascii").splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        columns = line.split()
        flags = int(columns[3], 16)
        if columns[1] == "00000000" and flags & ROUTE_UP_AND_GATEWAY == ROUTE_UP_AND_GATEWAY:
            return socket.inet_ntoa(struct.pack("=L", int(columns[2], 16)))
    return None


def _checked(tree: dict[str, Any]) -> ProbeConfig:
    for config_field in fields(ProbeConfig):
        name = config_field.name
        if name in tree and name != "targets":
            _check_type(name, tree[name], str(config_field.type))
    config = ProbeConfig(**tree)
    if not DEVICE_ID.fullmatch(config.device):
        raise ProbeConfigError(f"device is {config.device!r}; it must be a-z, 0-9, '-', at most 63")
    if config.province not in PROVINCES:
        allowed = ", ".join(PROVINCES)
        raise ProbeConfigError(f"province is {config.province!r}; it must be one of {allowed}")
    for name in ("interval_s", "timeout_s", "buffer_rounds"):
        if not getattr(config, name) > 0:
            raise ProbeConfigError(f"{name} is {getattr(config, name)}; it must be above 0")
    if not 1 <= config.packets <= 1000:
        raise ProbeConfigError(f"packets is {config.packets}; it must be 1 to 1000")
    if config.http_url and not config.http_url.startswith(("http://", "https://")):
        raise ProbeConfigError(f"http_url is {config.http_url!r}; it must be http:// or https://")
    return config


def _check_type(name: str, value: Any, wanted: str) -> None:
    allowed = {"str": (str,), "int": (int,), "float": (int, float)}[wanted]
    if isinstance(value, bool) or not isinstance(value, allowed):
        kind = "a text" if wanted == "str" else "a number"
        raise ProbeConfigError(f"{name} is {value!r}; it must be {kind}")
