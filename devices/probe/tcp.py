"""TCP connect timing, where ICMP is not allowed: SYN to SYN/ACK, or to the target's refusal."""

from __future__ import annotations

import errno
import selectors
import socket
import time

from devices.probe.icmp import LEAST_MS, SPACING_S

ANSWERS = (0, errno.ECONNREFUSED)  # a refusal is an answer of the target as well
NOT_SENT = (errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.ENETDOWN, errno.EACCES, errno.EPERM)


def tcp_round(
    family: int, address: tuple[str, int], *, packets: int, timeout_s: float
) -> list[float | None]:
    """Connect times in ms by attempt, None where no answer came in time.

    Attempts start 50 ms apart whatever becomes of those before. One that this machine could not
    send is not among them.
    """
    with selectors.DefaultSelector() as selector:
        began_s = time.perf_counter()
        round_of = _Round(selector, timeout_s)
        for attempt in range(packets):
            round_of.start(family, address, attempt)
            round_of.watch_until(began_s + (attempt + 1) * SPACING_S)
        round_of.watch_until(time.perf_counter() + timeout_s, all_of_them=True)
        round_of.close()
        return list(round_of.rtt_ms.values())


class _Round:
    """The attempts of one round that are under way, and what became of the others."""

    def __init__(self, selector: selectors.BaseSelector, timeout_s: float) -> None:
        self.rtt_ms: dict[int, float | None] = {}
        self._selector = selector
        self._timeout_s = timeout_s
        self._started_s: dict[int, float] = {}

    def start(self, family: int, address: tuple[str, int], attempt: int) -> None:
        """Begin one connect."""
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setblocking(False)
        self._started_s[attempt] = time.perf_counter()
        code = sock.connect_ex(address)
        if code == errno.EINPROGRESS:
            self.rtt_ms[attempt] = None
            self._selector.register(sock, selectors.EVENT_WRITE, attempt)
            return
        self._finish(sock, attempt, code)

    def watch_until(self, until_s: float, *, all_of_them: bool = False) -> None:
        """Take answers until a time, or until none is missing where that ends the round."""
        while (left_s := until_s - time.perf_counter()) > 0:
            if all_of_them and not self._selector.get_map():
                return
            for key, _ in self._selector.select(left_s):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                self._selector.unregister(sock)
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                self._finish(sock, key.data, code)

    def close(self) -> None:
        """Give up on what has not answered."""
        for key in list(self._selector.get_map().values()):
            self._selector.unregister(key.fileobj)
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.close()

    def _finish(self, sock: socket.socket, attempt: int, code: int) -> None:
        took_s = time.perf_counter() - self._started_s[attempt]
        sock.close()
        if code in NOT_SENT:
            self.rtt_ms.pop(attempt, None)
        elif code in ANSWERS and took_s <= self._timeout_s:
            self.rtt_ms[attempt] = max(LEAST_MS, took_s * 1000)
        else:
            self.rtt_ms[attempt] = None
