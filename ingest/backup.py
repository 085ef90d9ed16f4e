"""A backup of the embedded stores while the platform runs: one moment of all of them.

The copies must fit together as after a power cut, since recovery (ingest/recovery.py) can start
from that and from nothing else: a ledger behind its telemetry would count readings as duplicates,
one before it would leave them out. So a moment is held of the telemetry first, then of the ledger,
and it counts only where nothing was committed to the telemetry in between. The journal's segments
are held before both, so that the processor cannot delete a record that the ledger of that moment
still needs, and its end is read after both, so that the cursor lies inside it and every message
that was acknowledged before is in it. Only then is anything copied.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ingest.journal import HeldJournal
from storage.backup import archive, manifest
from storage.backup.manifest import BackupError, Manifest, Progress
from storage.backup.snapshot import Snapshot
from storage.ledger import progress as ledger_progress

MOMENT_WITHIN_S = 30.0
RETRY_S = 0.002  # the processor commits every 25 ms


@dataclass(frozen=True)
class Stores:
    """Where the embedded stores are. ledger: None where it is in a server."""

    journal: Path
    series: Path
    spool: Path
    ledger: Path | None

    def files(self) -> dict[str, Path]:
        """The databases by their name in a backup, the ledger last."""
        found = {"series.db": self.series, "spool.db": self.spool}
        return found | ({"ledger.db": self.ledger} if self.ledger else {})


def back_up(
    stores: Stores, target: Path, *, not_included: list[str], progress: Progress
) -> Manifest:
    """Make a backup in a new directory or FILE.tar, checked before it has its name.

    not_included: what belongs to the platform and is kept elsewhere, in words.
    Raises BackupError, OSError and sqlite3.DatabaseError; what was begun is deleted then.
    """
    if target.exists():
        raise BackupError(f"{target} is there already and is not overwritten: name another one")
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.partial")
    if partial.exists():
        raise BackupError(f"{partial} is there: another backup runs, or one was cut off; delete it")
    partial.mkdir(mode=0o700)
    try:
        with ExitStack() as held:
            made = _copy(stores, partial, held, not_included=not_included, progress=progress)
        manifest.check(partial, progress)
        if target.suffix == archive.SUFFIX:
            packing = partial / target.name
            archive.pack(partial, packing, made)
            packing.rename(target)
            shutil.rmtree(partial)
        else:
            partial.rename(target)
    except BaseException:
        shutil.rmtree(partial)
        raise
    manifest.sync(target.parent)
    return made


def _copy(
    stores: Stores, target: Path, held: ExitStack, *, not_included: list[str], progress: Progress
) -> Manifest:
    journal, snapshots = _moment(stores, held)
    wanted = journal.bytes + sum(one.path.stat().st_size for one in snapshots.values())
    free = shutil.disk_usage(target).free
    if wanted > free:
        raise BackupError(
            f"the backup needs {wanted >> 20} MiB and {target.parent} has {free >> 20} MiB free:"
            " make space or name another disk"
        )
    ledger = snapshots.get("ledger.db")
    cursor = ledger_progress.position_in(ledger.connection) if ledger else -1
    if cursor > journal.position and stores.journal.exists():
        raise BackupError(
            f"the journal ends at position {journal.position}, the ledger has processed up to"
            f" {cursor}: start ingest, which mends that after a loss of power, and back up again"
        )
    journal.copy_to(target / "journal")
    for name, snapshot in snapshots.items():
        snapshot.copy_to(target / name, progress)
    return manifest.write(
        target, cursor=cursor, journal_position=journal.position, not_included=not_included
    )


def _moment(stores: Stores, held: ExitStack) -> tuple[HeldJournal, dict[str, Snapshot]]:
    """The stores as a power cut would leave them now, held open by `held`."""
    files = {name: path for name, path in stores.files().items() if path.exists()}
    if stores.ledger and "ledger.db" not in files:
        raise BackupError(f"there is no ledger at {stores.ledger}: nothing to back up")
    deadline = time.monotonic() + MOMENT_WITHIN_S
    while True:
        with ExitStack() as trying:
            journal = HeldJournal(stores.journal)
            trying.callback(journal.close)
            snapshots = {}
            for name, path in files.items():
                snapshots[name] = Snapshot(path)
                trying.callback(snapshots[name].close)
            is_whole = journal.mark()
            telemetry = [one for name, one in snapshots.items() if name != "ledger.db"]
            if is_whole and all(one.is_current() for one in telemetry):
                held.enter_context(trying.pop_all())
                return journal, snapshots
        if time.monotonic() > deadline:
            raise BackupError(
                f"the stores were written to without a pause for {MOMENT_WITHIN_S:.0f} s:"
                " try again when there is less to do"
            )
        time.sleep(RETRY_S)
