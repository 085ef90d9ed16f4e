"""A processor over real files: journal, ledger and telemetry in one directory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ingest.journal import Entry, JournalReader, JournalWriter
from ingest.processor import Limits, Processor
from ingest.recovery import recover
from storage.ledger import totals
from storage.ledger.migrations import open_ledger
from storage.ledger.registry import add_registry
from storage.series.sqlite import SqliteSeries
from tests.path.platform import one_office, reading

T0_MS = 1_790_000_000_000
P0 = "gov/v1/LA-LP/p0/telemetry"


def rounds(first: int, last: int) -> list[Entry]:
    """Messages of p0, one a second, each with one reading of its own."""
    return [
        Entry(T0_MS + n * 1000, P0, reading(T0_MS + n * 1000, n, nat_rtt_p50_ms=20.0 + n % 7))
        for n in range(first, last)
    ]


class Stores:
    """Stands for the receiver, and starts processors one after another."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_ms = T0_MS
        self.ledger = open_ledger(f"sqlite:///{directory / 'ledger.db'}")
        add_registry(self.ledger, one_office())
        self.series = SqliteSeries.open(directory / "series.db")
        self.writer = JournalWriter(directory / "journal", max_bytes=2**30)

    def arrive(self, entries: Sequence[Entry]) -> None:
        """Put messages into the journal."""
        self.writer.append(entries)

    def processor(self, *, batch_messages: int = 4000, snapshot_s: float = 3600) -> Processor:
        """A processor as after a start of the process. It never snapshots by itself in a test."""
        return recover(
            reader=JournalReader(self.directory / "journal", 0),
            ledger=self.ledger,
            series=self.series,
            now_ms=lambda: self.now_ms,
            limits=Limits(batch_messages, snapshot_s),
        )

    def counts(self) -> dict[str, int]:
        """The exact totals."""
        return totals.read(self.ledger).counts

    def outcomes(self) -> tuple[int, int, int]:
        """Messages stored, duplicate and quarantined."""
        counts = self.counts()
        return (
            counts.get("messages_stored", 0),
            counts.get("messages_duplicate", 0),
            counts.get("messages_quarantined", 0),
        )

    def close(self) -> None:
        """Close the files."""
        self.writer.close()
        self.series.close()
        self.ledger.close()

    def stored(self) -> int:
        """How many readings the telemetry holds of the first 100 series."""
        return len(self.series.rows(range(100), 0, 2 * T0_MS, limit=1_000_000))

    def damage(self, payload: bytes) -> None:
        """Flip a bit of the record that holds a payload."""
        for path in (self.directory / "journal").glob("*.seg"):
            content = bytearray(path.read_bytes())
            at = content.find(payload)
            if at >= 0:
                content[at] ^= 1
                with path.open("r+b") as file:
                    file.write(content)
                return
        raise AssertionError("no segment holds the payload")


def drain(processor: Processor) -> None:
    """Process until the journal holds no more."""
    while processor.pending:
        processor.step()
