"""What a probe's round as a whole shows: names fail, pages are blocked, abroad is away.

Each rule is a signature of one round: which of its measurements succeeded and which did not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.bank import Bank
from detection.clear_sky import ClearSky
from detection.episodes import FIRING, PENDING
from detection.findings import Phase, Severity
from detection.series_episodes import SeriesEpisodes
from detection.told import Context, Told, say, told_at
from detection.waves import Step, Wave
from devices.catalogue import Catalogue

KIND = "connectivity-probe"
ANCHORS = ("nat_loss_pct", "nat_rcvd", "nat_sent", "nat_rtt_p50_ms", "nat_rtt_min_ms")
WEAK = ("rsrp_dbm", "sinr_db")  # both in dB, so that they can be compared
COLUMNS = {  # lowest and highest value that is no sign of anything; whether absence is one
    "dns_ms": (-np.inf, np.inf, True),
    "dns_rcode": (-np.inf, 0.0, False),
    "tls_ms": (-np.inf, np.inf, True),
    "http_total_ms": (-np.inf, np.inf, True),
    "http_status": (200.0, 299.0, False),
    "content_ok": (1.0, np.inf, False),
    "int_loss_pct": (-np.inf, 99.9, False),
    "int_rtt_p50_ms": (-np.inf, np.inf, True),
    "esno_db": (6.0, np.inf, False),
    "rsrp_dbm": (-110.0, np.inf, False),
    "sinr_db": (0.0, np.inf, False),
}
ESNO = list(COLUMNS).index("esno_db")
LOW, HIGH, ABSENT = (np.array(column) for column in zip(*COLUMNS.values(), strict=True))
USUAL = 1.5  # a metric is usual that comes at most so much more rarely than the round itself
GOOD = 3
LOSS_PCT = 5.0


class Rule(NamedTuple):
    """rounds: with the signature until it fires; slack: others in between that do not matter.

    metrics: on the first of these that the device has, the alert is; of a weak signal on the one
    that is furthest below what it should be.
    """

    rounds: int
    slack: int
    severity: Severity
    metrics: tuple[str, ...]


RULES = {
    "international-down": Rule(3, 0, "warning", ("int_loss_pct", "int_rtt_p50_ms")),
    "dns-failing": Rule(3, 0, "warning", ("dns_ms", "dns_rcode")),
    "content-blocked": Rule(3, 0, "warning", ("content_ok", "http_status")),
    "page-error": Rule(6, 1, "warning", ("http_status",)),
    "mtu-hole": Rule(3, 0, "warning", ("tls_ms", "http_total_ms")),
    "rain-fade": Rule(3, 2, "warning", ("esno_db",)),
    "radio-weak": Rule(3, 4, "warning", ("rsrp_dbm", "sinr_db")),
}


@dataclass(slots=True)
class Signature:
    """A signature that a probe shows. metric: on which the alert is, None for the probe's round."""

    rule: str
    phase: int
    onset_ms: int
    rounds: int = 1
    missed: int = 0
    metric: str | None = None


class Probes(SeriesEpisodes[Signature]):
    """Looks at each live round of a probe; only rounds with something odd cost more."""

    def __init__(self, catalogue: Catalogue, clock: Bank, context: Context) -> None:
        super().__init__(Signature)
        self._catalogue, self._clock, self._context = catalogue, clock, context
        self.sky = ClearSky()
        self._known = 0
        self._anchor_of: dict[str, int] = {}
        self._anchor = np.zeros(0, np.bool_)
        self._partners = np.zeros((0, len(COLUMNS)), np.intp)
        self._exists = np.zeros((0, len(COLUMNS)), np.bool_)
        self._watched = np.zeros(0, np.bool_)

    def grow(self) -> None:
        """Know the series that the catalogue has."""
        n = len(self._catalogue)
        more = n - len(self._anchor)
        self._anchor = np.concatenate([self._anchor, np.zeros(more, np.bool_)])
        self._watched = np.concatenate([self._watched, np.zeros(more, np.bool_)])
        itself = np.repeat(np.arange(n - more, n)[:, None], len(COLUMNS), axis=1)
        self._partners = np.concatenate([self._partners, itself])
        self._exists = np.concatenate([self._exists, np.zeros((more, len(COLUMNS)), np.bool_)])
        devices = {self._catalogue[number].device.device for number in range(self._known, n)}
        for device in devices:
            self._link(device)
        self._known = n

    def judge(self, wave: Wave) -> Iterator[Step]:
        """What begins, fires or ends with the rounds of this wave."""
        places = self._anchor[wave.series].nonzero()[0]
        if not len(places):
            return
        series = wave.series[places]
        odd = self._odd(series, wave.at_ms[places]) | self._watched[series]
        for n in odd.nonzero()[0].tolist():
            yield from self._read(told_at(wave, int(places[n])))

    def restore(self, state: list[tuple[int, str, list[Any]]]) -> None:
        """Keep exactly these, and watch their series."""
        super().restore(state)
        self._watched[:] = False
        for series, _ in self.open:
            self._watched[series] = True

    def _link(self, device: str) -> None:
        """Choose the series that stands for a probe's rounds, and find the others beside it."""
        numbers = self._catalogue.numbers_of(device)
        anchor = next((numbers[name] for name in ANCHORS if name in numbers), None)
        if anchor is None or self._catalogue[anchor].device.kind != KIND:
            return
        before = self._anchor_of.get(device)
        if before is not None and before != anchor:
            self._anchor[before] = False
            if (old := self.open.pop((before, "round"), None)) is not None:
                self.open[anchor, "round"] = old
                self._watched[anchor] = True
        self._anchor_of[device] = anchor
        self._anchor[anchor] = True
        for column, name in enumerate(COLUMNS):
            self._partners[anchor, column] = numbers.get(name, anchor)
            self._exists[anchor, column] = name in numbers

    def _odd(self, series: NDArray[np.intp], at_ms: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which rounds lack something usual or have a value that may mean something."""
        partners = self._partners.take(series, axis=0)
        rows = self._clock.take(partners.ravel()).reshape(partners.shape)
        said = rows["at"] == at_ms[:, None]
        value = rows["value"]
        exists = self._exists.take(series, axis=0)
        found = said & ((value < LOW) | (value > HIGH))
        dishes = (said & exists)[:, ESNO].nonzero()[0]
        if len(dishes):
            found[dishes, ESNO] |= self.sky.see(partners[dishes, ESNO], value[dishes, ESNO])
        lacking = ABSENT & ~said
        if np.count_nonzero(lacking):
            own = self._clock.take(series)["spacing"]
            found |= lacking & (rows["spacing"] > 0) & (rows["spacing"] <= USUAL * own[:, None])
        found &= exists
        odd: NDArray[np.bool_] = np.logical_or.reduce(found, axis=1)
        return odd

    def _read(self, told: Told) -> Iterator[Step]:
        rule = self._signature(told)
        key = told.series, "round"
        held = self.open.get(key)
        if held is not None and rule != held.rule:
            held.missed += 1
            firing = held.phase == FIRING
            if held.missed < GOOD if firing else held.missed <= RULES[held.rule].slack:
                return
            del self.open[key]
            self._watched[told.series] = False
            yield self._step(held, told, "clear")
            held = None
        if rule is None:
            return
        if held is None:
            metric = self._telling(rule, told)
            held = self.open[key] = Signature(rule, PENDING, told.at_ms, rounds=0, metric=metric)
            self._watched[told.series] = True
            yield self._step(held, told, "pending")
        held.rounds, held.missed = held.rounds + 1, 0
        if held.phase == PENDING and held.rounds >= RULES[rule].rounds:
            if held.metric != (metric := self._telling(rule, told)):
                yield self._step(held, told, "clear")
                held.metric = metric
            held.phase = FIRING
            yield self._step(held, told, "firing")

    def _signature(self, told: Told) -> str | None:
        """The rule whose signature this round shows; the first that fits is the most telling."""
        if self._reaches("nat", told) is not True:
            return None
        if self._reaches("int", told) is False:
            return "international-down"
        rcode = self._now("dns_rcode", told)
        if rcode or self._lacks("dns_ms", told):
            return "dns-failing"
        status = self._now("http_status", told)
        redirected = status is not None and (300 <= status < 400 or status == 511)
        broken = status is not None and status >= 400 and status != 511
        if redirected or (self._now("content_ok", told) == 0 and not broken):
            return "content-blocked"
        if broken:
            return "page-error"
        if self._now("tcp_ms", told) is not None and (
            self._lacks("tls_ms", told) or self._lacks("http_total_ms", told)
        ):
            return "mtu-hole"
        return self._radio(told)

    def _radio(self, told: Told) -> str | None:
        losses = [self._now(f"{tier}_loss_pct", told) or 0.0 for tier in ("isp", "nat", "int")]
        lossy = max(losses) >= LOSS_PCT
        esno = self._now("esno_db", told)
        if esno:  # 0 is what a modem says that does not know
            fades = esno < 6 or self.sky.fades(int(self._partners[told.series, ESNO]), esno)
            if esno < 3 or (fades and lossy):
                return "rain-fade"
        return "radio-weak" if lossy and self._weakest(told) else None

    def _weakest(self, told: Told) -> str | None:
        """Which metric of the mobile signal is furthest below what it should be, if any is."""
        said = {name: self._now(name, told) for name in WEAK}
        below = {name: COLUMNS[name][0] - at for name, at in said.items() if at is not None}
        worst = max(below, key=lambda name: below[name], default=None)
        return worst if worst is not None and below[worst] > 0 else None

    def _telling(self, rule: str, told: Told) -> str | None:
        """The metric on which an alert of a rule is; None where the device has none of them."""
        if rule == "radio-weak":
            return self._weakest(told)
        numbers = self._catalogue.numbers_of(self._catalogue[told.series].device.device)
        return next((name for name in RULES[rule].metrics if name in numbers), None)

    def _reaches(self, tier: str, told: Told) -> bool | None:
        """Whether replies came from that tier; None where the round does not tell."""
        received = self._now(f"{tier}_rcvd", told)
        if received is not None:
            return received > 0
        loss = self._now(f"{tier}_loss_pct", told)
        if loss is not None:
            return loss < 100
        if self._now(f"{tier}_rtt_p50_ms", told) is not None:
            return True
        if self._lacks(f"{tier}_rcvd", told) or self._lacks(f"{tier}_loss_pct", told):
            return None  # it was not measured: of a tier that does not answer these are said
        return False if self._lacks(f"{tier}_rtt_p50_ms", told) else None

    def _now(self, metric: str, told: Told) -> float | None:
        return self._context.beside(told.series, metric, told.at_ms)

    def _lacks(self, metric: str, told: Told) -> bool:
        """Whether the round lacks what the device says in nearly every one."""
        number = self._catalogue.find(self._catalogue[told.series].device.device, metric)
        if number is None:
            return False
        row, own = self._clock.row(number), self._clock.row(told.series)
        usual = 0 < row["spacing"] <= USUAL * own["spacing"]
        return bool(usual and row["at"] < told.at_ms)

    def _step(self, held: Signature, told: Told, phase: Phase) -> Step:
        rule = RULES[held.rule]
        numbers = self._catalogue.numbers_of(self._catalogue[told.series].device.device)
        series = told.series if held.metric is None else numbers[held.metric]
        return say(
            told,
            held.rule,
            phase,
            nature="connectivity",
            severity=rule.severity,
            onset_ms=held.onset_ms,
            value=None if held.metric is None else self._now(held.metric, told),
            expected=None,
            facts={"readings": held.rounds, "held_s": (told.at_ms - held.onset_ms) / 1000},
            series=series,
        )
