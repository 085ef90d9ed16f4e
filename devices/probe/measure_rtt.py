"""Round trips to one target: packets sent, replies, times, loss, by ICMP echo or TCP connect."""

from __future__ import annotations

import math
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from devices.probe.config import Target
from devices.probe.icmp import IcmpRound, icmp_socket
from devices.probe.tcp import tcp_round


@dataclass(frozen=True, slots=True)
class Echoes:
    """One round to one target.

    rtt_ms: by packet sent, in order; None where no reply came within the timeout. dup: repeated
    replies, None where the method cannot tell. method: icmp, tcp, or none where nothing was sent.
    """

    method: str
    rtt_ms: Sequence[float | None] = field(default=())
    dup: int | None = None

    def values(self, tier: str) -> dict[str, float | None]:
        """The tier's metrics; None where undefined: a round trip without a reply, loss of nothing.

        Quantiles are by nearest rank, so p95 is the maximum below 20 replies. Jitter is the mean
        absolute difference of adjacent received packets (RFC 3393). Loss as RFC 7680.
        """
        came = sorted(rtt for rtt in self.rtt_ms if rtt is not None)
        sent, rcvd = len(self.rtt_ms), len(came)
        return {
            f"{tier}_sent": sent,
            f"{tier}_rcvd": rcvd,
            f"{tier}_dup": self.dup,
            f"{tier}_rtt_min_ms": came[0] if came else None,
            f"{tier}_rtt_p50_ms": nearest_rank(came, 0.5),
            f"{tier}_rtt_p95_ms": nearest_rank(came, 0.95),
            f"{tier}_rtt_max_ms": came[-1] if came else None,
            f"{tier}_jitter_ms": jitter(self.rtt_ms),
            f"{tier}_loss_pct": 100.0 * (sent - rcvd) / sent if sent else None,
        }


def nearest_rank(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of the ascending values does not exceed."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None


def jitter(rtt_ms: Iterable[float | None]) -> float | None:
    """Mean absolute difference of adjacent received packets, None where there are no two."""
    steps: list[float] = []
    before: float | None = None
    for rtt in rtt_ms:
        if rtt is not None and before is not None:
            steps.append(abs(rtt - before))
        before = rtt
    return sum(steps) / len(steps) if steps else None


def measure_rtt(target: Target, *, packets: int, timeout_s: float) -> Echoes:
    """A round to a target: ICMP where this process may, else TCP connects to the target's port.

    Takes (packets - 1) × 50 ms and at most timeout_s more. Never raises for what the network
    does: a name that is not found, or a network that is down, is a round with nothing sent.
    """
    found = _resolve(target)
    if found is None:
        return Echoes("none")
    family, address = found
    sock = None if target.tcp_only else icmp_socket(family)
    if sock is None:
        rtt_ms = tcp_round(family, (address, target.port), packets=packets, timeout_s=timeout_s)
        return Echoes("tcp", rtt_ms)
    with sock:
        rtt_ms, dup = IcmpRound(sock, address, timeout_s).run(packets)
    return Echoes("icmp", rtt_ms, dup)


def _resolve(target: Target) -> tuple[socket.AddressFamily, str] | None:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError:
        return None
    family, _, _, _, address = found[0]
    return family, str(address[0])
