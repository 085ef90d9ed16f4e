"""What round trips, losses and speeds look like on each type of link."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PACKETS = 10
TIMEOUT_MS = 3000.0
GEO_FLOOR_MS = 477.0  # light to a geostationary satellite and back, twice

Floats = NDArray[np.float64]
Columns = dict[str, Floats]


@dataclass(frozen=True, slots=True)
class LinkType:
    """The habits of one type of link.

    isp_ms, nat_ms, int_ms: usual smallest round trip to the provider, within the country and
    abroad. queue_ms: mean wait in queues when idle. busy: how many times longer the queues are
    in the busiest hour. tail, tail_ms: chance and scale of a packet's heavy-tailed delay.
    loss, bad_loss: chance that a packet is lost usually, and in a bad spell. bad_a_day: bad
    spells a day. down_mbps: speed where no contract says one. radio: lte, vsat or "".
    """

    isp_ms: float
    nat_ms: float
    int_ms: float
    queue_ms: float
    busy: float
    tail: float
    tail_ms: float
    loss: float
    bad_loss: float
    bad_a_day: float
    down_mbps: float
    radio: str


LINKS: dict[str, LinkType] = {
    "fibre": LinkType(2.4, 9.0, 46.0, 0.5, 5.0, 0.004, 6.0, 0.0002, 0.02, 0.2, 50.0, ""),
    "dsl": LinkType(13.0, 21.0, 60.0, 1.4, 6.0, 0.006, 12.0, 0.0006, 0.03, 0.4, 12.0, ""),
    "fixed-wireless": LinkType(7.0, 15.0, 54.0, 1.8, 6.0, 0.012, 14.0, 0.0012, 0.05, 0.6, 20.0, ""),
    "3g": LinkType(72.0, 84.0, 128.0, 14.0, 4.0, 0.03, 60.0, 0.003, 0.07, 1.0, 4.0, "lte"),
    "4g": LinkType(29.0, 38.0, 82.0, 6.0, 5.0, 0.02, 30.0, 0.0015, 0.05, 0.7, 22.0, "lte"),
    "5g": LinkType(13.0, 21.0, 62.0, 2.5, 4.0, 0.012, 14.0, 0.0008, 0.04, 0.4, 120.0, "lte"),
    "vsat-geo": LinkType(566.0, 578.0, 622.0, 14.0, 4.0, 0.02, 80.0, 0.003, 0.08, 1.2, 6.0, "vsat"),
    "vsat-leo": LinkType(33.0, 42.0, 68.0, 5.0, 3.0, 0.03, 25.0, 0.004, 0.06, 0.8, 80.0, "vsat"),
}


def echo_columns(rtt_ms: Floats, tier: str) -> Columns:
    """A tier's metrics of n rounds, as a probe defines them; nan: not measured.

    rtt_ms: float64[n, packets], round trips of the packets in order, nan where lost.
    """
    count, sent = rtt_ms.shape
    ordered = np.sort(rtt_ms, axis=1)  # nan goes to the end
    rcvd = sent - np.isnan(rtt_ms).sum(axis=1)
    rows = np.arange(count)
    none = rcvd == 0

    def rank(share: float) -> Floats:
        at = np.maximum(np.ceil(share * rcvd).astype(int) - 1, 0)
        ranked: Floats = ordered[rows, at]
        return ranked

    steps = np.abs(np.diff(rtt_ms, axis=1))
    pairs = (~np.isnan(steps)).sum(axis=1)
    jitter = np.nansum(steps, axis=1) / np.maximum(pairs, 1)
    return {
        f"{tier}_sent": np.full(count, float(sent)),
        f"{tier}_rcvd": rcvd.astype(float),
        f"{tier}_rtt_min_ms": ordered[:, 0],
        f"{tier}_rtt_p50_ms": rank(0.5),
        f"{tier}_rtt_p95_ms": rank(0.95),
        f"{tier}_rtt_max_ms": rank(1.0),
        f"{tier}_jitter_ms": np.where((pairs == 0) | none, np.nan, jitter),
        f"{tier}_loss_pct": 100.0 * (sent - rcvd) / sent,
    }
