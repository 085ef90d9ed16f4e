"""From journal records to readings: who speaks, what is said, and what is refused and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from devices.catalogue import Catalogue
from devices.kinds import KINDS, METRICS, Metric
from devices.readings import Readings
from devices.registry import Device, Registry
from devices.topics import TopicError, parse_topic
from devices.wire import PayloadError, Refusal, Round, Status, decode, decode_status, reasons
from ingest.journal import Record

FUTURE_MS = 5 * 60_000  # a device's clock may run ahead of ours by this much
EARLIEST_MS = 1_577_836_800_000  # 2020-01-01: an earlier time comes from a clock that was not set
LEAST_LATENESS_MS = 120_000
MOST_REFUSALS = 256  # listed of one message
SHOWN = 80  # characters of a name in a refusal
TOPIC_CACHE = 100_000  # topics of devices that do not exist must not fill the memory

IS_BOOL = np.array([metric.is_bool for metric in METRICS])  # by row of the metric


@dataclass(slots=True)
class Source:
    """Who publishes on one topic, and what that device's metrics are numbered."""

    device: Device
    channel: str
    metrics: dict[str, Metric]
    numbers: dict[str, int]
    number: int  # of the device in the catalogue
    lateness_ms: int  # a reading older than this on arrival is late


@dataclass(slots=True)
class Batch:
    """What a run of records says. Columns are per accepted reading (n) and per round (r)."""

    records: Sequence[Record]
    sources: list[Source | None]  # by record
    refusals: dict[int, list[Refusal]]  # by record that had any
    statuses: list[tuple[int, Status]]  # (record, what the device said of itself)
    readings: Readings
    reading_record: NDArray[np.int32]  # [n]
    reading_round: NDArray[np.int32]  # [n]
    round_record: NDArray[np.int32]  # [r]
    round_at_ms: NDArray[np.int64]  # [r] event time
    round_late: NDArray[np.bool_]  # [r] beyond its device's lateness bound
    round_boot: list[str | None]  # [r] the device's run
    round_seq: NDArray[np.int64]  # [r] -1 where the device does not count
    round_uptime_s: NDArray[np.float64]  # [r] of the message, NaN where it does not say
    round_attributes: dict[int, dict[str, str]]  # by round that has any
    arrivals: list[tuple[int, str, int]]  # (record, boot, seq) of numbered rounds, refused or not
    # (record, event time) of rounds refused whole for it, None where nothing could be read
    refused_rounds: list[tuple[int, int | None]]
    impossible: Readings  # refused as outside the hard range, of rounds that are not late
    impossible_round: NDArray[np.int32]  # [impossible]

    @property
    def usable(self) -> NDArray[np.bool_]:
        """bool[records]: those of which at least one reading was accepted."""
        usable = np.zeros(len(self.records), np.bool_)
        usable[self.reading_record] = True
        return usable

    @property
    def live(self) -> NDArray[np.bool_]:
        """bool[n]: the readings that are not late."""
        live: NDArray[np.bool_] = ~self.round_late[self.reading_round]
        return live


@dataclass(slots=True)
class _Columns:
    """A batch under construction, as Python lists."""

    series: list[int] = field(default_factory=list)
    at_ms: list[int] = field(default_factory=list)
    received_ms: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    record: list[int] = field(default_factory=list)
    round: list[int] = field(default_factory=list)
    round_record: list[int] = field(default_factory=list)
    round_at_ms: list[int] = field(default_factory=list)
    round_late: list[bool] = field(default_factory=list)
    round_boot: list[str | None] = field(default_factory=list)
    round_seq: list[int] = field(default_factory=list)
    round_uptime_s: list[float] = field(default_factory=list)
    round_attributes: dict[int, dict[str, str]] = field(default_factory=dict)
    arrivals: list[tuple[int, str, int]] = field(default_factory=list)
    refused_rounds: list[tuple[int, int | None]] = field(default_factory=list)


class Intake:
    """Decodes and validates records against the registry. Keeps no state between batches."""

    def __init__(self, registry: Registry, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.use(registry)

    def use(self, registry: Registry) -> None:
        """Judge by this registry from now on."""
        self._registry = registry
        self._by_topic: dict[str, Source | Refusal] = {}
        for device in registry.devices.values():
            self._catalogue.add_device(device)
            self._catalogue.replace_device(device)

    def take(self, records: Sequence[Record]) -> Batch:
        """Everything that the records say, refused parts aside with their reasons."""
        columns = _Columns()
        sources: list[Source | None] = []
        refusals: dict[int, list[Refusal]] = {}
        statuses: list[tuple[int, Status]] = []
        for index, record in enumerate(records):
            known = self._source(record.topic)
            refused: list[Refusal] = []
            if isinstance(known, Refusal):
                sources.append(None)
                refused.append(known)
            else:
                sources.append(known)
                if known.channel == "status":
                    self._take_status(index, record, statuses, refused)
                else:
                    self._take_rounds(index, record, known, columns, refused)
            if refused:
                refusals[index] = _bounded(refused)
        return self._batch(records, sources, refusals, statuses, columns)

    def _source(self, topic: str) -> Source | Refusal:
        known = self._by_topic.get(topic)
        if known is None:
            if len(self._by_topic) >= TOPIC_CACHE:
                self._by_topic.clear()
            known = self._by_topic[topic] = self._find_source(topic)
        return known

    def _find_source(self, topic: str) -> Source | Refusal:
        try:
            province, device_id, channel = parse_topic(topic)
        except TopicError as exc:
            return Refusal(reasons.BAD_TOPIC, "topic", str(exc))
        device = self._registry.devices.get(device_id)
        if device is None:
            return Refusal(reasons.UNKNOWN_DEVICE, "topic", f"{device_id} is not registered")
        registered = self._registry.province_of(device_id)
        if province != registered:
            return Refusal(
                reasons.WRONG_PROVINCE, "topic", f"{device_id} is in {registered}, not {province}"
            )
        if channel not in ("telemetry", "backfill", "status"):
            return Refusal(reasons.BAD_TOPIC, "topic", f"{channel} is not sent by devices")
        return Source(
            device,
            channel,
            KINDS[device.kind].metrics,
            self._catalogue.numbers_of(device_id),
            self._catalogue.add_device(device),
            lateness_ms(device),
        )

    def _take_status(
        self,
        index: int,
        record: Record,
        statuses: list[tuple[int, Status]],
        refused: list[Refusal],
    ) -> None:
        try:
            statuses.append((index, decode_status(record.payload)))
        except PayloadError as exc:
            refused.append(Refusal(exc.reason, exc.where, exc.detail))

    def _take_rounds(
        self,
        index: int,
        record: Record,
        source: Source,
        columns: _Columns,
        refused: list[Refusal],
    ) -> None:
        if record.retained:
            refused.append(
                Refusal(reasons.RETAINED, "topic", f"{source.channel} must not be retained")
            )
            return
        kind = KINDS[source.device.kind]
        try:
            message = decode(record.payload, kind=kind, received_ms=record.received_ms)
        except PayloadError as exc:
            columns.refused_rounds.append((index, None))
            refused.append(Refusal(exc.reason, exc.where, exc.detail))
            return
        refused.extend(message.refusals)
        latest_ms = record.received_ms + FUTURE_MS
        boot = message.boot
        uptime_s = math.nan if message.uptime_s is None else message.uptime_s
        for said in message.rounds:
            if boot is not None and said.seq is not None:
                columns.arrivals.append((index, boot, said.seq))
            if EARLIEST_MS <= said.at_ms <= latest_ms:
                columns.round_boot.append(boot)
                columns.round_uptime_s.append(uptime_s)
                self._take_round(index, record.received_ms, said, source, columns, refused)
            else:
                columns.refused_rounds.append((index, said.at_ms))
                refused.append(_bad_clock(said, record.received_ms))

    def _take_round(
        self,
        index: int,
        received_ms: int,
        said: Round,
        source: Source,
        columns: _Columns,
        refused: list[Refusal],
    ) -> None:
        numbers, at_ms, number_of_round = source.numbers, said.at_ms, len(columns.round_record)
        columns.round_record.append(index)
        columns.round_at_ms.append(at_ms)
        columns.round_late.append(at_ms < received_ms - source.lateness_ms)
        columns.round_seq.append(-1 if said.seq is None else said.seq)
        if said.attributes:
            columns.round_attributes[number_of_round] = said.attributes
        taken = 0
        for name, value in said.values.items():
            number = numbers.get(name)
            if number is None:
                metric = source.metrics.get(name)
                if metric is None:
                    refused.append(_unknown_metric(source, name))
                    continue
                number = self._catalogue.add(source.device, metric)
            columns.series.append(number)
            columns.value.append(value)
            taken += 1
        columns.at_ms += [at_ms] * taken
        columns.received_ms += [received_ms] * taken
        columns.record += [index] * taken
        columns.round += [number_of_round] * taken

    def _batch(
        self,
        records: Sequence[Record],
        sources: list[Source | None],
        refusals: dict[int, list[Refusal]],
        statuses: list[tuple[int, Status]],
        columns: _Columns,
    ) -> Batch:
        readings = Readings.of(columns.series, columns.at_ms, columns.received_ms, columns.value)
        reading_record = np.array(columns.record, np.int32)
        value = readings.value
        possible = (
            (value >= self._catalogue.hard_min[readings.series])
            & (value <= self._catalogue.hard_max[readings.series])
            & (~IS_BOOL[self._catalogue.metric_row[readings.series]] | (value == np.round(value)))
        )
        round_of = np.array(columns.round, np.int32)
        late = np.array(columns.round_late, np.bool_)[round_of]
        for n in np.flatnonzero(~possible):
            refusal = self._outside(int(readings.series[n]), float(readings.value[n]))
            refusals.setdefault(int(reading_record[n]), []).append(refusal)
        return Batch(
            records,
            sources,
            refusals,
            statuses,
            readings.take(possible),
            reading_record[possible],
            round_of[possible],
            np.array(columns.round_record, np.int32),
            np.array(columns.round_at_ms, np.int64),
            np.array(columns.round_late, np.bool_),
            columns.round_boot,
            np.array(columns.round_seq, np.int64),
            np.array(columns.round_uptime_s, np.float64),
            columns.round_attributes,
            columns.arrivals,
            columns.refused_rounds,
            readings.take(~possible & ~late),
            round_of[~possible & ~late],
        )

    def _outside(self, number: int, value: float) -> Refusal:
        metric = self._catalogue[number].metric
        if metric.is_bool:
            detail = f"{metric.name} {value:g} is neither 0 nor 1"
            return Refusal(reasons.OUTSIDE_HARD_RANGE, f"m.{metric.name}", detail)
        low, high = self._catalogue.hard_min[number], self._catalogue.hard_max[number]
        detail = f"{metric.name} {value:g} {metric.unit} is outside {low:g}..{high:g}"
        return Refusal(reasons.OUTSIDE_HARD_RANGE, f"m.{metric.name}", detail)


def lateness_ms(device: Device) -> int:
    """Milliseconds from event to arrival up to which a device's reading is live."""
    return max(LEAST_LATENESS_MS, round(3000 * device.interval_s))


def _unknown_metric(source: Source, name: str) -> Refusal:
    shown = name[:SHOWN]
    detail = f"{source.device.kind} has no metric {shown!r}"
    return Refusal(reasons.UNKNOWN_METRIC, f"m.{shown}", detail)


def _bounded(refused: list[Refusal]) -> list[Refusal]:
    """One message can hold ten thousands of faults: the first ones tell enough."""
    if len(refused) <= MOST_REFUSALS:
        return refused
    more = f"and {len(refused) - MOST_REFUSALS} more; the payload is kept"
    return [*refused[:MOST_REFUSALS], refused[-1]._replace(detail=more)]


def _bad_clock(said: Round, received_ms: int) -> Refusal:
    if said.at_ms < EARLIEST_MS:
        detail = f"event time {said.at_ms} is before 2020; allowed from {EARLIEST_MS}"
        return Refusal(reasons.CLOCK_BEFORE_2020, "ts", detail)
    ahead_s = (said.at_ms - received_ms) // 1000
    detail = f"event time {said.at_ms} is {ahead_s} s ahead; allowed {FUTURE_MS // 1000} s"
    return Refusal(reasons.CLOCK_FUTURE, "ts", detail)
