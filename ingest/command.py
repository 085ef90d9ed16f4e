"""`govsense ingest`: the receiver and the processor, each a process of its own."""

from __future__ import annotations

import argparse
import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import OperationalError

from ingest.draining import Draining
from ingest.journal import Head, JournalError, JournalReader, JournalWriter, lock
from ingest.messenger import Messenger
from ingest.patience import patiently
from ingest.processing import Processing
from ingest.processor import Limits
from ingest.receiver import Broker, Receiver
from ingest.recovery import recover
from ingest.watch import Moment, Places, Watch
from runtime import log as log_format
from runtime.clock import Clock, clock_from
from runtime.settings import Settings
from runtime.stopping import stop_requested
from runtime.stores import (
    influx_address,
    open_ledger,
    open_series,
    open_spool,
    retention,
    uses_influxdb,
)
from storage.faults import is_of_ledger, words_of
from storage.influx.names import Names
from storage.influx.roll_ups import Roller
from storage.influx.server import Server
from storage.ledger import progress
from storage.ledger.migrations import LedgerError, shown_url
from storage.series.file import SeriesError
from storage.series.sqlite import LOCAL_OFFSET_MS

log = logging.getLogger(__name__)

HEAD_WITHIN_S = 60.0  # on a busy machine the receiver takes its time to start
CHILDREN_WITHIN_S = 6.0  # all is over within 10 s after SIGTERM


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which of the two loops to run, and whom to follow."""
    loops = ("receiver", "processor", "drainer")
    parser.add_argument("--only", choices=loops, help="run this loop alone (default: all)")
    parser.add_argument("--follow", type=int, metavar="PID", help="stop when this process has gone")
    parser.epilog = """examples:
  govsense ingest                     receive and process, as two processes
  govsense ingest --only receiver     only put messages on disk and acknowledge them
"""


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run until SIGTERM or SIGINT: 0. 1 where a loop cannot go on."""
    log_format.configure(args.only or "ingest")
    stopping = stop_requested(args.follow)
    clock = clock_from(settings.clock)
    try:
        if args.only == "receiver":
            return _receive(settings, clock, stopping)
        if args.only == "processor":
            return _process(settings, clock, stopping)
        if args.only == "drainer":
            return _drain(settings, clock, stopping)
        return _both(args, settings, clock, stopping)
    except (JournalError, LedgerError, SeriesError) as exc:
        log.error("%s", exc)
        return 1
    except (sqlite3.OperationalError, OperationalError) as exc:
        log.error("a store does not take what is written: %s; is its disk full?", exc)
        return 1


def _both(
    args: argparse.Namespace, settings: Settings, clock: Clock, stopping: Callable[[], bool]
) -> int:
    """The processor here, the others as children; all stop when one of them ends."""
    names = ["receiver", "drainer"] if uses_influxdb(settings) else ["receiver"]
    children = {name: _child(name, args, settings, clock) for name in names}

    def should_stop() -> bool:
        return stopping() or any(child.poll() is not None for child in children.values())

    try:
        code = _process(settings, clock, should_stop)
    finally:
        _end(children)
    if stopping():
        return code
    for name, child in children.items():
        log.error("the %s ended with code %s", name, child.returncode)
    return 1


def _end(children: dict[str, subprocess.Popen[bytes]]) -> None:
    """SIGTERM to all, then SIGKILL to who is still there: every loop goes on from its cursor."""
    for child in children.values():
        child.terminate()
    deadline = time.monotonic() + CHILDREN_WITHIN_S
    for name, child in children.items():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("the %s waits for a server that does not answer: it is killed", name)
            child.kill()
            child.wait()


def _child(
    name: str, args: argparse.Namespace, settings: Settings, clock: Clock
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "runtime", "--data-dir", str(settings.data_dir)]
    if args.settings:
        command += ["--settings", str(args.settings)]
    command += ["ingest", "--only", name, "--follow", str(os.getpid())]
    return subprocess.Popen(command, env={**os.environ, **clock.environment()})


def _receive(settings: Settings, clock: Clock, stopping: Callable[[], bool]) -> int:
    journal = JournalWriter(
        _journal(settings),
        max_bytes=settings.ingest.journal_max_mib * 2**20,
        begin=lambda: _first_position(settings, stopping),
    )
    receiver = Receiver(
        _broker(settings),
        journal,
        now_ms=clock.now_ms,
        group_messages=settings.ingest.group_commit_messages,
        group_s=settings.ingest.group_commit_ms / 1000,
    )
    try:
        receiver.run(stopping)
    finally:
        journal.close()
    log.info("stopped; the journal ends at position %d", journal.position)
    return 0


def _process(settings: Settings, clock: Clock, stopping: Callable[[], bool]) -> int:
    if _processed(settings, stopping) is None:
        return 0
    reader = _reader(_journal(settings), stopping)
    if reader is None:
        return 0
    held = lock(reader.directory, "processor.lock", holder="processor")
    with closing(reader):
        patiently(
            lambda answers: _process_on(settings, clock, stopping, answers, reader=reader),
            stopping,
            meanwhile=lambda: reader.head.pulse(time.monotonic_ns()),
        )
    os.close(held)
    return 0


def _process_on(
    settings: Settings,
    clock: Clock,
    stopping: Callable[[], bool],
    answers: Callable[[], None],
    *,
    reader: JournalReader,
) -> None:
    """Process from the ledger's cursor on, through every trouble of a store."""
    with closing(open_ledger(settings)) as ledger:
        answers()
        if not _is_reached(progress.position(ledger), reader, stopping):
            return
        watch = Watch(
            ledger, _places(settings), now=lambda: Moment(time.monotonic(), clock.now_ms())
        )
        with (
            closing(open_series(settings, ledger, clock.now_ms)) as series,
            closing(Messenger(_broker(settings))) as messenger,
        ):

            def run(answers: Callable[[], None]) -> None:
                with progress.alone(ledger):
                    processor = recover(
                        reader=reader,
                        ledger=ledger,
                        series=series,
                        now_ms=clock.now_ms,
                        limits=Limits(settings.ingest.batch_messages, settings.ingest.snapshot_s),
                    )
                    answers()
                    log.info("processing from journal position %d", reader.position)
                    loop = Processing(
                        processor,
                        ledger=ledger,
                        series=series,
                        messenger=messenger,
                        watch=watch,
                        retention=retention(settings),
                        bin_days=settings.storage.bin_days,
                        now_ms=clock.now_ms,
                    )
                    loop.run(stopping, batch_s=settings.ingest.batch_ms / 1000)

            def look() -> None:
                reader.head.pulse(time.monotonic_ns())
                watch.look_at_stores()
                watch.look_at_receiver(reader.head)

            patiently(
                run,
                stopping,
                on_trouble=lambda trouble, exc: watch.refused(
                    trouble, words_of(exc), by_ledger=is_of_ledger(exc)
                ),
                meanwhile=look,
            )
    log.info("stopped at journal position %d", reader.position)


def _drain(settings: Settings, clock: Clock, stopping: Callable[[], bool]) -> int:
    patiently(lambda answers: _drain_on(settings, clock, stopping, answers), stopping)
    return 0


def _drain_on(
    settings: Settings, clock: Clock, stopping: Callable[[], bool], answers: Callable[[], None]
) -> None:
    """Drain as long as the ledger answers, which knows the names of series."""
    with (
        closing(open_ledger(settings)) as ledger,
        closing(open_spool(settings)) as spool,
        closing(Server(influx_address(settings, write=True))) as writer,
        closing(Server(influx_address(settings, write=False))) as reader,
    ):
        answers()
        roller = Roller(spool, reader, Names(ledger), local_offset_ms=LOCAL_OFFSET_MS)
        loop = Draining(spool, writer=writer, roller=roller, ledger=ledger, now_ms=clock.now_ms)
        loop.run(stopping)


def _broker(settings: Settings) -> Broker:
    mqtt = settings.mqtt
    return Broker(
        host=mqtt.host,
        port=mqtt.port,
        client_id=mqtt.client_id,
        username=mqtt.username,
        password_file=mqtt.password_file,
        tls_ca=mqtt.tls_ca,
    )


def _places(settings: Settings) -> Places:
    spool = settings.data_dir / "spool.db"
    return Places(
        broker=f"{settings.mqtt.host}:{settings.mqtt.port}",
        journal=str(_journal(settings)),
        spool=str(spool),
        series=str(spool if uses_influxdb(settings) else settings.series_path),
        ledger=shown_url(settings.ledger_url),
    )


def _reader(directory: Path, stopping: Callable[[], bool]) -> JournalReader | None:
    """The journal as soon as the receiver has made it; None when told to stop before."""
    deadline = time.monotonic() + HEAD_WITHIN_S
    while not stopping():
        head = directory / "head"
        if head.exists() and head.stat().st_size >= Head.SIZE:
            return JournalReader(directory, 0)
        if time.monotonic() > deadline:
            raise JournalError(f"no journal in {directory}: is the receiver running?")
        time.sleep(0.05)
    return None


def _is_reached(cursor: int, reader: JournalReader, stopping: Callable[[], bool]) -> bool:
    """Whether the journal reaches to what was processed of it; False when told to stop before.

    After a loss of power the head may be older than the ledger, until the receiver corrects it.
    """
    deadline = time.monotonic() + HEAD_WITHIN_S
    while reader.head.position < cursor:
        if stopping():
            return False
        if time.monotonic() > deadline:
            raise JournalError(
                f"{reader.directory} ends at position {reader.head.position}, but the ledger has"
                f" processed up to {cursor}: is the receiver running? If it is, the journal is not"
                " the one of this ledger: stop ingest, move the journal away and start again"
            )
        time.sleep(0.05)
    return True


def _processed(settings: Settings, stopping: Callable[[], bool]) -> int | None:
    """How far the ledger has come in the journal; None when told to stop before it answers."""

    def ask(answers: Callable[[], None]) -> int:
        with closing(open_ledger(settings)) as ledger:
            answers()
            return progress.position(ledger)

    return patiently(ask, stopping)


def _first_position(settings: Settings, stopping: Callable[[], bool]) -> int:
    """Where a journal begins of which nothing is there: behind what is processed."""
    position = _processed(settings, stopping)
    if position is None:
        raise LedgerError("stopped before the ledger could say where a new journal begins")
    return position


def _journal(settings: Settings) -> Path:
    return settings.data_dir / "journal"
