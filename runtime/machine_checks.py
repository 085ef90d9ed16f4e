"""What the machine and the installation give: clock, disk, versions, permissions, open ports."""

from __future__ import annotations

import ctypes
import ipaddress
import os
import platform
import re
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from runtime.settings import Settings
from runtime.stores import uses_influxdb
from storage.checks import Check

LOCK = Path(__file__).resolve().parent.parent / "requirements.lock"
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
TIMEX_BYTES = 512  # more than struct timex on any machine
LEAST_PYTHON = (3, 11)
TIGHT_BYTES = 256 * 2**20


def check_machine(settings: Settings) -> Iterator[Check]:
    """Every check that asks no server."""
    yield _ntp()
    if settings.clock.speed != 1:
        yield Check("warning", "clock: speed", f"platform time runs {settings.clock.speed:g} times"
                    " as fast: for trying out only; remove clock.speed")  # fmt: skip
    yield _permissions(settings.data_dir)
    yield _disk(settings)
    yield from _secrets(settings)
    yield _versions()
    yield from _listening(settings)


def _ntp() -> Check:
    """adjtimex(2), asked for no change, tells whether the kernel's clock is kept right."""
    state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    if state == -1:
        return Check("warning", "clock: NTP", "not known on this machine: see that chrony or"
                     " systemd-timesyncd runs")  # fmt: skip
    if state == TIME_ERROR:
        return Check("warning", "clock: NTP", "the kernel's clock is not synchronised: start chrony"
                     " or systemd-timesyncd on the machine")  # fmt: skip
    return Check("ok", "clock: NTP", "the kernel's clock is synchronised")


def _permissions(directory: Path) -> Check:
    what = "data directory"
    if not directory.exists():
        parent = next(one for one in directory.resolve().parents if one.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Check("ok", what, f"{directory} is not there yet and can be made")
        return Check("wrong", what, f"{directory} cannot be made: give our user {parent}, or set"
                     " platform.data_dir")  # fmt: skip
    if not directory.is_dir() or not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return Check("wrong", what, f"{directory} cannot be written to by user {os.getuid()}:"
                     " chown it to the user who runs govsense")  # fmt: skip
    status = directory.stat()
    if status.st_mode & 0o002:
        return Check("wrong", what, f"everybody may write to {directory}: chmod o-w {directory}")
    strange = [path for path in directory.glob("*.db") if path.stat().st_uid != status.st_uid]
    if strange:
        return Check("warning", what, f"{strange[0]} belongs to another user than {directory}:"
                     " chown -R it to the user who runs govsense")  # fmt: skip
    return Check("ok", what, f"{directory} can be written to by us, and not by everybody")


def _disk(settings: Settings) -> Check:
    directory = next(
        one for one in (settings.data_dir, *settings.data_dir.resolve().parents) if one.exists()
    )
    free = shutil.disk_usage(directory).free
    journal = sum(path.stat().st_size for path in (settings.data_dir / "journal").glob("*.seg"))
    room = max(0, settings.ingest.journal_max_mib * 2**20 - journal)
    names = "ingest.journal_max_mib"
    if uses_influxdb(settings):
        spool = settings.data_dir / "spool.db"
        used = spool.stat().st_size if spool.exists() else 0
        room += max(0, settings.influx.spool_max_mib * 2**20 - used)
        names += " and influx.spool_max_mib"
    text = (
        f"{free >> 20} MiB free under {directory}, {room >> 20} MiB may still be taken by {names}"
    )
    if free < min(TIGHT_BYTES, room):
        return Check("wrong", "disk", f"{text}: make space now")
    if free < room:
        return Check("warning", "disk", f"{text}: make space, or lower them, or a long outage fills"
                     " the disk")  # fmt: skip
    return Check("ok", "disk", text)


def _secrets(settings: Settings) -> Iterator[Check]:
    """One check of each file with a password."""
    for name, file in {
        "mqtt.password_file": settings.mqtt.password_file,
        "influx.write_token_file": settings.influx.write_token_file,
        "influx.read_token_file": settings.influx.read_token_file,
    }.items():
        if not file:
            continue
        try:
            mode = Path(file).stat().st_mode
        except OSError as exc:
            yield Check("wrong", name, f"{file}: {exc.strerror}; correct the setting")
            continue
        if mode & 0o007:
            yield Check("warning", name, f"every user of the machine may read {file}: chmod o= it")
        else:
            yield Check("ok", name, f"{file} is not for everybody to read")


def _versions() -> Check:
    said = f"govsense {version('govsense')}, Python {platform.python_version()}, SQLite"
    said += f" {sqlite3.sqlite_version}"
    if sys.version_info < LEAST_PYTHON:
        return Check("wrong", "versions", f"{said}: install Python 3.11 or newer")
    if not LOCK.exists():
        return Check(
            "ok", "versions", f"{said}; there is no requirements.lock here to compare with"
        )
    wanted = re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", LOCK.read_text("utf-8"), re.M)
    other = [
        f"{name} {found} instead of {locked}"
        for name, locked in wanted
        if (found := _installed(name)) != locked
    ]
    if other:
        return Check("warning", "versions", f"{said}, but {', '.join(other[:5])}: install what was"
                     " tested, pip install --require-hashes -r requirements.lock")  # fmt: skip
    return Check("ok", "versions", f"{said}, {len(wanted)} libraries as locked")


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "nothing"


def _listening(settings: Settings) -> Iterator[Check]:
    """Who can reach the API and, where it runs on this machine, the broker."""
    ports = {settings.http.port: "the API", settings.mqtt.port: "the broker"}
    try:
        found = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        yield Check("warning", "ports", "which ones are open cannot be seen by this user: ss -ltn")
        return
    open_to_all = sorted(
        {
            f"{ports[one.laddr.port]} on {one.laddr.ip}:{one.laddr.port}"
            for one in found
            if one.status == psutil.CONN_LISTEN
            and one.laddr
            and one.laddr.port in ports
            and not ipaddress.ip_address(one.laddr.ip).is_loopback
        }
    )
    if open_to_all:
        yield Check("warning", "ports", f"beyond this machine: {', '.join(open_to_all)}; see that a"
                    " proxy with TLS stands before the API, and TLS before the broker"
                    )  # fmt: skip
    else:
        yield Check("ok", "ports", "API and broker listen on no address beyond this machine")
    if settings.http.allow_cleartext:
        yield Check("warning", "http", "http.allow_cleartext is true: keys travel in clear unless a"
                    " proxy with TLS stands before the API, or the way to it is private"
                    )  # fmt: skip
