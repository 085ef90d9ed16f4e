"""Ports: whether one is free, and who holds it where it is not."""

from __future__ import annotations

import errno
import socket

import psutil

LAST_PORT = 65535


class PortInUseError(Exception):
    """We cannot listen on a port; the text names it, the reason or its owner, and the way out."""


def require_free(host: str, port: int, *, what: str, flag: str) -> int:
    """The port to listen on: `port` where it is free, any free one for 0."""
    if not 0 <= port <= LAST_PORT:
        raise PortInUseError(
            f"there is no port {port}, wanted for {what}: choose one from 1 to {LAST_PORT}, or 0"
            f" for any free one, with {flag} PORT"
        )
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise PortInUseError(
                    f"cannot listen on port {port} of {host} for {what}: {exc.strerror};"
                    f" choose another port with {flag} PORT"
                ) from exc
            raise PortInUseError(
                f"port {port} on {host}, wanted for {what}, is in use{_owner(port)}:"
                f" stop that program, or choose another port with {flag} PORT"
            ) from exc
        return int(probe.getsockname()[1])


def is_open(host: str, port: int) -> bool:
    """Whether something accepts connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _owner(port: int) -> str:
    """` by NAME (process PID)` where this user may know it, else nothing."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return ""
    for connection in connections:
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,):
            if not connection.pid:
                return ""
            try:
                name = psutil.Process(connection.pid).name()
            except psutil.Error:
                return f" by process {connection.pid}"
            return f" by {name} (process {connection.pid})"
    return ""
