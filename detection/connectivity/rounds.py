"""What rounds say about the link: reached or not, how well, and what else failed, as columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detection.connectivity.fleet import Fleet
from detection.heard import Heard
from devices.catalogue import Catalogue
from devices.kinds import METRICS, TIERS

DEAD_LOSS = 0.75  # ITU-T Y.1540: a block of time with more loss than this is unavailable
Z = 1.96  # a loss counts once its 95 % Wilson interval lies beyond the limit
PACKETS = 10.0  # where a probe says the share of its packets that was lost, not the count
DEAD_MAINS_V = 50.0

_FACTS = (
    *(f"{tier}_{what}" for tier in TIERS for what in ("sent", "rcvd", "loss_pct", "rtt_p50_ms")),
    *("dns_ms", "dns_rcode", "http_status", "http_total_ms", "content_ok"),
    *("power_mains", "mains_v", "os_uptime_s", "agent_uptime_s", "backlog_msgs"),
    *("esno_db", "rsrp_dbm", "sinr_db"),
)
COLUMN = {name: number for number, name in enumerate(_FACTS)}
_ALIASES = {("power", "mains_on"): "power_mains", ("cold-chain", "mains_on"): "power_mains"}
_KINDS = ("connectivity-probe", "power")


def _wanted() -> NDArray[np.int16]:
    """Column of each metric by its row, -1 where it says nothing about a link."""
    wanted = np.full(len(METRICS), -1, np.int16)
    for metric in METRICS:
        name = _ALIASES.get((metric.kind, metric.name))
        if name is None and metric.kind in _KINDS:
            name = metric.name
        wanted[metric.row] = COLUMN.get(name or "", -1)
    return wanted


WANTED = _wanted()

# Marks of one round.
GOOD, BAD, POOR = 1, 2, 4
GW_DEAD, ISP_DEAD, NAT_DEAD, INT_DEAD = 8, 16, 32, 64
BLOCKED, NO_MAINS, MAINS = 128, 256, 512
NEAR = 1024  # the gateway or the provider answered
TIER_MARKS = {"gw": GW_DEAD, "isp": ISP_DEAD, "nat": NAT_DEAD, "int": INT_DEAD}


@dataclass(frozen=True, slots=True)
class Said:
    """r rounds as marks and numbers.

    marks: int32[r]. GOOD and BAD only where a probe measured: the network inside the country
    answered, or did not. facts: float64[r, len(COLUMN)], NaN where not measured.
    """

    marks: NDArray[np.int32]
    facts: NDArray[np.float64]


def read_rounds(
    heard: Heard, catalogue: Catalogue, fleet: Fleet, expects: NDArray[np.void]
) -> Said:
    """What each round of a batch says.

    expects: by device number, fields `names` and `page`: whether a round that reached the network
    always brings a looked-up name and a page, so that their absence is a failure.
    """
    facts = _facts(heard, catalogue)
    rows: Any = fleet.rows[heard.rounds.device]
    probe = rows["probe"]
    marks = np.zeros(len(facts), np.int32)
    lost = {tier: _lost(facts, tier) for tier in TIERS}
    dead = {tier: lost[tier] >= DEAD_LOSS for tier in TIERS}  # NaN is neither dead nor alive
    alive = {tier: lost[tier] < DEAD_LOSS for tier in TIERS}
    nat_unknown = np.isnan(lost["nat"])
    good = probe & (alive["nat"] | (nat_unknown & alive["int"]))
    bad = probe & ~good & (dead["nat"] | (nat_unknown & (dead["isp"] | dead["gw"])))
    for tier, mark in TIER_MARKS.items():
        marks[dead[tier]] |= mark
    marks[alive["gw"] | alive["isp"]] |= NEAR
    no_names, no_page = _failures(facts, good, expects[heard.rounds.device])
    blocked = facts[:, COLUMN["content_ok"]] == 0
    marks[blocked] |= BLOCKED
    sent = np.nan_to_num(facts[:, COLUMN["nat_sent"]], nan=PACKETS)
    with np.errstate(invalid="ignore"):
        poor = wilson_low(np.nan_to_num(lost["nat"]), sent) > rows["loss"]
        poor |= facts[:, COLUMN["nat_rtt_p50_ms"]] > rows["rtt_ms"]
        poor |= facts[:, COLUMN["dns_ms"]] > rows["dns_ms"]
    poor |= no_names | no_page | blocked
    marks[good] |= GOOD
    marks[bad] |= BAD
    marks[good & poor] |= POOR
    _mark_mains(facts, marks)
    return Said(marks, facts)


def wilson_low(share: NDArray[np.float64], n: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lower end of the 95 % Wilson score interval of a share seen in n trials."""
    n = np.maximum(n, 1.0)
    middle = share + Z * Z / (2 * n)
    spread = Z * np.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    low: NDArray[np.float64] = (middle - spread) / (1 + Z * Z / n)
    return low


def _facts(heard: Heard, catalogue: Catalogue) -> NDArray[np.float64]:
    facts = np.full((len(heard.rounds), len(COLUMN)), np.nan)
    column = WANTED[catalogue.metric_row[heard.readings.series]]
    which = (column >= 0).nonzero()[0]
    facts[heard.round_of[which], column[which]] = heard.readings.value[which]
    return facts


def _lost(facts: NDArray[np.float64], tier: str) -> NDArray[np.float64]:
    """Share of the packets to a tier that were lost, NaN where nothing was sent."""
    sent = facts[:, COLUMN[f"{tier}_sent"]]
    rcvd = facts[:, COLUMN[f"{tier}_rcvd"]]
    with np.errstate(invalid="ignore", divide="ignore"):
        lost = np.where(sent > 0, 1 - rcvd / sent, np.nan)
    lost = np.where(np.isnan(lost), facts[:, COLUMN[f"{tier}_loss_pct"]] / 100, lost)
    answered = np.isnan(lost) & ~np.isnan(facts[:, COLUMN[f"{tier}_rtt_p50_ms"]])
    lost[answered] = 0.0
    return np.clip(lost, 0.0, 1.0)


def _failures(
    facts: NDArray[np.float64], good: NDArray[np.bool_], expects: Any
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Rounds that reached the network and got no name, or no page."""
    rcode = facts[:, COLUMN["dns_rcode"]]
    name = ~np.isnan(facts[:, COLUMN["dns_ms"]])
    status = facts[:, COLUMN["http_status"]]
    page = ~np.isnan(status) | ~np.isnan(facts[:, COLUMN["http_total_ms"]])
    no_names = good & ((rcode > 0) | (~name & expects["names"]))
    no_page = good & ((status >= 400) | (~page & expects["page"]))
    return no_names, no_page


def _mark_mains(facts: NDArray[np.float64], marks: NDArray[np.int32]) -> None:
    mains, volts = facts[:, COLUMN["power_mains"]], facts[:, COLUMN["mains_v"]]
    off = (mains == 0) | (np.isnan(mains) & (volts < DEAD_MAINS_V))
    on = (mains == 1) | (np.isnan(mains) & (volts >= DEAD_MAINS_V))
    marks[off] |= NO_MAINS
    marks[on] |= MAINS
