"""How often somebody may ask."""

from __future__ import annotations

import pytest

from api.rate import Buckets, neighbourhood, retry_after


def test_a_bucket_fills_evenly() -> None:
    """A minute's worth at once, then one by one; who is forgotten begins anew."""
    buckets = Buckets(most=2)

    def wait_s(who: str, now_s: float) -> float:
        return buckets.minute_wait_s(who, now_s, per_minute=2)

    assert [wait_s("a", 0.0) for _ in range(3)] == [0, 0, 30]
    assert wait_s("a", 29.0) == pytest.approx(1)
    assert wait_s("a", 30.0) == 0
    assert wait_s("a", 30.0) > 0
    assert [wait_s("a", 1000.0) for _ in range(3)] == [0, 0, 30]
    for other in ("b", "c"):
        wait_s(other, 1000.0)
    assert wait_s("a", 1000.0) == 0


def test_who_asks_too_often_waits() -> None:
    """A burst is allowed, then so many a second; others are not held up, and all are forgotten."""
    buckets = Buckets(most=2)

    def wait_s(who: str, now_s: float) -> float:
        return buckets.wait_s(who, now_s, per_s=2.0, burst=3)

    assert [wait_s("a", 0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert wait_s("b", 0.0) == 0.0
    assert [wait_s("a", 0.5), wait_s("a", 0.5)] == [0.0, 0.5]
    assert wait_s("c", 0.5) == 0.0  # b is forgotten
    assert wait_s("b", 0.5) == 0.0
    assert retry_after(0.5) == {"Retry-After": "1"}


def test_a_household_of_ipv6_shares_a_bucket() -> None:
    """Else whoever has a /64 has more buckets than are remembered."""
    assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff") == "2001:db8::/64"
    assert neighbourhood("fe80::1%eth0") == "fe80::/64"
    assert neighbourhood("192.0.2.1") == "192.0.2.1"
    assert neighbourhood("::ffff:192.0.2.1") == "192.0.2.1"
    assert neighbourhood("") == ""
