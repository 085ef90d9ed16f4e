"""DNS: how long a resolver takes for a name that nobody can have cached."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass

import dns.exception
import dns.message
import dns.query
import dns.resolver

SYSTEM = "system"
PORT = 53


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """ms: query sent to valid answer; rcode: 0 ok, 2 servfail, 3 nxdomain, 5 refused.

    Both are None when no answer came in time.
    """

    ms: float | None
    rcode: int | None

    def values(self) -> dict[str, float | None]:
        """The probe's metrics."""
        return {"dns_ms": self.ms, "dns_rcode": self.rcode}


def measure_dns(server: str, zone: str, *, timeout_s: float) -> DnsAnswer:
    """Ask a resolver by UDP for a random label under a zone.

    server: an address, with :port if it is not 53, or "system" for the first resolver of this
    machine. Never raises for what the network does.
    """
    address, port = _server(server)
    if address is None:
        return DnsAnswer(None, None)
    query = dns.message.make_query(f"{secrets.token_hex(8)}.{zone}", "A")
    began_s = time.perf_counter()
    try:
        answer = dns.query.udp(query, address, timeout=timeout_s, port=port)
    except (dns.exception.DNSException, OSError):
        return DnsAnswer(None, None)
    return DnsAnswer((time.perf_counter() - began_s) * 1000, int(answer.rcode()))


def _server(server: str) -> tuple[str | None, int]:
    if server != SYSTEM:
        host, colon, port = server.rpartition(":")
        if colon and port.isdecimal() and ":" not in host:
            return host, int(port)
        return server, PORT
    try:
        found = dns.resolver.Resolver().nameservers
    except dns.resolver.NoResolverConfiguration:
        return None, PORT
    return (str(found[0]) if found else None), PORT
