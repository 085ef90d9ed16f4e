"""How often somebody may ask: a bucket of tokens for each key or address, of a bounded number."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict

MOST_BUCKETS = 10_000  # keys or addresses that are remembered at a time


class Buckets:
    """Token buckets that fill evenly. Forgets who asked longest ago. For one event loop."""

    def __init__(self, most: int = MOST_BUCKETS) -> None:
        self._most = most
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, as of when

    def wait_s(self, who: str, now_s: float, *, per_s: float, burst: int) -> float:
        """Take a token: 0.0. Without one: the seconds until there is one.

        per_s: on average; burst: at once. now_s: of a steady clock.
        """
        tokens, at_s = self._left.pop(who, (float(burst), now_s))
        tokens = min(float(burst), tokens + (now_s - at_s) * per_s)
        allowed = tokens >= 1.0
        self._left[who] = (tokens - 1.0 if allowed else tokens, now_s)
        if len(self._left) > self._most:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - tokens) / per_s

    def minute_wait_s(self, who: str, now_s: float, *, per_minute: int) -> float:
        """The same of a bucket that holds what a minute allows."""
        return self.wait_s(who, now_s, per_s=per_minute / 60, burst=per_minute)


def neighbourhood(address: str) -> str:
    """Who shares one bucket: an IPv4 address, or the /64 of an IPv6 one, which its owner has whole.

    An IPv4 address in the clothes of IPv6 is the one inside. What is no address is its own
    neighbourhood.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))


def retry_after(wait_s: float) -> dict[str, str]:
    """The header that says when to ask again."""
    return {"Retry-After": str(math.ceil(wait_s))}
