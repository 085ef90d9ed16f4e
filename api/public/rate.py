"""How often one address may ask: a bucket of tokens for each, of a bounded number of addresses."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict

MOST_ADDRESSES = 10_000


class Rate:
    """per_s requests a second on average, `burst` at once. Forgets who asked longest ago."""

    def __init__(self, *, per_s: float, burst: int, most: int = MOST_ADDRESSES) -> None:
        self._per_s = per_s
        self._burst = burst
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, as of when

    def wait_s(self, who: str, now_s: float) -> float:
        """Take a token: 0.0. Without one: the seconds until there is one."""
        tokens, at_s = self._left.pop(who, (float(self._burst), now_s))
        tokens = min(float(self._burst), tokens + (now_s - at_s) * self._per_s)
        allowed = tokens >= 1.0
        self._left[who] = (tokens - 1.0 if allowed else tokens, now_s)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) / self._per_s


def neighbourhood(address: str) -> str:
    """Who shares one bucket: an IPv4 address, or the /64 network of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False))
