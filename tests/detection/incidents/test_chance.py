"""Chance: sites that fail by themselves are not taken for a group; the test is what it says."""

from __future__ import annotations

from math import exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.incidents.grouping import Grouping, Onset, clusters, tail
from detection.incidents.groups import Groups
from detection.incidents.rates import DAY_MS, FLOOR, PRIOR, PRIOR_DAYS, Rates
from tests.detection.incidents.world import START_MS, Play, country, registry, site

MONTH_DAYS = 30
MONTHS = 8


def false_groups(rate: float, months: int, seed: int, interval_s: int) -> int:
    """Groups found in months of sites that fail independently, `rate` times a day each."""
    rng = np.random.default_rng(seed)
    sites = country()
    groups = Groups(registry(sites, interval_s))
    grouping = Grouping(groups, lambda s: max(FLOOR, rate), lambda s, at: True)
    error_ms = interval_s * 500
    onsets: dict[str, Onset] = {}
    for one in sites:
        for _ in range(rng.poisson(rate * MONTH_DAYS * months)):
            at_ms = int(rng.uniform(0, MONTH_DAYS * months * DAY_MS))
            onsets[f"{one.site}-{at_ms}"] = Onset(
                f"{one.site}-{at_ms}", one.site, 0, at_ms, error_ms
            )
    ordered = dict(sorted(onsets.items(), key=lambda item: item[1].at_ms))
    found: set[tuple[str, ...]] = set()
    names = list(ordered)
    for n, name in enumerate(names):
        near = {k: ordered[k] for k in names[max(0, n - 20) : n + 21]}
        for cluster in clusters(near, [name]):
            found.update(e.signs for e in grouping.explain(cluster))
    return len(found)


@pytest.mark.parametrize(("rate", "interval_s"), [(0.1, 60), (0.3, 60), (1.0, 60), (0.3, 300)])
def test_independent_failures_are_not_taken_for_groups(rate: float, interval_s: int) -> None:
    """Over months of 48 sites, fewer than half a group a month is seen where there is none."""
    found = false_groups(rate, MONTHS, seed=7, interval_s=interval_s)
    assert found < 0.5 * MONTHS


@given(
    n=st.integers(1, 40),
    k=st.integers(0, 40),
    p=st.floats(1e-6, 0.5),
)
def test_the_tail_is_that_of_the_binomial(n: int, k: int, p: float) -> None:
    """It falls with k, is 1 at 0, and is bounded by Chernoff's bound above the mean."""
    k = min(k, n)
    assert tail(0, n, p) == pytest.approx(1)
    assert tail(k, n, p) >= tail(k + 1, n, p) - 1e-12
    if k > n * p:
        mean = n * p
        assert tail(k, n, p) <= exp(k - mean) * (mean / k) ** k + 1e-12


@pytest.mark.parametrize(
    ("rate", "n", "k", "grouped"),
    [(0.3, 8, 3, True), (0.3, 8, 2, False), (3, 8, 3, False), (0.1, 3, 3, True), (3, 16, 4, False)],
)
def test_the_table_of_the_reference(rate: float, n: int, k: int, grouped: bool) -> None:
    """k of n sites of one province within a minute: expected by chance or not."""
    sites = [site(f"s{i}", place=i % 3, provider=f"P{i}") for i in range(n)]
    sites += [site(f"t{i}", f"LA-{p}", place=i % 3, provider=f"Q{p}{i}")
              for p in ("SV", "CH", "XA", "BK", "OU") for i in range(n)]  # fmt: skip
    grouping = Grouping(Groups(registry(sites)), lambda s: rate, lambda s, at: True)
    onsets = [Onset(f"o{i}", f"s{i}", 0, 20_000 * (i % 3), 30_000) for i in range(k)]
    assert bool(grouping.explain(onsets)) == grouped


def test_two_of_two_is_a_pattern_with_low_confidence() -> None:
    """Both sites of a feeder at once; half of it would not be."""
    sites = [site("s1", feeder="F1"), site("s2", place=1, provider="LTC", feeder="F1")]
    sites += [site(f"t{i}", "LA-SV", place=i % 3, provider=f"P{i}") for i in range(8)]
    play = Play(registry(sites))
    play.outage("s1", 0)
    play.outage("s2", 0.2)
    play.until(20)
    (change,) = play.latest().values()
    assert change.scope == ("feeder", "F1")
    assert change.confidence < 0.5
    assert any("Only two sites" in sentence for sentence in change.evidence)


def test_sites_that_have_everything_in_common_are_tried_as_one_group() -> None:
    """Four sites of one district and provider are also all there are of the province and country;
    one by satellite makes two groups of them: with it and without."""
    alike = [site(f"s{i}") for i in range(4)]
    assert Groups(registry(alike)).different == 1
    assert Groups(registry([*alike, site("v", provider="Sky", link="vsat-geo")])).different == 2


def test_one_site_is_never_a_district() -> None:
    """A district with one site that is down stays a site."""
    play = Play(registry([site("s1", place=2), *[site(f"t{i}") for i in range(5)]]))
    play.outage("s1", 0)
    play.until(20)
    assert {c.scope for c in play.latest().values()} == {("site", "s1")}


def test_rates_are_learnt_as_the_median_of_days() -> None:
    """Priors for the first days; then what happens on most days, whatever one bad day says."""
    rates = Rates()
    rates.pass_time(START_MS, {"4g": 10})
    assert rates.per_day("4g") == PRIOR
    for day in range(1, 40):
        for _ in range(200 if day == 20 else 15):
            rates.count("4g")
        rates.pass_time(START_MS + day * DAY_MS, {"4g": 10})
        if day == PRIOR_DAYS + 1:
            assert rates.per_day("4g") == pytest.approx(1.5)
    assert rates.per_day("4g") == pytest.approx(1.5)
    rates.pass_time(START_MS + 80 * DAY_MS, {"4g": 10})
    assert rates.per_day("4g") == FLOOR
