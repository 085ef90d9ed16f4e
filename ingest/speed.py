"""Speed tests among the rounds of a batch: for the reports, which ask for years of them."""

from __future__ import annotations

import numpy as np

from devices.catalogue import Catalogue
from devices.kinds import METRICS
from ingest.intake import Batch
from storage.ledger.speed_tests import SpeedTest

SPEEDS = {"down_mbps": "down_mbps", "up_mbps": "up_mbps"}
BESIDE = {"nat_rtt_p50_ms": "rtt_ms", "nat_sent": "sent", "nat_rcvd": "rcvd"}
FIELDS = {
    metric.row: (SPEEDS | BESIDE)[metric.name]
    for metric in METRICS
    if metric.kind == "connectivity-probe" and metric.name in SPEEDS | BESIDE
}
IS_SPEED = np.array(
    [metric.kind == "connectivity-probe" and metric.name in SPEEDS for metric in METRICS]
)  # by row of the metric


def speed_tests_of(batch: Batch, catalogue: Catalogue) -> list[SpeedTest]:
    """The rounds of a batch in which a speed was measured, late ones too."""
    readings = batch.readings
    rows = catalogue.metric_row[readings.series]
    tested = np.unique(batch.reading_round[IS_SPEED[rows]])
    if not len(tested):
        return []
    tests: dict[int, dict[str, float]] = {number: {} for number in tested.tolist()}
    of_tests = np.isin(batch.reading_round, tested) & np.isin(rows, list(FIELDS))
    for n in np.flatnonzero(of_tests).tolist():
        tests[int(batch.reading_round[n])][FIELDS[int(rows[n])]] = float(readings.value[n])
    found = []
    for number, values in tests.items():
        source = batch.sources[int(batch.round_record[number])]
        assert source is not None  # its readings were accepted
        found.append(
            SpeedTest(
                source.device.device,
                int(batch.round_at_ms[number]),
                values.get("down_mbps"),
                values.get("up_mbps"),
                values.get("rtt_ms"),
                values.get("sent"),
                values.get("rcvd"),
            )
        )
    return found
