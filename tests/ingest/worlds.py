"""A small written world, and replays of it that are cut into batches or start anew on the way."""

from __future__ import annotations

import contextlib
import io
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from detection.alerts import AlertChange
from devices.catalogue import Catalogue
from devices.kinds import KINDS
from devices.registry import Registry
from devices.registry_files import read_registry
from ingest.captures import read_capture
from ingest.intake import Batch, Intake, lateness_ms
from ingest.journal import Record
from ingest.judge import Judge, Known
from ingest.replay import Replay
from runtime.cli import main

AFTER_MS = 2 * 3_600_000  # how long time passes after the last message
BY_ARRIVAL = ("silence", "clock-skew", "unreadable", "interval", "gap")
MOST_SLACK_MS = 600_000
MOST_SLACK_ROUNDS = 20  # of a device that may be under way together
SEED, SITES, DEVICES, DAYS = 7, 6, 24, 1


@dataclass(frozen=True)
class World:
    """Who there is, and what arrives."""

    registry: Registry
    records: list[Record]

    def first(self, n: int) -> World:
        """Only the first n messages."""
        return World(self.registry, self.records[:n])


def write_world(directory: Path) -> World:
    """Six sites with 24 devices for a day, with faults, decoys, outages and backfill."""
    sizes = ["--sites", str(SITES), "--devices", str(DEVICES), "--days", str(DAYS)]
    call = ["simulate", "--no-broker", "--world", "everything", "--seed", str(SEED), *sizes]
    with contextlib.redirect_stdout(io.StringIO()):
        assert main([*call, "--out", str(directory)]) == 0
    registry = read_registry([directory / "sites.csv", directory / "devices.csv"])
    return World(registry, list(read_capture(directory / "capture.jsonl")))


class Broken(Replay):
    """A replay in batches of at most `most`, whose judge is made anew after a share of them."""

    def __init__(self, registry: Registry, *, most: int, restarts: float, seed: int) -> None:
        super().__init__(registry)
        self._registry = registry
        self._most, self._share = most, restarts
        self._random = random.Random(seed)
        self.restarts = 0

    def pass_time(self, until_ms: int) -> None:
        """Let time pass, and start anew."""
        super().pass_time(until_ms)
        self._restart()

    def _take(self, records: list[Record]) -> None:
        while records:
            n = self._random.randint(1, self._most)
            super()._take(records[:n])
            records = records[n:]
            self._restart()

    def _restart(self) -> None:
        if self._random.random() >= self._share:
            return
        state = msgspec.msgpack.encode(self.judge.state())
        self.judge = Judge(self._registry, self.catalogue)
        assert self.judge.restore(msgspec.msgpack.decode(state, type=Known))
        self.restarts += 1


def played(world: World, replay: Replay | None = None) -> Replay:
    """A replay of the whole world and of the time after it."""
    replay = replay or Replay(world.registry)
    for _ in replay.run(world.records):
        pass
    replay.pass_time(world.records[-1].received_ms + AFTER_MS)
    return replay


def told(replay: Replay) -> dict[str, list[Any]]:
    """Everything that a replay has told, but for when the platform knew."""
    return {
        "alerts": sorted((c._replace(at_ms=0) for c in replay.alerts), key=repr),
        "incidents": [c._replace(at_ms=0) for c in replay.incidents],
        "incident_of": sorted(replay.incident_of.items()),
        "bins": sorted(replay.bins.items()),
    }


def delayed(world: World, seed: int) -> World:
    """The same messages, most of them later, in another order; none becomes late by that.

    A device's first message and those around its restarts come as they came: nothing says their
    order.
    """
    batch = Intake(world.registry, Catalogue()).take(world.records)
    slack = _slack(world, batch)
    rng = random.Random(seed)
    moved = []
    for n, record in enumerate(world.records):
        delay_ms = rng.randint(0, slack[n]) if slack[n] > 0 and rng.random() < 0.7 else 0
        moved.append((record.received_ms + delay_ms, n))
    return World(
        world.registry,
        [
            world.records[n]._replace(position=position, received_ms=received_ms)
            for position, (received_ms, n) in enumerate(sorted(moved))
        ],
    )


def _slack(world: World, batch: Batch) -> list[int]:
    """By message, by how many milliseconds it may be delayed."""
    slack = [MOST_SLACK_MS] * len(world.records)
    boots: dict[str, tuple[str | None, list[int]]] = {}  # by device: boot and its messages
    in_order = sorted(range(len(batch.round_record)), key=lambda r: batch.round_record[r])
    for r in in_order:
        n = int(batch.round_record[r])
        source, received_ms = batch.sources[n], world.records[n].received_ms
        assert source is not None
        left_ms = int(batch.round_at_ms[r]) + lateness_ms(source.device) - received_ms
        slack[n] = min(slack[n], left_ms)
        boot, before = boots.get(source.device.device, (None, []))
        if boot != batch.round_boot[r]:
            slack[n] = 0
            for other in before:
                slack[other] = min(slack[other], received_ms - world.records[other].received_ms - 1)
            before = []
        boots[source.device.device] = batch.round_boot[r], [*before[-MOST_SLACK_ROUNDS:], n]
    for n, source in enumerate(batch.sources):
        if source is None or source.channel == "status" or n in batch.refusals:
            slack[n] = 0
    return slack


def stored(world: World) -> dict[tuple[int, int], float]:
    """The rows that a store holds in the end: value by series and event time."""
    numbers = Catalogue()
    for device in world.registry.devices.values():
        for metric in KINDS[device.kind].metrics.values():
            numbers.add(device, metric)
    readings = Intake(world.registry, numbers).take(world.records).readings
    keys = zip(readings.series.tolist(), readings.at_ms.tolist(), strict=True)
    return dict(zip(keys, readings.value.tolist(), strict=True))


def event_time_alerts(replay: Replay) -> list[AlertChange]:
    """What was told of live readings by their event times; incidents and arrival aside."""
    return sorted(
        (
            c._replace(at_ms=0, incident=None)
            for c in replay.alerts
            if c.rule not in BY_ARRIVAL and not c.backfilled
        ),
        key=repr,
    )


def without_late(world: World) -> World:
    """The same messages without their rounds that are beyond the lateness of their device."""
    kept = []
    for record in world.records:
        name, channel = record.topic.split("/")[-2:]
        device = world.registry.devices.get(name)
        if channel == "backfill" and device:
            payload = msgspec.json.decode(record.payload)
            oldest_ms = record.received_ms - lateness_ms(device)
            rounds = [one for one in payload.get("r", [payload]) if one["ts"] >= oldest_ms]
            if not rounds:
                continue
            if "r" in payload:
                payload["r"] = rounds
                record = record._replace(payload=msgspec.json.encode(payload))
        kept.append(record)
    return World(world.registry, kept)
