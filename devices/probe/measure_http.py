"""HTTP: the phases of fetching one page, and whether it is the page that it should be."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

MOST_BYTES = 2**20  # of the body; a known page is small
DAY_S = 86_400


@dataclass(slots=True)
class Phases:
    """When each step of a request began or ended, in seconds, as httpcore reports it."""

    at_s: dict[str, float] = field(default_factory=dict)

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """Note the time of an event, such as `connection.connect_tcp.started`."""
        self.at_s[event] = time.perf_counter()

    def took_ms(self, began: str, ended: str) -> float | None:
        """Milliseconds between two events, None where one did not happen."""
        if began not in self.at_s or ended not in self.at_s:
            return None
        return (self.at_s[ended] - self.at_s[began]) * 1000


def measure_http(url: str, expect: str, *, timeout_s: float) -> dict[str, float | bool | None]:
    """One GET on a fresh connection, redirects not followed; the probe's HTTP metrics.

    tcp_ms is the connect alone, tls_ms the handshake, ttfb_ms from the request sent to the first
    byte of the answer, http_total_ms all of it with the body and the name's resolution.
    content_ok: the body holds `expect`; None without one, or without a body. cert_days_left: of
    the server's own certificate, the only one of the chain that Python shows. What was not
    reached is None. Never raises for what the network does.
    """
    phases = Phases()
    trust = ssl.create_default_context()  # the machine's own store, where an agency's CA is put
    values: dict[str, float | bool | None] = {"http_status": None, "content_ok": None}
    with httpx.Client(timeout=timeout_s, verify=trust, trust_env=False) as client:
        began_s = time.perf_counter()
        try:
            with client.stream("GET", url, extensions={"trace": phases.trace}) as response:
                values["http_status"] = response.status_code
                values["cert_days_left"] = _days_left(response)
                body = _read(response, began_s + timeout_s)
            values["http_total_ms"] = (time.perf_counter() - began_s) * 1000
            if expect:
                values["content_ok"] = expect.encode() in body
        except (httpx.HTTPError, ssl.SSLError):
            pass  # what was reached until then is known all the same
    values["tcp_ms"] = phases.took_ms(
        "connection.connect_tcp.started", "connection.connect_tcp.complete"
    )
    values["tls_ms"] = phases.took_ms(
        "connection.start_tls.started", "connection.start_tls.complete"
    )
    values["ttfb_ms"] = phases.took_ms(
        "http11.send_request_headers.complete", "http11.receive_response_headers.complete"
    )
    return values


def _read(response: httpx.Response, until_s: float) -> bytes:
    body = b""
    for chunk in response.iter_bytes():
        body += chunk
        if time.perf_counter() > until_s:
            raise httpx.ReadTimeout("the body drips", request=response.request)
        if len(body) >= MOST_BYTES:
            break
    return body


def _days_left(response: httpx.Response) -> int | None:
    """Whole days until the server's certificate expires, None without TLS."""
    stream = response.extensions["network_stream"]
    tls = stream.get_extra_info("ssl_object")
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate:
        return None
    ends_s = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    return int((ends_s - time.time()) // DAY_S)
