"""Faults of processes: killed or stopped with all that they have started."""

from __future__ import annotations

import signal

import psutil

from tests.project.broker import wait_for


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it; none where it has gone."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill(pid: int) -> None:
    """kill -9 of a process and all below it; returns when none of them lives."""
    members = family(pid)
    _send(members, signal.SIGSTOP)  # so that none of them does anything about the death of another
    _send(members, signal.SIGKILL)
    wait_for(lambda: not any(map(_lives, members)), f"process {pid} is dead")


def stop(pid: int) -> None:
    """SIGSTOP of a process and all below it."""
    _send(family(pid), signal.SIGSTOP)


def go_on(pid: int) -> None:
    """SIGCONT of a process and all below it."""
    _send(family(pid), signal.SIGCONT)


def _send(members: list[psutil.Process], number: signal.Signals) -> None:
    for member in members:
        try:
            member.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def _lives(member: psutil.Process) -> bool:
    try:
        return member.is_running() and member.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
