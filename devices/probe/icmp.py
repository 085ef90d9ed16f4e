"""ICMP echo: requests go out at a steady pace while replies come in; loss slows no round."""

from __future__ import annotations

import secrets
import socket
import time

from icmplib import (
    ICMPLibError,
    ICMPReply,
    ICMPRequest,
    ICMPSocketError,
    ICMPv4Socket,
    ICMPv6Socket,
    SocketPermissionError,
    TimeoutExceeded,
)
from icmplib.sockets import ICMPSocket

SPACING_S = 0.05
LEAST_MS = 0.05  # below, a clock is measured and not a network: it is reported as this
ECHO_REPLY = {4: 0, 6: 129}  # by IP version


def icmp_socket(family: int) -> ICMPSocket | None:
    """A socket for echoes: an unprivileged one, else a raw one; None where neither is allowed."""
    kind: type[ICMPSocket] = ICMPv6Socket if family == socket.AF_INET6 else ICMPv4Socket
    for privileged in (False, True):
        try:
            return kind(privileged=privileged)
        except (SocketPermissionError, ICMPSocketError):
            continue
    return None


class IcmpRound:
    """One round of echoes to one address."""

    def __init__(self, sock: ICMPSocket, address: str, timeout_s: float) -> None:
        self._sock = sock
        self._address = address
        self._timeout_s = timeout_s
        # Raw sockets hear each other's replies. An unprivileged one gets the kernel's number.
        self._identifier = secrets.randbelow(2**16)
        self._reply_type = ECHO_REPLY[6 if ":" in address else 4]
        self._sent_s: dict[int, float] = {}
        self._rtt_ms: dict[int, float | None] = {}
        self._dup = 0

    def run(self, packets: int) -> tuple[list[float | None], int]:
        """Round trips in ms by packet sent (None: no reply in time), and repeated replies.

        A packet that this machine could not send is not among them: it is not the network's loss.
        """
        began_s = time.perf_counter()
        for sequence in range(packets):
            self._send(sequence)
            self._take_until(began_s + (sequence + 1) * SPACING_S, all_of_them=False)
        if self._sent_s:
            self._take_until(max(self._sent_s.values()) + self._timeout_s, all_of_them=True)
        return list(self._rtt_ms.values()), self._dup

    def _send(self, sequence: int) -> None:
        request = ICMPRequest(self._address, id=self._identifier, sequence=sequence)
        now_s = time.perf_counter()
        try:
            self._sock.send(request)
        except ICMPLibError:
            return
        self._identifier = request.id
        self._sent_s[sequence] = now_s
        self._rtt_ms[sequence] = None

    def _take_until(self, until_s: float, *, all_of_them: bool) -> None:
        """Take replies until a time, or until none is missing where that ends the round."""
        while not (all_of_them and None not in self._rtt_ms.values()):
            left_s = until_s - time.perf_counter()
            if left_s <= 0:
                return
            try:
                self._take(self._sock.receive(timeout=left_s), time.perf_counter())
            except TimeoutExceeded:
                return
            except ICMPSocketError:
                continue  # an error that the kernel reports for an earlier packet

    def _take(self, reply: ICMPReply, now_s: float) -> None:
        sent_s = self._sent_s.get(reply.sequence)
        is_ours = reply.type == self._reply_type and reply.id == self._identifier
        if sent_s is None or not is_ours or now_s - sent_s > self._timeout_s:
            return
        if self._rtt_ms[reply.sequence] is None:
            self._rtt_ms[reply.sequence] = max(LEAST_MS, (now_s - sent_s) * 1000)
        else:
            self._dup += 1
